"""How far people agree who label the same rows: Krippendorff's alpha, and who differs from whom.

Krippendorff 2011, *Computing Krippendorff's Alpha-Reliability* (University of Pennsylvania), part
C: nominal data, any number of observers, missing data. See docs/decisions/0024-agreement.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from incumbent import label_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CONFIDENCE = 0.95
"""Coverage of the interval of alpha."""
_RESAMPLES = 1000
_SHOWN = 50  # pairs of people, those with the most differences
_TOLD = ["one", "one_other", "said", "said_other"]
_AT_ONCE = 50_000  # rows whose pairs of people are made at once


class Pair(BaseModel, frozen=True):
    """Two people who labelled the same rows."""

    one: str
    other: str
    rows: int
    """That both labelled."""
    alike: int
    """Those of them that both labelled alike."""
    confused: tuple[str, str, int] | None = None
    """What they differ in most: what the one says, what the other says, and in how many rows."""


class Agreement(BaseModel, frozen=True):
    """How far the people agree who labelled a split."""

    people: int
    rows: int
    """That two people or more labelled."""
    alpha: float | None
    """Krippendorff's alpha: 1 where all agree, 0 where they do as chance would have it; None where
    nothing can be told, as all labels are the same. Of sets of labels, whole sets are compared."""
    low: float | None = None
    high: float | None = None
    """The ends of its interval, by bootstrap over the rows."""
    by_label: dict[str, float | None] = {}
    """Of sets of labels, the alpha of each: whether a row has it."""
    pairs: tuple[Pair, ...] = ()
    """Those who differ in most rows first, 50 at most."""
    more_pairs: int = 0
    """How many others there are."""


def measured(
    unit: NDArray[np.int64], person: NDArray[np.int64], label: NDArray[np.int64],
    people: Sequence[str], labels: Sequence[str], *, sets: bool = False,
) -> Agreement | None:  # fmt: skip
    """Measure the agreement of labels (n,), one for each unit and person; None if nobody is named.

    Args:
        unit: Which row each label is of.
        person: Who gave it, as a position in `people`.
        label: What it is, as a position in `labels`.
        people: Names.
        labels: Labels, or sets of them as `label_sets.join` writes them.
        sets: Whether they are sets.
    """
    if not people:
        return None
    several = np.bincount(unit)[unit] > 1
    unit, person, label = unit[several], person[several], label[several]
    alpha, low, high = _with_interval(unit, label)
    by_label: dict[str, float | None] = {}
    if sets:
        having = [frozenset(label_sets.split(text)) for text in labels]
        for name in sorted(frozenset().union(*having)):
            has = np.array([name in own for own in having], np.int64)
            by_label[name] = krippendorff_alpha(unit, has[label])
    pairs = _pairs(unit, person, label, people, labels)
    return Agreement(
        people=len(people), rows=len(np.unique(unit)), alpha=alpha, low=low, high=high,
        by_label=by_label, pairs=tuple(pairs[:_SHOWN]), more_pairs=max(len(pairs) - _SHOWN, 0),
    )  # fmt: skip


def krippendorff_alpha(unit: NDArray[np.int64], value: NDArray[np.int64]) -> float | None:
    """Krippendorff's alpha of nominal values (n,), each of a unit; None where they do not vary."""
    counts = _counts(unit, value)
    return _alpha(_agreeing(counts).sum(), counts.sum(axis=0))


def _with_interval(
    unit: NDArray[np.int64], value: NDArray[np.int64]
) -> tuple[float | None, float | None, float | None]:
    """Alpha and the ends of its interval, by bootstrap over the units (percentiles).

    Units of the same values are drawn together, as many as a multinomial draw gives of them: a
    million units take no longer than those of them that differ.
    """
    counts = _counts(unit, value)
    agreeing = _agreeing(counts)
    alpha = _alpha(agreeing.sum(), counts.sum(axis=0))
    if alpha is None:
        return None, None, None
    generator = np.random.default_rng(0)
    signs = generator.integers(1, 2**40, counts.shape[1])
    _, first, size = np.unique(
        counts.astype(np.int64) @ signs, return_index=True, return_counts=True
    )
    kinds, agreeing, rows = counts[first], agreeing[first], int(size.sum())
    found: list[float] = []
    for _ in range(_RESAMPLES):
        drawn = generator.multinomial(rows, size / rows)
        one = _alpha(float(drawn @ agreeing), drawn @ kinds)
        if one is not None:  # a resample in which no two labels differ tells nothing
            found.append(one)
    low, high = np.quantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return alpha, float(low), float(high)


