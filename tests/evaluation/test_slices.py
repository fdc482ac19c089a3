"""Groups of test rows, and how accurate a model is on each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incumbent.data import language_detection
from incumbent.errors import StageError
from incumbent.evaluation import slices
from incumbent.evaluation.wilson_and_bootstrap import wilson

WORDS = st.lists(st.text(max_size=6) | st.just("other"), max_size=5).map(" ".join)


def frame_of(**columns: list[str]) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    blank = {"text": [""] * rows, "label": ["a"] * rows}
    return pd.DataFrame({name.replace("_", ":"): v for name, v in (blank | columns).items()})


def members(name: str, **columns: list[str]) -> dict[str, list[int]]:
    """Row numbers by slice."""
    found = slices.members(frame_of(**columns), [name])
    return {part.name: np.flatnonzero(part.mask).tolist() for part in found}


def test_length_makes_thirds() -> None:
    texts = [("word " * words).strip() for words in (9, 1, 5, 2, 8, 4, 3, 7, 6)]
    assert members("length", text=texts) == {
        "length: 1 to 3 words": [1, 3, 6],
        "length: 4 to 6 words": [2, 5, 8],
        "length: 7 to 9 words": [0, 4, 7],
    }


def test_texts_of_one_length_stay_together() -> None:
    assert members("length", text=["a", "b", "c", "d"]) == {"length: 1 word": [0, 1, 2, 3]}
    assert members("length", text=["a"] * 5 + ["a b c"]) == {
        "length: 1 word": [0, 1, 2, 3, 4],
        "length: 3 words": [5],
    }
    assert members("length", text=["", "\n\t", "a"]) == {
        "length: 0 words": [0, 1],
        "length: 1 word": [2],
    }


def test_class_is_the_true_label() -> None:
    labels = ["pos", "neg", "pos", "2"]
    assert members("class", label=labels) == {
        "class: 2": [3], "class: neg": [1], "class: pos": [0, 2],
    }  # fmt: skip


def test_every_class_is_a_slice_however_many() -> None:
    assert len(members("class", label=[f"intent {n}" for n in range(150)])) == 150


def test_a_column_the_most_frequent_value_first() -> None:
    assert members("channel", slice_channel=["app", "web", "", "web", " web\n page "]) == {
        "channel: web": [1, 3],
        "channel: (none)": [2],
        "channel: app": [0],
        "channel: web page": [4],
    }


def test_rare_values_are_pooled() -> None:
    found = members("price", slice_price=[str(n // 2) for n in range(50)])
    assert len(found) == 21
    assert sum(map(len, found.values())) == 50
    assert len(found["price: other"]) == 10
    assert len(members("price", slice_price=[str(n) for n in range(20)])) == 20


def test_a_value_that_is_called_other_is_no_second_slice() -> None:
    values = ["other"] * 5 + [str(n) for n in range(30)]
    found = members("kind", slice_kind=values)
    assert len(found) == 20
    assert found["kind: other"][:5] == [0, 1, 2, 3, 4]
    assert len(found["kind: other"]) == 5 + 30 - 19


def test_values_are_shown_in_part_and_told_apart_by_it() -> None:
    found = members("note", slice_note=["x" * 30_000, "x" * 30_001, "<script>alert(1)</script>"])
    assert found == {f"note: {'x' * 60}": [0, 1], "note: <script>alert(1)</script>": [2]}


def test_names_keep_their_order() -> None:
    test = frame_of(text=["a", "b b"], label=["x", "y"], slice_z=["1", "1"])
    found = [part.name for part in slices.members(test, ["z", "class", "length"])]
    assert found == ["z: 1", "class: x", "class: y", "length: 1 word", "length: 2 words"]


@given(st.lists(WORDS, min_size=1, max_size=60), st.sampled_from(["length", "class", "column"]))
def test_each_row_is_in_one_slice(values: list[str], name: str) -> None:
    test = pd.DataFrame({"text": values, "label": values, "slice:column": values})
    found = slices.members(test, [name])
    assert np.sum([part.mask for part in found], axis=0).tolist() == [1] * len(values)
    assert all(part.mask.any() for part in found)
    assert len({part.name for part in found}) == len(found)
    assert not any("\n" in part.name for part in found)


def test_language_is_a_column_or_else_detected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Path | None] = []

    def detect(texts: list[str], cache: Path | None) -> list[str]:
        asked.append(cache)
        return ["en", "unknown"]

    monkeypatch.setattr(language_detection, "detect", detect)
    assert members("language", slice_language=["Maltese", "Maltese"]) == {
        "language: Maltese": [0, 1]
    }
    assert asked == []
    found = slices.members(frame_of(text=["one", "two"]), ["language"], tmp_path)
    assert [part.name for part in found] == ["language: en", "language: unknown"]
    assert asked == [tmp_path]


def test_data_without_the_column_is_refused() -> None:
    with pytest.raises(StageError, match=r"'channel'.*Run again"):
        members("channel", text=["a"])


def mask(*rows: int, of: int = 100) -> np.ndarray:
    return np.isin(np.arange(of), rows)


def test_accuracy_of_each_slice() -> None:
    right = mask(*range(20), *range(30, 100))
    parts = [slices.Slice("first", mask(*range(30))), slices.Slice("last", mask(*range(71, 100)))]
    first, last = slices.accuracies(parts, right, 0.9)
    assert (first.name, first.rows, first.enough) == ("first", 30, True)
    assert first.accuracy == wilson(20, 30, 0.9)
    assert (last.name, last.rows, last.enough) == ("last", 29, False)
    assert last.accuracy.value == 1.0
    assert slices.accuracies(parts, right, 0.9, min_rows=31)[0].enough is False


def test_a_slice_without_rows_is_left_out() -> None:
    parts = [slices.Slice("none", mask()), slices.Slice("one", mask(3))]
    assert [part.name for part in slices.accuracies(parts, mask(), 0.95)] == ["one"]


def test_predictions_of_other_rows_are_refused() -> None:
    with pytest.raises(StageError, match=r"'few'.*the same rows"):
        slices.accuracies([slices.Slice("few", mask(1, of=5))], mask(), 0.95)
