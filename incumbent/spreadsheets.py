"""Excel workbooks into a `Table`, by calamine; what it cannot tell is looked up in the XML.

calamine is several times quicker than openpyxl. It shows a formula as its saved value and an
error as an empty cell, and it makes room for every cell of the used area before reading one,
so that a small hostile file can exhaust memory and end the process: hence the checks first.
"""

from __future__ import annotations

import difflib
import html
import io
import posixpath
import re
import string
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from incumbent.archives import read_member
from incumbent.errors import DataError
from incumbent.tables import CellError, Formula, Table, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # .xls, and every encrypted workbook
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # a stream's name, MS-OFFCRYPTO 2.3.4
_BROKEN = (CalamineError, zipfile.BadZipFile, zlib.error, ElementTree.ParseError, UnicodeError)
_MAX_BYTES = 2 << 30  # unpacked
_SUSPECT_BYTES = 500_000_000  # unpacked; above this, so well compressed a file is a bomb
_MAX_RATIO = 200  # unpacked to packed; real workbooks stay below 20
_MAX_CELLS = 20_000_000  # of the used area; calamine needs 32 bytes for each
_WORKBOOK = "xl/workbook.xml"

# Cells (ECMA-376-1, 18.3.1.4 `c`): column, row and, if one follows, `f` and the formula's text.
# However long: a cell too far away has calamine end the process.
_CELL = re.compile(
    rb"""\br\s*=\s*["']([A-Za-z]+)([0-9]+)["'](?:[^<>]*>\s*<(?:\w+:)?(f)\b[^<>]*>([^<]*))?"""
)
_BARE = re.compile(rb"<(?:\w+:)?c(?:[/>]|\s(?![^<>]*\br\s*=))")  # next to the cell before it
_ROW = re.compile(rb"""<(?:\w+:)?row\s(?:[^<>]*\s)?r\s*=\s*["']([0-9]+)["']""")
# The same as programs write them, the reference first: several times as quick to find.
_PLAIN_CELL = re.compile(rb"""<c(?: r="([A-Z]+[0-9]+)"|[\s/>])""")
_PLAIN_FORMULA = re.compile(
    rb"""<c r="([A-Z]{1,3})([0-9]{1,7})"[^<>]*>\s*<f(?:[\s/][^<>]*)?>([^<]*)"""
)
_FORMULA = re.compile(rb"<f[\s/>]")
_PREFIXED = re.compile(rb"<\w+:")
_ERROR_TYPE = re.compile(rb"""=["']e["']""")
_ERROR = re.compile(
    rb"""<(?:\w+:)?c\s(?=[^<>]*\bt=["']e["'])[^<>]*\br=["']([A-Z]{1,3})([0-9]{1,7})["']"""
)
_LONG = 12  # letters or digits of a reference that are looked at: enough to be too far away
_LETTERS, _DIGITS = string.ascii_uppercase.encode(), string.digits.encode()

_Marks = dict[tuple[int, int], str]  # (row, column), both from 0
# Rows, letters of columns, most bare cells in a row, and formulas: letters, row, what it holds.
_Cells = tuple[set[bytes], set[bytes], int, list[tuple[bytes, bytes, bytes]]]


