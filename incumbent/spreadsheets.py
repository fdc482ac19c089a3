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
from typing import IO, TYPE_CHECKING
from xml.etree import ElementTree

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from incumbent import confined
from incumbent.archives import read_member
from incumbent.confined import Cells
from incumbent.errors import DataError
from incumbent.formats import MAX_RATIO, SUSPECT_BYTES
from incumbent.tables import CellError, Formula, Table, as_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # .xls, and every encrypted workbook
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # a stream's name, MS-OFFCRYPTO 2.3.4
_BROKEN = (CalamineError, zipfile.BadZipFile, zlib.error, ElementTree.ParseError, UnicodeError)
_MAX_BYTES = 2 << 30  # unpacked
_MAX_CELLS = 20_000_000  # of the used area; calamine needs 32 bytes for each
_MAX_FORMULAS = 1_000_000  # each is held in memory
_WORKBOOK, _LINKS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
_TEXTS = "xl/sharedStrings.xml"
_PARTS = ("_rels/.rels", _WORKBOOK, _LINKS, _TEXTS, "xl/styles.xml")
_MAX_LIST = 8 << 20  # bytes of XML, of which a tree is made that takes many times that

# Cells (ECMA-376-1, 18.3.1.4 `c`): column, row and, if one follows, `f` and the formula's text.
# However long: a cell too far away has calamine end the process. The attributes between are few:
# without a bound, a reference that is repeated is looked on from each time, to the end.
_CELL = re.compile(
    rb"""\br\s*=\s*["']([A-Za-z]+)([0-9]+)["'](?:[^<>]{0,200}>\s*<(?:\w+:)?(f)\b[^<>]*>([^<]*))?"""
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
_SHARED = re.compile(rb"""=\s*["']s["']""")  # the type of a cell whose text stands elsewhere
_LONG = 12  # letters or digits of a reference that are looked at: enough to be too far away
_LETTERS, _DIGITS = string.ascii_uppercase.encode(), string.digits.encode()

_Marks = dict[tuple[int, int], str]  # (row, column), both from 0
_Sheet = tuple[int, Cells, _Marks]  # its position among those of the workbook
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
    with _readable(source):
        read_sheet = _old if data.startswith(_OLE) else _new
        position, (names, (top, left), rows), marks = read_sheet(data, source, sheet)
    where = _where(source, names[position])
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
            f"{where} is empty. Expected a header row and a row for each text"
            + (f"; set data.sheet for another of its sheets: {_names(others)}." if others else ".")
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
    except confined.TooMuch:
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
    if unpacked > _MAX_BYTES or (unpacked > SUSPECT_BYTES and ratio > MAX_RATIO):
        raise DataError(
            f"{source} would unpack to {unpacked / 1e9:.1f} GB, {ratio:,.0f} times its size; "
            f"at most {_MAX_BYTES / 1e9:.1f} GB and a factor of {MAX_RATIO} are read. If it is "
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


def _where(source: str, name: str) -> str:
    return f"{source}, sheet {name!r}"


def _old(data: bytes, source: str, sheet: str | int) -> _Sheet:
    """A sheet of an .xls."""
    if _ENCRYPTED in data:
        raise PasswordError
    cells = confined.read(data, sheet)
    return _find_sheet(cells.names, source, sheet), cells, {}


def _new(data: bytes, source: str, sheet: str | int) -> _Sheet:
    """A sheet of an .xlsx."""
    archive = _open_archive(data, source)
    parts = _parts(archive, data)
    sheets = _sheets(parts)
    names = [name for name, _ in sheets]
    position = _find_sheet(names, source, sheet)
    where = _where(source, names[position])
    try:
        member = sheets[position][1]
        parts[member] = xml = read_member(archive, data, member)
    except KeyError:
        raise DataError(
            f"{where} cannot be found in the workbook: it is damaged, or no worksheet. Open it in "
            "a spreadsheet program and save it again."
        ) from None
    marks = _inspect(xml, where)
    bound = max(SUSPECT_BYTES, MAX_RATIO * len(data))
    if _text_at_most(xml, parts.get(_TEXTS, b"")) > bound:
        lean = io.BytesIO()
        _write(parts, lean)
        return position, confined.read(lean.getvalue(), position), marks
    return position, _cells(parts, position, names), marks


def _parts(archive: zipfile.ZipFile, data: bytes) -> dict[str, bytes]:
    """What calamine reads but for the sheets, by the names that it looks for."""
    members = {name.replace("\\", "/").lower(): name for name in archive.namelist()}
    parts = {
        part: read_member(archive, data, members[part.lower()])
        for part in _PARTS
        if part.lower() in members
    }
    for part in (_WORKBOOK, _LINKS):
        if len(parts.get(part, b"")) > _MAX_LIST:
            raise zipfile.BadZipFile(
                f"{part} lists the sheets in {len(parts[part]):,} bytes; expected at most "
                f"{_MAX_LIST:,}"
            )
    return parts


def _sheets(parts: dict[str, bytes]) -> list[tuple[str, str]]:
    """Name and part of each sheet, through the workbook's relationships."""
    # Expat, since 2.4.1, stops entity bombs.
    book = ElementTree.fromstring(parts[_WORKBOOK])  # noqa: S314
    links = ElementTree.fromstring(parts.get(_LINKS, b""))  # noqa: S314
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    sheets = []
    for element in book.iter():
        if element.tag.rpartition("}")[2] == "sheet":
            link = next((v for k, v in element.items() if k.rpartition("}")[2] == "id"), None)
            path = posixpath.normpath(posixpath.join("/xl", targets.get(link, "")))
            sheets.append((element.get("name", ""), path.lstrip("/")))
    return sheets


def _text_at_most(xml: bytes, texts: bytes) -> int:
    """A bound for the bytes of text in a sheet, where a shared one may stand in many cells."""
    cells = sum(1 for _ in _SHARED.finditer(xml)) if texts else 0
    if cells * len(texts) <= SUSPECT_BYTES:
        return cells * len(texts)
    return cells * max(map(len, texts.split(b"si>")))


def _write(parts: dict[str, bytes], file: IO[bytes]) -> None:
    """A workbook of nothing but what was unpacked and inspected; calamine is quickest with that."""
    with zipfile.ZipFile(file, "w") as target:
        for part, content in parts.items():
            target.writestr(part, content)


def _cells(parts: dict[str, bytes], position: int, names: list[str]) -> Cells:
    with tempfile.NamedTemporaryFile(suffix=".xlsx") as lean:
        _write(parts, lean)
        lean.flush()
        with CalamineWorkbook.from_path(lean.name) as workbook:
            sheet = workbook.get_sheet_by_index(position)
            return Cells(names, sheet.start or (0, 0), sheet.to_python())


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
    if len(formulas) > _MAX_FORMULAS:
        raise DataError(
            f"{where} holds more than {_MAX_FORMULAS:,} formulas. Replace them by their values, or "
            "save the sheet as .csv."
        )
    errors = _ERROR.finditer(xml) if _ERROR_TYPE.search(xml) else ()
    return {(int(error[2]) - 1, _column(error[1])): CellError() for error in errors} | {
        (int(row) - 1, _column(name)): _formula(html.unescape(body.decode()))
        for name, row, body in formulas
    }


def _any(xml: bytes) -> _Cells:
    rows: set[bytes] = set()
    columns: set[bytes] = set()
    formulas: list[tuple[bytes, bytes, bytes]] = []
    for cell in _CELL.finditer(xml):
        letters, row, formula, body = cell.groups()
        rows.add(row)
        columns.add(letters)
        if formula:
            formulas.append((letters, row, body))
            if len(formulas) > _MAX_FORMULAS:
                return rows, columns, 0, formulas
    bare = max(sum(1 for _ in _BARE.finditer(row)) for row in xml.split(b"row>"))
    if bare:
        rows |= set(_ROW.findall(xml))
    return rows, columns, bare, formulas


def _plain(xml: bytes) -> _Cells | None:
    """The same as `_any`, if all cells are as programs write them; None if not."""
    if xml.count(b"<f") > _MAX_FORMULAS:
        return None
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


def _column(letters: bytes) -> int:
    """`A` → 0, `Z` → 25, `AA` → 26."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number - 1
