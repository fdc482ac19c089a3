"""Read sheets of workbooks into a `Table` with calamine, after a look for what would harm.

calamine is several times quicker than openpyxl. It shows a formula as its saved value and an
error as an empty cell, and it makes room for every cell of the used area before reading one,
so that a small hostile file can exhaust memory and end the process: hence the checks first.
"""

from __future__ import annotations

import difflib
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from python_calamine import CalamineError, PasswordError

from incumbent.errors import DataError
from incumbent.tables import workbook_parts, xls_sandbox
from incumbent.tables.table import Formula, Table, as_text, headed, nearest
from incumbent.tables.workbook_parts import NoSheet, Sheet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from incumbent.tables.workbook_parts import Get

_BROKEN = (CalamineError, zipfile.BadZipFile, zlib.error, ElementTree.ParseError, UnicodeError)


def read(
    data: bytes, source: str, sheet: str | int | None, wanted: Sequence[str] = (),
    header_row: int | None = None,
) -> Table:  # fmt: skip
    """Read one sheet, whose header is the row that holds the wanted names.

    Cells are str, float, bool or a date; `Formula` and `CellError` in an .xlsx (other formats hold
    them in a form that is not looked into: there they are what calamine makes of them). A cell
    that is merged over rows stands in each of them.

    Args:
        data: The workbook.
        source: As messages name it.
        sheet: By name or number; None for the first that is not hidden or, if that lacks the
            names, the one that has them.
        wanted: Names of columns. If no row has them, the header is what comes nearest.
        header_row: The number of the header's row, if it is known.

    Raises:
        DataError: if `data` is no readable workbook or would not fit in memory, or has no such
            sheet, or the sheet is blank; or if the first lacks the names, and several have them.
    """
    with _readable(source):
        get = workbook_parts.reader(data, source)
    first = _sheet(get, source, sheet)
    raw = _table(first, source)
    if raw is not None and (found := headed(raw, wanted, header_row)):
        if sheet is None and len(first.cells.names) > 1:
            return _chosen(found, first, "the first that is not hidden")
        return found
    if sheet is None and (other := _other(get, source, first, wanted, header_row)):
        return other
    if raw is None:
        raise _empty(first, source)
    return nearest(raw, wanted, header_row)


def _other(
    get: Get, source: str, first: Sheet, wanted: Sequence[str], header_row: int | None
) -> Table | None:
    """The table of the one sheet that has the names, a hidden one if need be; None if none has."""
    cells = first.cells
    for hidden in (False, True):
        fit: list[tuple[Sheet, Table]] = []
        for number in range(len(cells.names)):
            if number != cells.position and (number in cells.hidden) == hidden:
                one = _sheet(get, source, number)
                raw = _table(one, source)
                if raw is not None and (found := headed(raw, wanted, header_row)):
                    fit.append((one, found))
        if len(fit) > 1:
            raise DataError(
                f"{source}: sheet {first.name!r} has no row with the names of the columns, and "
                f"{len(fit)} others have one: {_names([one.name for one, _ in fit])}. Set "
                "data.sheet to one of them."
            )
        if fit:
            one, found = fit[0]
            return _chosen(found, one, "the only one with these columns" + ", hidden" * hidden)
    return None


def _chosen(table: Table, sheet: Sheet, why: str) -> Table:
    count = len(sheet.cells.names)
    note = f"of {count} sheets this one is read, {why}; data.sheet names another"
    return replace(table, notes=(note, *table.notes))


def _sheet(get: Get, source: str, which: str | int | None) -> Sheet:
    """A sheet, or what is wrong with it, in words."""
    try:
        with _readable(source):
            return get(which)
    except NoSheet as missing:
        raise _no_sheet(missing.names, source, which) from None