def read(data: bytes, source: str, sheet: str | int) -> Table:
    """Read one sheet; its first row that is not blank is the header, and blank ends are dropped.

    Cells are str, float, bool or a date; `Formula` and `CellError` in an .xlsx (an .xls holds
    them in a form that is not looked into: there they are what calamine makes of them).

    Raises:
        DataError: if `data` is no readable workbook or would not fit in memory, or has no such
            sheet, or the sheet is blank.
    """
    old = data.startswith(_OLE)
    if old and _ENCRYPTED in data:
        raise _protected(source)
    archive = None if old else _open_archive(data, source)
    marks: _Marks = {}
    with _readable(source):
        names = CalamineWorkbook.from_filelike(io.BytesIO(data)).sheet_names
        position = _find_sheet(names, source, sheet)
        where = f"{source}, sheet {names[position]!r}"
        member, xml = "", b""
        if archive:
            member, xml = _sheet(archive, data, position, where)
            marks = _inspect(xml, where)
        with _opened(data, archive, member, xml) as workbook:
            cells = workbook.get_sheet_by_index(position)
            rows: list[list[Any]] = cells.to_python()
            top, left = cells.start or (0, 0)
    if rows:  # calamine ends with the last row that has a value, and a formula may have none
        last = max((row for row, _ in marks), default=0)
        rows += ([""] * len(rows[0]) for _ in range(last - top + 1 - len(rows)))
    for (row, column), mark in marks.items():
        if 0 <= row - top < len(rows) and 0 <= column - left < len(rows[row - top]):
            saved = as_text(rows[row - top][column - left])
            rows[row - top][column - left] = (
                Formula(saved, mark.formula) if isinstance(mark, Formula) else mark
            )
    if not rows:
        others = names[:position] + names[position + 1 :]
        raise DataError(
            f"{where} is empty. Expected a header row and a row for each text; "
            + (f"set data.sheet for another of its sheets: {_names(others)}." if others else "")
        )
    header = [str(cell).strip() for cell in rows[0]]
    return Table(where, header, rows[1:], range(top + 2, top + 1 + len(rows)))


@contextmanager
def _readable(source: str) -> Iterator[None]:
    """Says of whatever a broken workbook makes the libraries raise that it is broken."""
    try:
        yield
    except PasswordError:
        raise _protected(source) from None
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


def _open_archive(data: bytes, source: str) -> zipfile.ZipFile:
    """The workbook as a zip archive, after its declared sizes were found bearable."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, NotImplementedError):
        if data.startswith(b"PK"):
            raise DataError(
                f"{source} is cut short: {len(data):,} bytes of a workbook whose end is missing. "
                "Copy it again from where it came."
            ) from None
        raise DataError(
            f"{source} is no Excel workbook: it begins with {data[:12]!r}. Save it as .xlsx in a "
            "spreadsheet program; if it is plain text, name it .csv."
        ) from None
    entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    ratio = unpacked / max(len(data), 1)
    if unpacked > _MAX_BYTES or (unpacked > _SUSPECT_BYTES and ratio > _MAX_RATIO):
        raise DataError(
            f"{source} would unpack to {unpacked / 1e9:.1f} GB, {ratio:,.0f} times its size; "
            f"at most {_MAX_BYTES / 1e9:.1f} GB and a factor of {_MAX_RATIO} are read. If it is "
            "real, save the sheet as .csv."
        )
    if _WORKBOOK not in archive.namelist():
        raise DataError(
            f"{source} is a zip archive, but no Excel workbook: there is no {_WORKBOOK} in it. "
            "Unpack it, or save the data as .xlsx."
        )
    return archive


def _find_sheet(names: list[str], source: str, sheet: str | int) -> int:
    if isinstance(sheet, int):
        if 0 <= sheet < len(names):
            return sheet
        raise DataError(
            f"{source} has no sheet number {sheet}: it has {len(names)}, and the first is 0: "
            f"{_names(names)}. Set data.sheet."
        )
    if sheet in names:
        return names.index(sheet)
    near = difflib.get_close_matches(sheet, names, n=1)
    raise DataError(
        f"{source} has no sheet {sheet!r}."
        + (f" Did you mean {near[0]!r}?" if near else "")
        + f" Its sheets are {_names(names)}. Set data.sheet."
    )


def _names(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def _sheet(archive: zipfile.ZipFile, data: bytes, position: int, where: str) -> tuple[str, bytes]:
    """A sheet's name in the archive, and its XML."""
    try:
        member = _member(archive, position)
        return member, read_member(archive, data, member)
    except (KeyError, IndexError, StopIteration, RuntimeError):
        raise DataError(
            f"{where} cannot be found in the workbook: it is damaged, or no worksheet. Open it in "
            "a spreadsheet program and save it again."
        ) from None


