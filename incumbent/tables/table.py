"""`Table`: rows as a file holds them, and cells that are no plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from incumbent.errors import DataError
from incumbent.recognition import header_rows
from incumbent.recognition.header_rows import Header

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
    header_row: int = 0
    """The number of the header's row; 0 where the format keeps names apart from rows."""
    notes: tuple[str, ...] = ()
    """What was made of the file, where one could have read it otherwise."""
    sheet: str = ""
    """The sheet's name, if there are sheets."""


def headed(table: Table, wanted: Sequence[str], header_row: int | None) -> Table | None:
    """The table under the row that holds the wanted names, be there a title above it.

    Args:
        table: Whose header is its first row that is not blank.
        wanted: Names of columns; if there are none, the table stays as it is.
        header_row: The number of that row, if it is known.

    Returns:
        The table; None if no row, or not that one, holds the names.
    """
    if header_row is None:
        return _under(table, header_rows.find(_first(table), wanted)) if wanted else table
    found = _numbered(table, header_row)
    return found if found and (not wanted or headed(found, wanted, None)) else None


def nearest(table: Table, wanted: Sequence[str], header_row: int | None) -> Table:
    """The table under the row that was most likely meant for the header, or is said to be it.

    Raises:
        DataError: if there is no row of that number.
    """
    if header_row is None:
        return _under(table, header_rows.nearest(_first(table), wanted)) or table
    if found := _numbered(table, header_row):
        return found
    numbers = [table.header_row, *table.numbers]
    raise DataError(
        f"{table.where} has nothing in row {header_row}, which data.header_row says holds the "
        f"names of the columns; there are rows {numbers[0]} to {numbers[-1]}. Correct it, or leave "
        "it out."
    )


def _first(table: Table) -> list[list[str]]:
    rows: list[list[object]] = [[*table.header], *table.rows[: header_rows.LOOK]]
    return [*map(_texts, rows)]


def _texts(row: Sequence[object]) -> list[str]:
    return [as_text(cell) for cell in row]


def _numbered(table: Table, number: int) -> Table | None:
    """The table under the row of that number; None if there is none, or nothing in it."""
    numbers = [table.header_row, *table.numbers]
    if number not in numbers:
        return None
    at = numbers.index(number)
    row: list[object] = [*table.header] if at == 0 else table.rows[at - 1]
    names = [as_text(cell).strip() for cell in row]
    return _under(table, Header(at, at, names)) if any(names) else None


def _under(table: Table, header: Header | None) -> Table | None:
    """The table under a header, whose rows are counted from that which the table has now."""
    if header is None:
        return None
    numbers = [table.header_row, *table.numbers[: header.last]]
    above = header.first and 1 + sum(map(any, map(_texts, table.rows[: header.first - 1])))
    note = header_note(numbers[header.first], numbers[header.last], above)
    return replace(
        table, header=header.names, rows=table.rows[header.last :],
        numbers=table.numbers[header.last :], header_row=numbers[header.last],
        notes=(*table.notes, *note),
    )  # fmt: skip


def header_note(first: int, last: int, above: int) -> tuple[str, ...]:
    """What to say of a header in those rows, with so many filled rows above it."""
    left = f"; {above:,} {'row' if above == 1 else 'rows'} above it left out" if above else ""
    if first < last:
        return (f"the names of the columns are in rows {first} and {last}{left}",)
    return (f"the header is row {first}{left}",) if above else ()


def as_text(cell: object) -> str:
    """A cell as text: a whole number has no decimal point, and a missing value is ""."""
    if isinstance(cell, str):
        return str(cell)
    if cell is None or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell)
