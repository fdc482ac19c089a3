"""Rows with none, one or several labels: columns of yes and no, and what is made of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incumbent import label_sets
from incumbent.config import DataConfig
from incumbent.data import datasets, ingestion, stratified_sample
from incumbent.data.datasets import Dataset
from incumbent.data.label_arrays import names_of, truth_of
from incumbent.errors import DataError
from incumbent.evaluation import slices
from incumbent.tables import table_reader

NAMES = ("billing", "late", "rude")
COLUMNS = ["rude", "billing", "late"]
ROWS = [
    ("where is my money", 0, 1, 0),
    ("late again, and he laughed at me", 1, 0, 1),
    ("all is well", 0, 0, 0),
]
SETS = ["billing", "late|rude", "none"]


def frame_of(rows: Any = ROWS) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["text", *COLUMNS])


def read(path: Path, **config: Any) -> pd.DataFrame:
    return table_reader.read(str(path), DataConfig(**({"label_columns": COLUMNS} | config)))


def ingested(folder: Path, train: Any = ROWS, test: Any = ROWS, **config: Any) -> Dataset:
    folder.mkdir(exist_ok=True)
    for name, rows in (("train", train), ("test", test)):
        frame_of(rows).to_csv(folder / f"{name}.csv", index=False)
    settings = {
        "train": str(folder / "train.csv"), "test": str(folder / "test.csv"),
        "label_columns": COLUMNS,
    }  # fmt: skip
    return ingestion.ingest(DataConfig(**(settings | config)), folder)


def test_every_format_gives_the_same_sets(tmp_path: Path) -> None:
    frame = frame_of()
    words = frame.replace({1: "TRUE", 0: "False"}).astype(dict.fromkeys(COLUMNS, object))
    frame.to_excel(tmp_path / "numbers.xlsx", index=False)
    frame.astype(dict.fromkeys(COLUMNS, bool)).to_excel(tmp_path / "booleans.xlsx", index=False)
    words.to_excel(tmp_path / "words.xlsx", index=False)
    frame.astype(dict.fromkeys(COLUMNS, float)).to_csv(tmp_path / "floats.csv", index=False)
    words.to_csv(tmp_path / "words.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "numbers.parquet")
    frame.astype(dict.fromkeys(COLUMNS, bool)).to_json(
        tmp_path / "booleans.jsonl", orient="records", lines=True
    )
    for path in tmp_path.iterdir():
        assert read(path)["label"].tolist() == SETS, path


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        (2, "'2'"), ("maybe", "'maybe'"),
        (0.5, "'0.5'"), ("-1", "'-1'"), ("=B2", "the formula '=B2' without a saved value"),
    ],
)  # fmt: skip
def test_a_cell_that_says_neither_is_refused(tmp_path: Path, cell: object, found: str) -> None:
    rows = [*ROWS, ("late once more", 1, 0, cell), ("and again", 1, "a", "b")]
    path = tmp_path / "a.xlsx"
    frame_of(rows).to_excel(path, index=False, sheet_name="Tickets")
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(
        f"{path}, sheet 'Tickets', row 5, column 'late': found {found}"
    )
    assert (
        "expected x or nothing, yes or no, 1 or 0, true or false: whether the row has that label"
        in str(caught.value)
    )
    assert "in at least 2 more cells" in str(caught.value)
    assert "data.label_columns" in str(caught.value)


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        ("x", None), ("X ", " "), ("✓", ""), ("✔\ufe0f", None), ("yes", "no"), ("Ja", "Nein"),
        ("OUI", "non"), ("sí", "No"), ("VRAI", "FAUX"), ("WAHR", "FALSCH"), ("✓", "✗"),
        ("はい", "いいえ"), ("ДА", "нет"), ("1.0", None), ("1,0", "0,0"), (True, None),
    ],
)  # fmt: skip
def test_ticks_and_words_of_many_languages_say_the_same(
    tmp_path: Path, yes: object, no: object
) -> None:
    rows = [(text, *(yes if has else no for has in cells)) for text, *cells in ROWS]
    frame_of(rows).to_excel(tmp_path / "a.xlsx", index=False)
    labels = read(tmp_path / "a.xlsx")["label"].tolist()
    assert labels == SETS


@pytest.mark.parametrize(
    ("yes", "no"), [("○", "×"), ("o", "x"), ("v", "X"), ("✓", "x"), ("☑", "☒")]
)
def test_a_cross_beside_another_tick_may_be_a_no(tmp_path: Path, yes: str, no: str) -> None:
    rows = [(text, *(yes if has else no for has in cells)) for text, *cells in ROWS]
    frame_of(rows).to_excel(tmp_path / "a.xlsx", index=False)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.xlsx")
    assert f"both {no.lower()!r} and {yes!r}" in str(caught.value)
    assert "Write yes and no" in str(caught.value)


def test_a_row_that_nobody_looked_at_has_no_label(tmp_path: Path) -> None:
    frame_of([*ROWS, ("later", None, None, None)]).to_csv(tmp_path / "a.csv", index=False)
    assert read(tmp_path / "a.csv")["label"].tolist() == [*SETS, ""]


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    frame_of().to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(DataError, match=r"no column 'ruder'. Did you mean 'rude'\?"):
        read(tmp_path / "a.csv", label_columns=["late", "ruder"])


def test_rows_that_are_blank_at_the_end_are_no_rows(tmp_path: Path) -> None:
    stream = io.StringIO("text,rude,billing,late\nfine,0,0,0\n,,,\n")
    (tmp_path / "a.csv").write_text(stream.getvalue(), encoding="utf-8")
    assert read(tmp_path / "a.csv")["label"].tolist() == ["none"]


def test_the_dataset_knows_its_labels(tmp_path: Path) -> None:
    dataset = ingested(tmp_path)
    assert dataset.multilabel
    assert dataset.classes == dataset.label_names == NAMES
    assert dataset.train.labels == {"billing": 1, "late": 1, "rude": 1, "none": 1}
    assert list(dataset.train.labels) == [*NAMES, "none"]
    assert datasets.load(dataset.train)["label"].tolist() == SETS
    again = Dataset.model_validate_json(dataset.model_dump_json())
    assert again == dataset


def test_a_dataset_of_before_has_one_class_a_row(tmp_path: Path) -> None:
    written = ingested(tmp_path).model_dump(exclude={"label_names"})
    assert not Dataset.model_validate(written).multilabel


def test_the_digest_covers_the_labels_and_not_the_order_of_the_columns(tmp_path: Path) -> None:
    one = ingested(tmp_path)
    assert ingested(tmp_path, label_columns=sorted(COLUMNS)).digest == one.digest
    changed = ingested(tmp_path, test=[*ROWS[:2], ("all is well", 0, 0, 1)])
    assert changed.train.digest == one.train.digest
    assert changed.test.digest != one.test.digest
    # A label that no row has makes other questions of the same rows.
    few = [(text, 0, billing, late) for text, _, billing, late in ROWS]
    narrow = ingested(tmp_path, few, few, label_columns=["billing", "late"])
    wide = ingested(tmp_path, few, few)
    assert datasets.load(narrow.test)["label"].equals(datasets.load(wide.test)["label"])
    assert narrow.test.digest != wide.test.digest


@given(st.lists(st.sets(st.sampled_from(NAMES)), min_size=1, max_size=30))
def test_sets_and_arrays_are_two_ways_to_say_the_same(sets: list[set[str]]) -> None:
    texts = [label_sets.join(names) for names in sets]
    truth = truth_of(texts, NAMES, multilabel=True)
    assert truth.shape == (len(sets), 3)
    assert [{n for n, has in zip(NAMES, row, strict=True) if has} for row in truth] == sets
    assert names_of(truth, NAMES) == texts
    assert all(label_sets.is_set_of(text, NAMES) for text in texts)


def test_classes_are_indices() -> None:
    found = truth_of(["neg", "pos", "new"], ["neg", "pos"], multilabel=False)
    assert found.tolist() == [0, 1, -1]
    assert names_of(found[:2], ["neg", "pos"]) == ["neg", "pos"]


def test_what_is_no_set_as_it_is_written() -> None:
    for text in ("late|billing", "late|late", "early", "", "late|", "none|late"):
        assert not label_sets.is_set_of(text, NAMES), text


def test_the_served_file_writes_sets_as_the_data_does() -> None:
    from incumbent.predictor import joined

    has = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1]], dtype=bool)
    assert joined(has, np.array(NAMES, dtype=object)) == names_of(has, NAMES)


def test_pandas_splits_the_sets() -> None:
    has = pd.Series(["late|rude", "billing"]).str.get_dummies()
    assert has.to_numpy().tolist() == [[0, 1, 1], [1, 0, 0]]


def test_a_sample_is_not_one_of_oddities() -> None:
    # 900 rows of two common sets, and 100 that are each the only one of theirs.
    common = ["late"] * 600 + ["none"] * 300
    label = pd.Series([*common, *(f"a{n}|b" for n in range(100))])
    taken = label.iloc[stratified_sample.sample(label, 100, 0, sets=True)]
    assert len(taken) == 100
    assert (taken.isin(["late", "none"]).sum(), (taken == "late").sum()) == (90, 60)
    assert taken.equals(label.iloc[stratified_sample.sample(label, 100, 0, sets=True)])


def test_a_slice_of_a_label_has_the_rows_that_have_it() -> None:
    test = pd.DataFrame({"text": [""] * 4, "label": [*SETS, "rude"]})
    found = slices.members(test, ["class"], label_names=NAMES)
    assert {part.name: np.flatnonzero(part.mask).tolist() for part in found} == {
        "class: billing": [0], "class: late": [1], "class: rude": [1, 3], "class: none": [2],
    }  # fmt: skip