@contextmanager
def _opened(
    data: bytes, archive: zipfile.ZipFile | None, member: str, xml: bytes
) -> Iterator[CalamineWorkbook]:
    """An .xls as it is; of an .xlsx one sheet: what was inspected is what calamine reads.

    From a file, and not compressed, as calamine is quickest with that.
    """
    if archive is None:
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
            yield workbook
        return
    with tempfile.NamedTemporaryFile(suffix=".xlsx") as lean:
        with zipfile.ZipFile(lean, "w") as target:
            for name in archive.namelist():
                if name == member:
                    target.writestr(name, xml)
                elif not name.startswith(("xl/worksheets/", "xl/media/")):
                    target.writestr(name, archive.read(name))
        lean.flush()
        with CalamineWorkbook.from_path(lean.name) as workbook:
            yield workbook


def _inspect(xml: bytes, where: str) -> _Marks:
    """Where a sheet holds formulas and errors; refuses one whose used area is too wide."""
    numbers, letters, bare, formulas = _plain(xml) or _any(xml)
    rows = max((int(number[:_LONG]) for number in numbers), default=0)
    columns = max((_column(name[:_LONG]) for name in letters), default=-1) + 1 + bare
    if rows * columns > _MAX_CELLS:
        raise DataError(
            f"{where} spans {rows:,} rows by {columns:,} columns; at most {_MAX_CELLS:,} cells "
            "are read. Delete the stray cells far from the data, or save the sheet as .csv."
        )
    errors = _ERROR.findall(xml) if _ERROR_TYPE.search(xml) else []
    return {(int(row) - 1, _column(name)): CellError() for name, row in errors} | {
        (int(row) - 1, _column(name)): _formula(html.unescape(body.decode()))
        for name, row, body in formulas
    }


def _any(xml: bytes) -> _Cells:
    cells = _CELL.findall(xml)
    bare = max(len(_BARE.findall(row)) for row in xml.split(b"row>"))
    return (
        {row for _, row, *_ in cells} | (set(_ROW.findall(xml)) if bare else set()),
        {letters for letters, *_ in cells},
        bare,
        [(letters, row, body) for letters, row, formula, body in cells if formula],
    )


def _plain(xml: bytes) -> _Cells | None:
    """The same as `_any`, if all cells are as programs write them; None if not."""
    references = _PLAIN_CELL.findall(xml)
    if b"" in references or _PREFIXED.search(xml):
        return None
    formulas: list[tuple[bytes, bytes, bytes]] = []
    if b"<f" in xml:
        formulas = _PLAIN_FORMULA.findall(xml)
        if len(formulas) < len(_FORMULA.findall(xml)):
            return None
    return (
        {reference.lstrip(_LETTERS) for reference in references},
        {reference.rstrip(_DIGITS) for reference in references},
        0,
        formulas,
    )


def _formula(body: str) -> str:
    """What a formula cell holds: no formula begins with `==`, but openpyxl writes a text as one."""
    return "=" + body if body.startswith("=") else Formula("", "=" + body)


def _member(archive: zipfile.ZipFile, position: int) -> str:
    """The archive's name for a sheet, through the workbook's relationships."""
    # Expat, since 2.4.1, stops entity bombs; these two files are small beside the sheets.
    book = ElementTree.fromstring(archive.read(_WORKBOOK))  # noqa: S314
    links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    sheets = [element for element in book.iter() if element.tag.rpartition("}")[2] == "sheet"]
    identity = next(
        value for key, value in sheets[position].items() if key.rpartition("}")[2] == "id"
    )
    target = next(link.get("Target", "") for link in links if link.get("Id") == identity)
    return posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")


def _column(letters: bytes) -> int:
    """`A` → 0, `Z` → 25, `AA` → 26."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number - 1
