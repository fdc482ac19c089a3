"""`Table`: rows as a file holds them, and cells that are no plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence


class Formula(str):
    """A cell that holds a formula; as a string, the value it had when the file was saved."""

    formula: str

    def __new__(cls, saved: str, formula: str) -> Formula:
        """Both as text; `formula` begins with `=`."""
        cell = super().__new__(cls, saved)
        cell.formula = formula
        return cell


class CellError(str):
    """A cell that holds an error like `#N/A`, or something that is no text at all."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """What a file holds, before a column is chosen."""

    where: str
    """The file, and the sheet if it has sheets, as messages name it."""
    header: list[str]
    rows: list[list[object]]
    """Cells; a row may be shorter than the header."""
    numbers: Sequence[int]
    """Each row's number, as the user's program shows it."""


def as_text(cell: object) -> str:
    """A cell as text: a whole number has no decimal point, and a missing value is ""."""
    if isinstance(cell, str):
        return str(cell)
    if cell is None or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell)