def _counts(unit: NDArray[np.int64], value: NDArray[np.int64]) -> Any:
    """How often each unit of two values or more has each, sparse (n_units, n_values)."""
    from scipy.sparse import csr_array

    _, unit = np.unique(unit, return_inverse=True)
    _, value = np.unique(value, return_inverse=True)
    shape = unit.max(initial=-1) + 1, value.max(initial=-1) + 1
    counts = csr_array((np.ones(len(unit)), (unit, value)), shape=shape)
    counts.sum_duplicates()
    return counts[counts.sum(axis=1) > 1]  # a value that stands alone pairs with none


def _agreeing(counts: Any) -> NDArray[np.float64]:
    """What each unit adds to the diagonal of the coincidences (n_units,).

    It is the sum over its values of n_uc (n_uc - 1), by m_u - 1, m_u being how many it has.
    """
    same = (counts * counts).sum(axis=1) - counts.sum(axis=1)
    return np.asarray(same / (counts.sum(axis=1) - 1), dtype=np.float64)


def _alpha(agreeing: float, totals: NDArray[np.float64]) -> float | None:
    """Alpha of the coincidences whose diagonal has this sum, of so many of each value (n_values,).

    It is ((n - 1) sum o_cc - sum n_c (n_c - 1)) / (n (n - 1) - sum n_c (n_c - 1)).
    """
    n = float(totals.sum())
    by_chance = float((totals * (totals - 1)).sum())
    if n * (n - 1) <= by_chance:
        return None
    return float(((n - 1) * agreeing - by_chance) / (n * (n - 1) - by_chance))


def _pairs(
    unit: NDArray[np.int64], person: NDArray[np.int64], label: NDArray[np.int64],
    people: Sequence[str], labels: Sequence[str],
) -> list[Pair]:  # fmt: skip
    """Each two people who labelled the same rows; those who differ in most rows first."""
    order = np.lexsort((person, unit))
    unit, person, label = unit[order], person[order], label[order]
    starts = np.flatnonzero(np.diff(unit, prepend=-1))
    told: list[pd.DataFrame] = []
    for some in np.array_split(starts, max(len(starts) // _AT_ONCE, 1)):
        if not len(some):
            continue
        end = starts[starts > some[-1]]
        here = slice(some[0], end[0] if len(end) else len(unit))
        own = pd.DataFrame({"unit": unit[here], "one": person[here], "said": label[here]})
        both = own.merge(own, on="unit", suffixes=("", "_other"))
        both = both[both["one"] < both["one_other"]]
        told.append(both.groupby(_TOLD).size().reset_index(name="rows"))
    if not told:
        return []
    every = pd.concat(told).groupby(_TOLD)["rows"].sum().reset_index()
    found = []
    for _, rows in every.groupby(["one", "one_other"]):
        unlike = rows[rows["said"] != rows["said_other"]].sort_values("rows", kind="stable")
        both_rows = int(rows["rows"].sum())
        one, other = (people[rows[name].iloc[0]] for name in ("one", "one_other"))
        confused = None
        if len(unlike):
            said, answered = (labels[unlike[name].iloc[-1]] for name in ("said", "said_other"))
            confused = said, answered, int(unlike["rows"].iloc[-1])
        found.append(
            Pair(
                one=one, other=other, rows=both_rows,
                alike=both_rows - int(unlike["rows"].sum()), confused=confused,
            )
        )  # fmt: skip
    return sorted(found, key=lambda pair: (pair.alike - pair.rows, pair.one, pair.other))
