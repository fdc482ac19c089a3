"""Labels as people write them: what is one label, what is several, and what keeps its digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incumbent.config import DataConfig
from incumbent.data import datasets, ingestion
from incumbent.data.datasets import Dataset
from incumbent.data.label_spellings import key, loose_key, respelled, sharing_parts, spelled
from incumbent.errors import DataError


def ingested(
    folder: Path, train: list[Any], test: list[Any], labels: tuple[str, ...] = (), **config: Any
) -> Dataset:
    folder.mkdir(exist_ok=True)
    for name, cells in (("train", train), ("test", test)):
        rows = [(f"{name} text {n}", label) for n, label in enumerate(cells)]
        pd.DataFrame(rows, columns=["text", "label"]).to_csv(folder / f"{name}.csv", index=False)
    files = {name: str(folder / f"{name}.csv") for name in ("train", "test")}
    return ingestion.ingest(DataConfig.model_validate(files | config), folder, labels=labels)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("neg", "neg\u200b"), ("neg", "\ufeffneg"), ("neg", "n\u200deg"),
        ("caf\u00e9", "cafe\u0301"),
        ("not good", "not\u00a0 good"), ("TRUE", "True"), ("true", "True"), ("1", "1.0"),
        ("1", "1,0"), ("-3", "-3.00"), ("e-mail", "e\u2011mail"), ("a b", " a\tb "),
    ],
)  # fmt: skip
def test_what_no_reader_tells_apart_is_one_label(one: str, other: str) -> None:
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("pos", "Pos"), ("1", "1.5"), ("1.1", "1.10"), ("1", "01"), ("ab", "a b"), ("x\u00b2", "x2")],
)
def test_what_a_reader_tells_apart_is_not(one: str, other: str) -> None:
    assert key(one) != key(other)


def test_case_is_asked_about() -> None:
    assert loose_key("Pos") == loose_key("pos")
    assert loose_key("don\u2019t") == loose_key("Don't")


@given(st.lists(st.text(max_size=5), max_size=8), st.lists(st.text(max_size=5), max_size=8))
def test_each_label_has_one_spelling(train: list[str], test: list[str]) -> None:
    counts = [{label: n + 1 for n, label in enumerate(labels)} for labels in (train, test)]
    found = spelled(*counts)
    shown = {
        key(cell): {split.shown.get(cell, cell) for split, cells in zip(found, counts, strict=True)
                    for cell in cells if cell and key(cell) == key(label)}
        for label in train + test
        if label
        for cell in [label]
    }  # fmt: skip
    assert all(len(spellings) == 1 for spellings in shown.values())


def test_labels_are_shown_as_the_test_set_spells_them(tmp_path: Path) -> None:
    test = ["True", "True", "TRUE", "no"]
    few = ingested(tmp_path / "few", ["TRUE", "TRUE", "True", "no"], test)
    more = ingested(tmp_path / "more", ["TRUE", "True", "True", "no", "1.0", "1.0", "1"], test)
    assert few.test.labels == more.test.labels == {"True": 3, "no": 1}
    assert few.train.labels == {"True": 3, "no": 1}
    # What test does not have is spelled as most of training does.
    assert more.train.labels == {"1.0": 3, "True": 3, "no": 1}


def test_a_test_set_is_the_same_whatever_training_spells(tmp_path: Path) -> None:
    test = ["True", "no"]
    alone = ingested(tmp_path / "a", test, test)
    other = ingested(tmp_path / "b", ["TRUE", "no"], test)
    assert other.train.labels == other.test.labels == {"True": 1, "no": 1}
    assert other.test.digest == alone.test.digest
    named = ingested(tmp_path / "b", ["TRUE", "no"], test, ("TRUE", "no"))
    assert named.train.labels == named.test.labels == {"TRUE": 1, "no": 1}
    assert named.test.digest == alone.test.digest
    assert len({alone.digest, other.digest, named.digest}) == 3


@given(st.lists(st.sampled_from(["a", "B", "c d", "1"]), min_size=1, max_size=9))
def test_plain_labels_keep_their_digest(labels: list[str]) -> None:
    found, _ = spelled(dict.fromkeys(labels, 1), {})
    assert (found.shown, found.own, found.names) == ({}, {}, ())


@pytest.mark.parametrize("separator", [",", ";", ",;", ", "])
def test_several_labels_in_a_cell(tmp_path: Path, separator: str) -> None:
    cells = ["billing, late", "late, billing", "billing;late", "rude", "late", "none"]
    if separator == ";":
        cells += ["billing; late"]
    dataset = ingested(tmp_path, cells, cells, label_separator=separator)
    assert dataset.label_names == ("billing", "late", "rude")
    assert dataset.train.labels["none"] == 1
    assert set(datasets.load(dataset.train)["label"]) == {"billing|late", "rude", "late", "none"}


def test_a_comma_inside_a_label_is_its_own(tmp_path: Path) -> None:
    cells = ["Food, drink; Travel", "Travel", "Food, drink"]
    dataset = ingested(tmp_path, cells, cells, label_separator=";")
    assert dataset.label_names == ("Food, drink", "Travel")


def test_what_cannot_be_one_of_several_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'a\|b'.*data\.label_separator"):
        ingested(tmp_path, ["a|b; c"], ["c"], label_separator=";")


def test_labels_that_share_parts() -> None:
    assert sharing_parts(["flight", "flight+airfare"]) == {"flight+airfare": "+"}
    assert set(sharing_parts(["a, b", "b, a", "c"])) == {"a, b", "b, a"}
    assert sharing_parts(["food/cheap", "food/dear", "Yes, very", "no"]) == {}


def test_rows_without_a_label_are_left_out_and_counted(tmp_path: Path) -> None:
    dataset = ingested(tmp_path, ["a", None, "b", " ", "a"], ["a", "b"])
    assert (dataset.train.rows, dataset.train.unlabelled) == (3, 2)
    assert dataset.train.unlabelled_rows == (3, 5)
    assert dataset.train.labels == {"a": 2, "b": 1}
    with pytest.raises(DataError, match=r"none of its 2 rows has a label in 'label'"):
        ingested(tmp_path / "none", [None, None], ["a"])


@pytest.mark.parametrize(
    ("cells", "separator", "classes", "labels", "names"),
    [
        (["True", "1.0"], "", ("1", "TRUE"), ["TRUE", "1"], ()),
        (["late; True", "late"], ";", ("TRUE", "late", "rude"), ["TRUE|late", "late"],
         ("TRUE", "late", "rude")),
    ],
)  # fmt: skip
def test_a_test_set_has_the_labels_of_the_model_that_is_imported(
    tmp_path: Path, cells: list[str], separator: str, classes: tuple[str, ...],
    labels: list[str], names: tuple[str, ...],
) -> None:  # fmt: skip
    file = tmp_path / "test.csv"
    rows = "".join(f"text {n},{cell}\n" for n, cell in enumerate([*cells, ""]))
    file.write_text(f"text,label\n{rows}")
    config = DataConfig(train=str(file), test=str(file), label_separator=separator)
    read = ingestion.ingest_test(config, tmp_path)
    assert read.multilabel == bool(separator)
    known = ingestion.with_labels(read, classes)
    assert datasets.load(known.test)["label"].tolist() == labels
    assert (known.classes, known.label_names, known.train_known) == (classes, names, False)
    assert (known.test.digest, known.test.unlabelled) == (read.test.digest, 1)
    # A retraining with this test set finds it to be the same.
    assert ingestion.ingest(config, tmp_path).test.digest == read.test.digest
    assert known.digest != read.digest
    again = ingestion.with_labels(known, classes)
    assert again == known


def test_a_champion_is_understood_whose_training_spelled_labels_otherwise() -> None:
    assert respelled(["TRUE", "no", "Pos"], ["True", "no", "pos"]) == {"TRUE": "True"}
