"""Texts in several columns, such as title and body."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest

from incumbent import config_mistakes
from incumbent.config import DataConfig
from incumbent.data import datasets, ingestion
from incumbent.tables import table_reader
from tests.tables.test_tables_as_people_have_them import pairs, read, refused

HEAD = ["Title", "body", "label"]
ROWS = [
    ("Fine", "A film. ", "pos"), ("Dull", None, "neg"), (None, "Long", "neg"), (None, None, "pos"),
    (2012, "An end", "neg"), (None, None, None), (7, None, "pos"),
]  # fmt: skip
EXPECTED = [("Fine\n\nA film.", "pos"), ("Dull", "neg"), ("Long", "neg"), ("", "pos"),
            ("2012\n\nAn end", "neg"), ("7", "pos")]  # fmt: skip


def written(suffix: str, rows: list[tuple[object, ...]] = ROWS, head: list[str] = HEAD) -> bytes:
    frame = pd.DataFrame(rows, columns=head, dtype=object)
    stream = io.BytesIO()
    if suffix == ".csv":
        frame.to_csv(stream, index=False)
    elif suffix == ".xlsx":
        frame.to_excel(stream, index=False)
    elif suffix == ".parquet":
        titles = frame["Title"].map(lambda title: title and str(title))
        frame.assign(Title=titles).to_parquet(stream)
    else:  # a record lacks what is blank
        there = [{k: v for k, v in zip(head, row, strict=True) if v is not None} for row in rows]
        stream.write("\n".join(json.dumps(record) for record in there if record).encode())
    return stream.getvalue()


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet", ".jsonl"])
def test_they_are_joined_by_a_blank_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    frame, said = read(path, written(suffix), text_column=("title", "body"))
    assert pairs(frame) == EXPECTED
    assert "'Title' is taken for 'title'" in said
    tables = table_reader.whole(str(path), None, "auto", ("title", "body"))
    texts = [t for table in tables for t in table_reader.texts(table, ("title", "body"), "it")]
    assert [text for text in texts if text] == [text for text, _ in EXPECTED if text]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet", ".jsonl"])
def test_a_file_may_lack_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    data = written(suffix, [("Fine", "pos"), ("Dull", "neg")], ["Title", "label"])
    frame, said = read(path, data, text_column=("title", "body"))
    assert pairs(frame) == [("Fine", "pos"), ("Dull", "neg")]
    assert "there is no column 'body'" in said
    message = refused(path, data, text_column=("headline", "body"))
    assert "headline" in message


def test_a_slip_in_a_name_is_refused(tmp_path: Path) -> None:
    data = "title,bodi,label\nFine,A film,pos\n"
    said = refused(tmp_path / "a.csv", data, text_column=("title", "body"))
    assert "no column 'body'. Did you mean 'bodi'?" in said


def test_a_dataset_of_them(tmp_path: Path) -> None:
    for side in ("train", "test"):
        (tmp_path / f"{side}.csv").write_bytes(written(".csv"))
    sides = {side: str(tmp_path / f"{side}.csv") for side in ("train", "test")}
    config = DataConfig(text_column=("title", "body"), **sides)
    dataset = ingestion.ingest(config, tmp_path / "work")
    frame = datasets.load(dataset.train)
    assert pairs(frame) == EXPECTED
    assert frame["found"].tolist()[:5] == ["text", "text", "text", "empty", "text"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [([], "names no column"), (["a", "a"], "or one twice"), (["a", "label"], "both name 'label'")],
)
def test_what_a_config_may_name(columns: list[str], said: str) -> None:
    (mistake,) = config_mistakes.mistakes({"data": {"text_column": columns}})
    assert said in mistake
