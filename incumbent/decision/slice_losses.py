"""Where the challenger is worse than the champion: on one class, on one slice of the rows.

A gain on many rows can hide a loss on few. Each class (its recall) and each slice is tested by
itself, with an allowance for their number (Bonferroni's).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from incumbent.decision.evidence import Evidence, Role
from incumbent.evaluation.paired_tests import accuracy_difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MIN_ROWS = 10
"""Rows, or groups of them, below which a class or slice is not tested: it could show only a loss of
nearly all."""


class SliceLoss(NamedTuple):
    """The accuracy of both models on one class or slice, and the least loss that is shown.

    `loss` is a fraction, below 0 where none is shown.
    """

    name: str
    rows: int
    ours: float
    theirs: float
    loss: float


def losses(evidence: Evidence) -> list[SliceLoss]:
    """The classes and slices of the compared rows, the largest loss that is shown first."""
    parts = [part for part in _parts(evidence) if _counting(part[1], part[3]) >= MIN_ROWS]
    if not parts:
        return []
    wrongly = (1 - evidence.case.evaluation.confidence) / len(parts)
    found = []
    for name, ours, theirs, groups in parts:
        shown = accuracy_difference(ours, theirs, 1 - 2 * wrongly, groups)
        found.append(
            SliceLoss(name, len(ours), float(ours.mean()), float(theirs.mean()), -shown.high)
        )
    return sorted(found, key=lambda part: -part.loss)


def _counting(right: NDArray[np.bool_], groups: NDArray[np.int64] | None) -> int:
    return len(right) if groups is None else len(np.unique(groups))


def _parts(
    evidence: Evidence,
) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64] | None]]:
    """Name, which rows the challenger and the champion have right, and the rows' groups."""
    ours, theirs = evidence.scored(Role.CHALLENGER), evidence.scored(Role.CHAMPION)
    groups = evidence.groups
    for index, name in enumerate(evidence.case.classes):
        mask = ours.labels[:, index]
        right = (scored.predicted[mask, index] for scored in (ours, theirs))
        yield f"class: {name}", *right, None if groups is None else groups[mask]
    for part in evidence.slices(evidence.unseen):
        if part.name.startswith("class: "):
            continue
        right = (scored.right[part.mask] for scored in (ours, theirs))
        yield part.name, *right, None if groups is None else groups[part.mask]
