"""Rows that are labelled more than once: corrections, and people who differ."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from incumbent.config import DataConfig
from incumbent.data import corrections, datasets, ingestion, row_columns
from incumbent.data.datasets import Dataset
from incumbent.errors import DataError
from incumbent.tables import source_reading

TEST = [("t one", "x"), ("t two", "y"), ("t three", "x")]


def written(path: Path, rows: list[tuple[Any, ...]], columns: str = "text label") -> str:
    pd.DataFrame(rows, columns=columns.split()).to_csv(path, index=False)
    return str(path)


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """The dataset of some files of training rows."""

    def ingested(
        *files: list[tuple[Any, ...]], columns: str = "text label", **given: Any
    ) -> Dataset:
        train = tuple(
            written(tmp_path / f"{number}.csv", rows, columns) for number, rows in enumerate(files)
        )
        test = written(tmp_path / "test.csv", TEST)
        config = DataConfig.model_validate({"train": train, "test": test} | given)
        return ingestion.ingest(config, tmp_path / "work")

    return ingested


def rows_of(dataset: Dataset) -> list[tuple[str, str]]:
    frame = datasets.load(dataset.train)
    assert not {*corrections.COLUMNS} & {*frame}
    return list(zip(frame["text"], frame["label"], strict=True))


OLD = [("one", "x"), ("two", "y"), ("three", "x"), ("two", "y")]
NEW = [("Two ", "x"), ("four", "y")]


def test_without_any_key_all_rows_stay_and_the_digest_with_them(read: Any, tmp_path: Path) -> None:
    dataset = read(OLD, NEW)
    assert rows_of(dataset) == [*OLD, *NEW]
    assert dataset.train.settled == corrections.Settled()
    frame = pd.DataFrame([*OLD, *NEW], columns=["text", "label"])
    assert dataset.train.digest == datasets.digest([frame])
    # Of texts that are labelled once, nothing changes.
    plain = read(OLD[:3], NEW[1:])
    assert read(OLD[:3], NEW[1:], on_disagreement="latest").digest == plain.digest


def test_a_later_file_corrects_by_the_text(read: Any) -> None:
    dataset = read(OLD, NEW, on_disagreement="latest")
    assert rows_of(dataset) == [("one", "x"), ("three", "x"), ("Two ", "x"), ("four", "y")]
    settled = dataset.train.settled
    assert (settled.replaced, settled.replaced_by, settled.repeated) == (2, {1: 2}, 0)
    assert dataset.train.settled_in_words == "2 labels replaced (2 by 1.csv)"
    # What a later row says again is no correction, and texts that repeat stay.
    assert len(rows_of(read(OLD, OLD, on_disagreement="latest"))) == 8


def test_a_row_further_down_corrects_one_above(read: Any) -> None:
    dataset = read([("one", "x"), ("two", "y"), ("one", "y")], on_disagreement="latest")
    assert rows_of(dataset) == [("two", "y"), ("one", "y")]
    assert dataset.train.settled.replaced_by == {0: 1}


def test_by_its_id_a_row_is_known_whatever_its_text(read: Any) -> None:
    columns = "text label id"
    old = [("ok", "x", 1), ("ok", "y", 2), ("three", "x", 3), ("lone", "x", None)]
    new = [("three, mended", "y", 3), ("ok", "y", 2), ("five", "y", 5)]
    dataset = read(old, new, columns=columns, id_column="ID")
    assert rows_of(dataset) == [
        ("ok", "x"), ("lone", "x"), ("three, mended", "y"), ("ok", "y"), ("five", "y"),
    ]  # fmt: skip
    settled = dataset.train.settled
    assert (settled.replaced, settled.repeated) == (1, 1)
    assert dataset.train.settled_in_words == ("1 label replaced (1 by 1.csv); 1 row given again")


def test_an_id_is_no_text(read: Any) -> None:
    rows = [("7", "x", None), ("seven", "y", 7)]
    assert len(rows_of(read(rows, columns="text label id", id_column="id"))) == 2


@pytest.mark.parametrize(
    "later",
    ["2026-11-28", "28.11.2026 09:30", "28. 11. 2026", "28.11.2026, 09:30",
     "2026-11-28T01:00:00+02:00"],
)  # fmt: skip
def test_dates_come_before_the_order_of_files(read: Any, later: str) -> None:
    columns = "text label date"
    dataset = read(
        [("one", "x", later), ("two", "x", None)],
        [("one", "y", "2026-11-27 12:00:00"), ("two", "y", "1999-01-01"), ("two", "x", "-")],
        columns=columns, date_column="date",
    )  # fmt: skip
    assert rows_of(dataset) == [("one", "x"), ("two", "y")]
    assert dataset.train.settled.replaced_by == {0: 1, 1: 2}


def test_what_is_no_date_is_named_by_file_row_and_column(read: Any) -> None:
    with pytest.raises(DataError, match=r"row 3 of 1\.csv, column 'date': found '11/28/2026'"):
        read(
            [("one", "x", "2026-11-28")], [("two", "y", ""), ("three", "y", "11/28/2026")],
            columns="text label date", date_column="date",
        )  # fmt: skip


def test_a_column_that_is_nowhere_is_refused_with_the_nearest(read: Any) -> None:
    with pytest.raises(DataError, match=r"data\.id_column names 'tickt'.*Did you mean 'ticket'"):
        read([("one", "x", 1)], columns="text label ticket", id_column="tickt")
    with pytest.raises(DataError, match=r"data\.annotator_column names 'who'"):
        read([("one", "x", "")], columns="text label who", annotator_column="who")


PEOPLE = [
    ("one", "x", "ann"), ("one", "x", "bob"), ("one", "y", "cy"),  # two of three
    ("two", "x", "ann"), ("two", "y", "bob"),  # as many
    ("three", "y", "ann"), ("three", "x", "bob"), ("three", "x", "ann"),  # who changed her mind
    ("four", "z", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "kept", "aside", "replaced"),
    [
        (None, "one y, two y, three x, four z", 0, 4),
        ("latest", "one y, two y, three x, four z", 0, 4),
        ("majority", "one x, two y, three x, four z", 0, 3),
        ("set_aside", "three x, four z", 5, 1),
        ("keep", ", ".join(f"{text} {label}" for text, label, _ in PEOPLE), 0, 0),
    ],
)
def test_people_who_differ(
    read: Any, policy: str | None, kept: str, aside: int, replaced: int
) -> None:
    dataset = read(PEOPLE, columns="text label who", annotator_column="who", on_disagreement=policy)
    assert ", ".join(f"{text} {label}" for text, label in rows_of(dataset)) == kept
    settled = dataset.train.settled
    assert (settled.set_aside, settled.replaced) == (aside, replaced)
    assert settled.agreement is not None
    assert (settled.agreement.people, settled.agreement.rows) == (3, 3)
    found = {(p.one, p.other): (p.rows, p.alike) for p in settled.agreement.pairs}
    assert found == {("ann", "bob"): (3, 2), ("ann", "cy"): (1, 0), ("bob", "cy"): (1, 0)}
    assert "ann" not in dataset.train.settled_in_words


def test_two_spellings_of_a_label_are_no_disagreement(read: Any) -> None:
    rows = [("one", "TRUE"), ("two", "False"), ("one", "True"), ("one", "true ")]
    dataset = read(rows, on_disagreement="latest")
    assert dataset.train.settled.replaced == 0
    assert len(rows_of(dataset)) == 4


def test_labels_that_only_replaced_rows_had_are_gone(read: Any) -> None:
    rows = [("one", "late; rude"), ("two", "wet; late"), ("one", "wet"), ("two", "late;wet")]
    dataset = read(rows, on_disagreement="latest", label_separator=";")
    assert rows_of(dataset) == [("two", "late|wet"), ("one", "wet"), ("two", "late|wet")]
    assert "rude" not in dataset.train.labels


def test_the_test_set_is_corrected_too_and_is_another_one(tmp_path: Path) -> None:
    train = written(tmp_path / "train.csv", OLD)
    test = written(tmp_path / "test.csv", [*TEST, ("T  one", "y")])
    config = DataConfig(train=train, test=test)
    before = ingestion.ingest(config, tmp_path / "work")
    latest = config.model_copy(update={"on_disagreement": "latest"})
    after = ingestion.ingest(latest, tmp_path / "work")
    assert (before.test.rows, after.test.rows) == (4, 3)
    assert after.test.settled.replaced == 1
    assert after.test.digest != before.test.digest
    assert ingestion.ingest_test(latest, tmp_path / "work").test.digest == after.test.digest
    # What was read before is remembered with all that became of it.
    assert ingestion.read_before(latest, tmp_path / "work") == after
    assert json.loads(after.model_dump_json())["test"]["settled"]["replaced_by"] == {"0": 1}


def test_slices_stay_and_other_columns_do_not(tmp_path: Path) -> None:
    rows = [("one", "x", "ann", 1), ("two", "y", "bob", 2)]
    path = written(tmp_path / "a.csv", rows, "text label who id")
    config = DataConfig(train=path, test=path, id_column="id", annotator_column="who")
    dataset = ingestion.ingest(config, tmp_path / "work", ["who"])
    frame = datasets.load(dataset.test)
    assert frame["slice:who"].tolist() == ["ann", "bob"]
    assert "slice:id" not in frame


def test_rows_without_label_or_text_are_nobodys_correction(read: Any) -> None:
    rows = [("one", "x"), (" ", "x"), ("", "y"), ("one", None)]
    dataset = read(rows, on_disagreement="latest")
    assert (dataset.train.rows, dataset.train.unlabelled) == (3, 1)
    assert dataset.train.settled.replaced == 0


@pytest.mark.parametrize("policy", ["latest", "majority", "set_aside"])
def test_it_does_what_it_says_of_any_rows(policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the same rules, said row by row."""
    generator = np.random.default_rng(0)
    for _ in range(30):
        n = int(generator.integers(1, 40))
        frame = pd.DataFrame(
            {
                "text": generator.choice(["a", "B", "b", "c c", "c  C", "d"], n),
                "id": generator.choice(["", "", "1", "2"], n),
                "label": generator.choice(["x", "y", "z"], n),
                "annotator": generator.choice(["", "ann", "bob", "cy"], n),
                "date": generator.choice([corrections.NO_DATE, 10, 20], n),
                "row": np.arange(n) + 10**9 * (np.arange(n) * 3 // n),
            }
        )
        parts = [frame.iloc[: n // 2], frame.iloc[n // 2 :]]
        kept, settled = corrections.settle(parts, {}, policy=policy, sets=False)
        expected = by_hand(frame, policy)
        assert np.flatnonzero(kept).tolist() == expected
        assert len(frame) - kept.sum() == (settled.replaced + settled.repeated + settled.set_aside)
        assert sum(settled.replaced_by.values()) == settled.replaced


def by_hand(frame: pd.DataFrame, policy: str) -> list[int]:
    rows = frame.to_dict("records")
    for at, row in enumerate(rows):
        row["at"] = at
        row["key"] = ("id", row["id"]) if row["id"] else ("", " ".join(row["text"].lower().split()))
    kept: list[int] = []
    for _, group in itertools.groupby(sorted(rows, key=lambda r: r["key"]), lambda r: r["key"]):
        own = sorted(group, key=lambda r: (r["date"], r["at"]))
        if len({r["label"] for r in own}) == 1 and not any(r["id"] or r["annotator"] for r in own):
            kept += [r["at"] for r in own]
            continue
        votes = {r["annotator"] or r["at"]: r for r in own}
        votes = sorted(votes.values(), key=lambda r: (r["date"], r["at"]))
        said = [r["label"] for r in votes]
        if policy == "set_aside" and len(set(said)) > 1:
            continue
        if policy == "majority":
            most = max(map(said.count, said))
            votes = [r for r in votes if said.count(r["label"]) == most]
        kept.append(votes[-1]["at"])
    return sorted(kept)


def test_parts_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "text": [f"text {n}" for n in generator.integers(0, 30, 90)],
            "label": generator.choice(["x", "y"], 90),
            "who": generator.choice(["ann", "bob"], 90),
        }
    )
    path = tmp_path / "a.parquet"
    frame.to_parquet(path)
    config = DataConfig(train=str(path), test=str(path), annotator_column="who")
    whole = ingestion.ingest(config, tmp_path / "whole")
    monkeypatch.setattr(source_reading, "_PART", 7)
    monkeypatch.setattr(datasets, "_PART", 4)
    parts = ingestion.ingest(config, tmp_path / "parts")
    assert parts.digest == whole.digest
    assert parts.train.settled == whole.train.settled
    assert whole.train.rows == frame["text"].nunique()


def test_a_part_of_the_training_data_may_lack_the_columns(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", OLD)
    config = DataConfig(train=path, test=path, id_column="id")
    assert ingestion.ingest(config, tmp_path / "work", part_of_train=True).train.rows == 4
    with pytest.raises(DataError, match=r"data\.id_column"):
        ingestion.ingest(config, tmp_path / "other")
    assert row_columns.named(config) == ["id"]
    kept = config.model_copy(update={"on_disagreement": "keep"})
    assert row_columns.named(kept) == []


def test_an_id_is_one_without_its_zeros_and_none_where_a_sign_says_so(read: Any) -> None:
    rows = [("one", "x", "007"), ("two", "y", "7.0"), ("three", "x", "-"), ("four", "y", "n/a"),
            ("five", "x", "A07"), ("six", "y", "A7"), ("seven", "x", "0")]  # fmt: skip
    dataset = read(rows, columns="text label id", id_column="id")
    assert [text for text, _ in rows_of(dataset)] == [
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
    ]


def test_an_id_that_a_spreadsheet_has_shortened_is_refused(read: Any) -> None:
    rows = [("one", "x", "12"), ("two", "y", "1.23457E+11")]
    with pytest.raises(DataError, match=r"row 3, column 'id': found '1\.23457E\+11'"):
        read(rows, columns="text label id", id_column="id")
