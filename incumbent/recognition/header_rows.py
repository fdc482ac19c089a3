"""Which row is the header, where a title, a note or a second row of names stands with it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from incumbent.recognition.column_names import like, same

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOK = 100
"""Rows, blank ones too, that a header is looked for in."""


class Header(NamedTuple):
    """The names of the columns, and the rows (from 0) that they stand in."""

    first: int
    last: int
    names: list[str]


def find(rows: Sequence[Sequence[str]], wanted: Sequence[str]) -> Header | None:
    """The header among the first rows: one row that holds all wanted names, or two together.

    A row that holds the names themselves goes before one that holds them with notes.

    Args:
        rows: Cells as text, some `LOOK` rows.
        wanted: Names that a header has.
    """
    names = [[cell.strip() for cell in row] for row in rows[:LOOK]]
    filled = [at for at, row in enumerate(names) if any(row)]
    for match in (same, like):
        for at in filled:
            if _holds(names[at], wanted, match):
                return Header(at, at, names[at])
    for upper, lower in pairwise(filled):
        if lower == upper + 1:
            both = _joined(names[upper], names[lower])
            if _holds(both, wanted, like):
                return Header(upper, lower, both)
    return None


def nearest(rows: Sequence[Sequence[str]], wanted: Sequence[str]) -> Header | None:
    """Of rows that do not hold all wanted names, the one that was most likely meant to.

    It holds more of them than others; or else it is the first of two cells, or the first at all.
    """
    filled = [at for at, row in enumerate(rows[:LOOK]) if any(cell.strip() for cell in row)]
    if not filled:
        return None

    def likely(at: int) -> tuple[int, bool]:
        cells = [cell.strip() for cell in rows[at]]
        return sum(bool(like(cells, name)) for name in wanted), sum(map(bool, cells)) > 1

    best = max(filled, key=likely)
    return Header(best, best, [cell.strip() for cell in rows[best]])


def _holds(
    header: Sequence[str], wanted: Sequence[str], match: Callable[[Sequence[str], str], list[int]]
) -> bool:
    """Whether each wanted name has a column of its own."""
    found = [match(header, name) for name in wanted]
    return all(found) and len({place for places in found for place in places}) >= len(wanted) > 0


def _joined(upper: list[str], lower: list[str]) -> list[str]:
    """Names of two rows: the lower one, or the upper where that is blank."""
    width = max(len(upper), len(lower))
    above, below = ([*row, *[""] * (width - len(row))] for row in (upper, lower))
    return [low or high for high, low in zip(above, below, strict=True)]