def _table(sheet: Sheet, source: str) -> Table | None:
    """The cells of a sheet under its first row that is not blank; None if it has none."""
    (top, left), rows = sheet.cells.start, sheet.cells.rows
    if not rows:
        return None
    # calamine ends with the last row that has a value, and a formula may have none
    last = max((row for row, _ in sheet.marks), default=0)
    rows += ([""] * len(rows[0]) for _ in range(last - top + 1 - len(rows)))
    for (row, column), mark in sheet.marks.items():
        if 0 <= row - top < len(rows) and 0 <= column - left < len(rows[row - top]):
            saved = as_text(rows[row - top][column - left])
            rows[row - top][column - left] = (
                Formula(saved, mark.formula) if isinstance(mark, Formula) else mark
            )
    notes = []
    if filled := _fill(sheet):
        cells = "1 cell has" if filled == 1 else f"{filled:,} cells have"
        notes.append(f"{cells} the value of the merged cell that they are part of")
    if hidden := sheet.layout.hidden_rows:
        notes.append(f"{hidden:,} {'row is' if hidden == 1 else 'rows are'} hidden, and read too")
    header = [str(cell).strip() for cell in rows[0]]
    return Table(
        _where(source, sheet.name), header, rows[1:], range(top + 2, top + 1 + len(rows)),
        header_row=top + 1, notes=tuple(notes), sheet=sheet.name,
    )  # fmt: skip


def _fill(sheet: Sheet) -> int:
    """Put the value of cells that are merged over rows into each row that is not blank."""
    (top, left), rows = sheet.cells.start, sheet.cells.rows
    room = len(rows) * len(rows[0])  # of cells that do not overlap
    merged = []
    for first, last, column in sheet.layout.merged:
        span = (first - top, min(last - top, len(rows) - 1), column - left)
        room -= max(0, span[1] - span[0])
        if first >= top and 0 <= column - left < len(rows[0]) and room >= 0:
            merged.append(span)
    blank = {
        at
        for first, last, _ in merged
        for at in range(first + 1, last + 1)
        if all(cell in ("", None) for cell in rows[at])  # 0 and False are values
    }
    filled = 0
    for first, last, column in merged:
        for at in range(first + 1, last + 1):
            if at not in blank and rows[at][column] == "":
                rows[at][column] = rows[first][column]
                filled += 1
    return filled


def _empty(sheet: Sheet, source: str) -> DataError:
    names, position = sheet.cells.names, sheet.cells.position
    others = names[:position] + names[position + 1 :]
    return DataError(
        f"{_where(source, sheet.name)} is empty. Expected a header row and a row for each text"
        + (f"; set data.sheet for another of its sheets: {_names(others)}." if others else ".")
    )


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """Says of whatever a broken workbook makes the libraries raise that it is broken."""
    try:
        yield
    except PasswordError:
        raise _protected(source) from None
    except xls_sandbox.TooMuch:
        raise DataError(
            f"{source} needs far more memory than a file of its size accounts for: a cell stands "
            "far away from the others, or a long text in very many cells. Delete what is stray, "
            "and save it as .xlsx."
        ) from None
    except _BROKEN as error:
        raise _damaged(source, str(error)) from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # calamine's; it can't be imported
            raise
        raise _damaged(source, str(error)) from None


def _damaged(source: str, reason: str) -> DataError:
    return DataError(
        f"{source} is a damaged workbook ({reason}). Open it in a spreadsheet program and save it "
        "again, or copy it again from where it came."
    )


def _protected(source: str) -> DataError:
    return DataError(
        f"{source} is protected by a password. Open it, remove the password (File, Info, Protect "
        "Workbook) and save it again."
    )


def _no_sheet(names: list[str], source: str, sheet: str | int | None) -> DataError:
    if not isinstance(sheet, str):
        return DataError(
            f"{source} has no sheet number {sheet}: it has {len(names)}, and the first is 0: "
            f"{_names(names)}. Set data.sheet."
        )
    near = difflib.get_close_matches(sheet, names, n=1)
    return DataError(
        f"{source} has no sheet {sheet!r}."
        + (f" Did you mean {near[0]!r}?" if near else "")
        + f" Its sheets are {_names(names)}. Set data.sheet."
    )


def _names(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def _where(source: str, name: str) -> str:
    return f"{source}, sheet {name!r}"
