"""Accuracy by slice: on short texts, on one class, on one language, on any column's values.

A name in `evaluation.slices` makes one slice of each of its values: `length` of each third of the
texts by words (split at white space), `class` of each true label (of rows with several labels, of
the rows that have it, and of those that have none), `language` of each language, any other of each
value of that column.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel

from incumbent import label_sets
from incumbent.data import language_detection
from incumbent.data.label_arrays import truth_of
from incumbent.errors import StageError
from incumbent.evaluation.wilson_and_bootstrap import Estimate, wilson
from incumbent.tables.table_reader import SLICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    BoolArray = NDArray[np.bool_]
    StringArray = NDArray[np.str_]

MIN_ROWS = 30
"""Rows below which a slice says too little to decide anything: at 80 % of 30, Wilson's interval
is 28 points wide."""

_MOST_VALUES = 20  # of a column; the rarer ones are pooled
_OTHER = "other"
_CHARACTERS = 60  # of a value that are shown, and that tell it apart


@dataclass(frozen=True, eq=False)
class Slice:
    """Test rows that have something in common; `mask` (n,) says which."""

    name: str
    """Like `length: 1 to 14 words`; it may hold any text of the data."""
    mask: BoolArray


class SliceAccuracy(BaseModel, frozen=True):
    """How accurate a model is on one slice; where not `enough` rows are in it, no gate may fail."""

    name: str
    rows: int
    accuracy: Estimate
    enough: bool


def members(
    test: pd.DataFrame,
    names: Sequence[str],
    cache: Path | None = None,
    label_names: Sequence[str] = (),
) -> list[Slice]:
    """The slices of a canonical test split, each name's in order; none is without rows.

    Of a column with more than 20 values the 20 most frequent are slices, and the others one more,
    `other`; so of languages. Missing values are `(none)`.

    Args:
        test: The test rows (n,).
        names: As `evaluation.slices` has them.
        cache: Where detected languages are kept, by texts.
        label_names: The labels, where a row may have any of them.

    Raises:
        StageError: if the split was written without a column that is named.
    """
    return [
        Slice(f"{name}: {value}", mask)
        for name in names
        for value, mask in _masks(test, name, cache, label_names).items()
        if mask.any()
    ]


def accuracies(
    slices: Sequence[Slice], right: BoolArray, confidence: float, min_rows: int = MIN_ROWS
) -> tuple[SliceAccuracy, ...]:
    """Each slice's rows and accuracy, with Wilson's interval; slices without rows are left out.

    Args:
        slices: What `members` gives, for the same rows.
        right: Which rows (n,) the model predicts rightly.
        confidence: Coverage of the intervals.
        min_rows: How many rows are enough for a gate.

    Raises:
        StageError: if a mask is not for as many rows.
    """
    found = []
    for part in slices:
        if part.mask.shape != right.shape:
            raise StageError(
                f"The slice {part.name!r} is of {part.mask.shape} rows, the predictions are of "
                f"{right.shape}; the same rows are expected."
            )
        rows = int(part.mask.sum())
        if rows:
            accuracy = wilson(int(right[part.mask].sum()), rows, confidence)
            found.append(
                SliceAccuracy(name=part.name, rows=rows, accuracy=accuracy, enough=rows >= min_rows)
            )
    return tuple(found)


def _masks(
    test: pd.DataFrame, name: str, cache: Path | None, label_names: Sequence[str]
) -> dict[str, BoolArray]:
    """The rows (n,) of each value, in the order of the slices."""
    if name == "length":
        return _thirds(test["text"])
    if name == "class" and label_names:
        has = truth_of(test["label"], label_names, multilabel=True)
        return dict(zip(_shown(label_names), has.T, strict=True)) | {
            label_sets.NONE: ~has.any(axis=1)
        }
    if name == "class":
        shown = _shown(test["label"])
        return {label: shown == label for label in sorted(set(shown))}
    column = f"{SLICE}{name}"
    if column in test.columns:
        return _most_frequent(_shown(test[column]))
    if name == "language":
        return _most_frequent(_shown(language_detection.detect(test["text"].tolist(), cache)))
    raise StageError(
        f"The canonical test data was written without the column {name!r} that evaluation.slices "
        "names. Run again with the same config: it is read anew from its source."
    )


def _thirds(texts: pd.Series[str]) -> dict[str, BoolArray]:
    """Thirds by words, as near as can be: texts of one length stay together."""
    words = texts.map(lambda text: len(text.split())).to_numpy()
    short, middle = np.quantile(words, [1 / 3, 2 / 3], method="inverted_cdf")
    third = (words > short).astype(int) + (words > middle)
    masks = {}
    for part in np.unique(third):
        low, high = int(words[third == part].min()), int(words[third == part].max())
        span = f"{low}" if low == high else f"{low} to {high}"
        masks[f"{span} {'word' if high == 1 else 'words'}"] = third == part
    return masks


def _most_frequent(values: StringArray) -> dict[str, BoolArray]:
    counts = Counter(values.tolist())
    ranked = sorted(counts, key=lambda value: (-counts[value], value))[:_MOST_VALUES]
    masks = {value: values == value for value in ranked}
    rest = ~np.isin(values, ranked)
    return masks | {_OTHER: masks.get(_OTHER, False) | rest}


def _shown(values: Iterable[str]) -> StringArray:
    """Values on one line each, cut short."""
    return np.array([" ".join(v.split())[:_CHARACTERS] or "(none)" for v in values])
