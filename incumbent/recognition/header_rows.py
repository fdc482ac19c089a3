"""Which row is the header, where a title, a note or a second row of names stands with it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from incumbent.recognition.column_names import like, same

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOK = 100
"""Rows, blank ones too, that a header is looked for in."""
_TITLE = 5  # rows under a title that may be more of it, or the header


class Header(NamedTuple):
    """The names of the columns, and the rows (from 0) that they stand in."""

    first: int
    last: int
    names: list[str]


def find(rows: Sequence[Sequence[str]], wanted: Sequence[str]) -> Header | None:
    """The header among the first rows: one row that holds all wanted names, or two together.

    Of several rows that hold them it is the first, as a later one is a row of the table whose
    texts are called like columns; but see `_titles`.

    Args:
        rows: Cells as text, some `LOOK` rows.
        wanted: Names that a header has.
    """
    names = [[cell.strip() for cell in row] for row in rows[:LOOK]]
    filled = [at for at, row in enumerate(names) if any(row)]
    for place, at in enumerate(filled):
        below = filled[place + 1 : place + 1 + _TITLE]
        if _holds(names[at], wanted, like) and not _titles(names, at, below, wanted):
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


def _titles(names: list[list[str]], at: int, below: Sequence[int], wanted: Sequence[str]) -> bool:
    """Whether a row that holds the names stands over the header itself, which holds them too.

    It is a title, alone in its row as others between them are; or it explains what the row under
    it names in the same columns.
    """
    for lower in below:
        if _holds(names[lower], wanted, same) and sum(map(bool, names[lower])) > 1:
            alone = sum(map(bool, names[at])) == 1
            explains = all(
                like(names[at], name) == same(names[lower], name) != same(names[at], name)
                for name in wanted
            )
            return alone or (explains and lower == below[0])
        if sum(map(bool, names[lower])) > 1:
            return False
    return False


def _joined(upper: list[str], lower: list[str]) -> list[str]:
    """Names of two rows: the lower one, or the upper where that is blank."""
    width = max(len(upper), len(lower))
    above, below = ([*row, *[""] * (width - len(row))] for row in (upper, lower))
    return [low or high for high, low in zip(above, below, strict=True)]
