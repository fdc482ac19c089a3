"""What annotation tools export, and lists of labels."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from incumbent.config import DataConfig
from incumbent.data import ingestion
from incumbent.errors import DataError
from tests.tables.test_tables_as_people_have_them import pairs, read, refused


def task(
    text: str, *votes: object, question: str = "sentiment", **more: object
) -> dict[str, object]:
    """A task of Label Studio; a vote is a list of choices, or what else an annotation has."""
    annotations = [
        {"id": 7, "was_cancelled": False, "result": [
            {"from_name": question, "type": "choices", "value": {"choices": vote}},
        ]} if isinstance(vote, list) else vote
        for vote in votes
    ]  # fmt: skip
    return {"id": 1, "annotations": annotations, "predictions": [], "data": {"text": text}} | more


SKIPPED = {"was_cancelled": True, "result": []}
TASKS = [
    task("Fine.", ["pos"]), task("Dull.", ["neg"], SKIPPED), task("Skipped", SKIPPED),
    task("Nobody looked"), task("Two of three", ["pos"], ["neg"], ["pos"]),
    task("One each", ["pos"], ["neg"]), task("Nothing chosen", {"result": []}),
    task("Checked", ["neg"], {"ground_truth": True, "result": [
        {"from_name": "sentiment", "value": {"choices": ["pos"]}}]}),
]  # fmt: skip
EXPECTED = [
    ("Fine.", "pos"), ("Dull.", "neg"), ("Skipped", ""), ("Nobody looked", ""),
    ("Two of three", "pos"), ("One each", ""), ("Nothing chosen", ""), ("Checked", "pos"),
]  # fmt: skip


@pytest.mark.parametrize("column", ["label", "sentiment", "Sentiment"])
@pytest.mark.parametrize("lines", [False, True])
def test_label_studio(tmp_path: Path, column: str, lines: bool) -> None:
    data = "\n".join(map(json.dumps, TASKS)) if lines else json.dumps(TASKS, indent=1)
    frame, said = read(tmp_path / "project-1.json", data, label_columns=column)
    assert pairs(frame) == EXPECTED
    assert "1 text on which annotators disagree is unlabelled" in said


def test_label_studio_of_one_task_and_of_old(tmp_path: Path) -> None:
    frame, _ = read(tmp_path / "a.json", json.dumps(TASKS[0]))
    assert pairs(frame) == EXPECTED[:1]
    old = json.loads(json.dumps(TASKS[0]).replace('"annotations"', '"completions"'))
    old["completions"][0]["result"][0]["value"]["choices"] = "pos"
    frame, _ = read(tmp_path / "b.json", json.dumps([old]))
    assert pairs(frame) == EXPECTED[:1]


def test_label_studio_that_asks_two_questions(tmp_path: Path) -> None:
    both = [task("Fine.", ["pos"]), task("Dull.", ["late"], question="topic")]
    data = json.dumps(both)
    assert "answer 2 questions: 'sentiment', 'topic'" in refused(tmp_path / "a.json", data)
    frame, _ = read(tmp_path / "a.json", data, label_columns="topic")
    assert pairs(frame) == [("Fine.", ""), ("Dull.", "late")]
    said = refused(tmp_path / "a.json", data, label_columns="kind")
    assert "no record has 'kind'; they have 'text', 'sentiment', 'topic'" in said.replace(
        "'label', ", ""
    )
    said = refused(tmp_path / "a.json", data, label_columns="topic", text_column="body")
    assert "no record has 'body'" in said


def test_label_studio_of_parts_of_texts(tmp_path: Path) -> None:
    spans = task("Ann went", {"result": [{"value": {"start": 0, "end": 3, "labels": ["PER"]}}]})
    assert "no record has 'label'" in refused(tmp_path / "a.json", json.dumps([spans]))


def test_doccano(tmp_path: Path) -> None:
    records = [
        {"id": 1, "text": "Fine.", "label": ["pos"], "Comments": []},
        {"id": 2, "text": "Dull.", "label": ["neg"]}, {"id": 3, "text": "?", "label": []},
    ]  # fmt: skip
    frame, _ = read(tmp_path / "all.jsonl", "\n".join(map(json.dumps, records)))
    assert pairs(frame) == [("Fine.", "pos"), ("Dull.", "neg"), ("?", "")]
    records[1]["label"] = [[0, 4, "PART"]]
    said = refused(tmp_path / "all.jsonl", "\n".join(map(json.dumps, records)))
    assert "row 2: the label is [[0, 4, 'PART']]; expected a name" in said


def test_prodigy(tmp_path: Path) -> None:
    options = [{"id": "POS", "text": "Positive"}, {"id": "NEG", "text": "Negative"}]
    records = [
        {"text": "Fine.", "options": options, "accept": ["POS"], "answer": "accept"},
        {"text": "Dull.", "options": options, "accept": ["NEG"], "answer": "accept"},
        {"text": "No", "options": options, "accept": ["NEG"], "answer": "reject"},
        {"text": "Skipped", "options": options, "accept": [], "answer": "ignore"},
        {"text": "Yes", "label": "POS", "answer": "accept"},
        {"text": "Not so", "label": "POS", "answer": "reject"},
    ]
    data = "\n".join(map(json.dumps, records))
    frame, _ = read(tmp_path / "out.jsonl", data)
    expected = [("Fine.", "POS"), ("Dull.", "NEG"), ("No", ""), ("Skipped", ""), ("Yes", "POS")]
    assert pairs(frame) == [*expected, ("Not so", "")]
    frame, _ = read(tmp_path / "out.jsonl", data, label_columns="accept")
    assert pairs(frame)[:4] == expected[:4]
    frame, _ = read(tmp_path / "out.jsonl", data, label_columns="answer")  # whoever asks for it
    assert frame["label"].tolist()[-1] == "reject"


def as_parquet(labels: list[object]) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame({"text": [f"text {n}" for n in range(len(labels))], "label": labels}).to_parquet(
        stream
    )
    return stream.getvalue()


def as_json(labels: list[object]) -> bytes:
    return json.dumps(
        [{"text": f"text {n}", "label": one} for n, one in enumerate(labels)]
    ).encode()


@pytest.mark.parametrize("written", [as_parquet, as_json])
def test_lists_of_labels(tmp_path: Path, written: object) -> None:
    path = tmp_path / ("a.parquet" if written is as_parquet else "a.json")
    frame, _ = read(path, written([["pos"], [], ["neg"]]))  # type: ignore[operator]
    assert frame["label"].tolist() == ["pos", "", "neg"]
    several = written([["pos"], ["neg", "late"]])  # type: ignore[operator]
    said = refused(path, several)
    assert "row 2: the label is a list of 2: ['neg', 'late']; expected one" in said
    assert "set data.label_separator" in said
    for separator, text in {";": "neg;late", " and ": "neg and late", ",;": "neg,late"}.items():
        frame, _ = read(path, several, label_separator=separator)
        assert frame["label"].tolist() == ["pos", text]
    torn = written([["pos"], ["neg; bad", "late"]])  # type: ignore[operator]
    assert "'neg; bad' holds ';'" in refused(path, torn, label_separator=";")


def test_a_dataset_of_lists(tmp_path: Path) -> None:
    rows = [["pos"], ["neg", "late"], [], ["late"]]
    for side in ("train", "test"):
        (tmp_path / f"{side}.json").write_bytes(as_json(rows))
    config = DataConfig(
        train=str(tmp_path / "train.json"), test=str(tmp_path / "test.json"), label_separator=";"
    )
    dataset = ingestion.ingest(config, tmp_path / "work")
    assert dataset.label_names == ("late", "neg", "pos")
    assert (dataset.train.labels["late"], dataset.train.unlabelled) == (2, 1)
    with pytest.raises(DataError, match=r"data\.label_separator"):
        ingestion.ingest(config.model_copy(update={"label_separator": ""}), tmp_path / "work")


def test_choices_in_a_cell_of_label_studios_csv(tmp_path: Path) -> None:
    data = 'text,label\nFine.,pos\nDull.,"{""choices"":[""neg"",""late""]}"\n'
    assert "is a list of 2" in refused(tmp_path / "a.csv", data)
    frame, _ = read(tmp_path / "a.csv", data, label_separator=";")
    assert pairs(frame) == [("Fine.", "pos"), ("Dull.", "neg;late")]


@pytest.mark.parametrize(
    "cell", ['["late", "rude, very"]', "['late', 'rude, very']", "['late' 'rude, very']"]
)
def test_lists_that_a_csv_has_in_words(tmp_path: Path, cell: str) -> None:
    rows = pd.DataFrame({"text": ["a", "b", "c"], "label": [cell, "late", "[sic] late]"]})
    frame, _ = read(tmp_path / "a.csv", rows.to_csv(index=False), label_separator=";")
    assert frame["label"].tolist() == ["late;rude, very", "late", "[sic] late]"]
    # Without a separator a cell holds one label, as it always did.
    frame, _ = read(tmp_path / "a.csv", rows.to_csv(index=False))
    assert frame["label"].tolist() == [cell, "late", "[sic] late]"]
