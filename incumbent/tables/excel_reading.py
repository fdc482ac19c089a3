"""Read Excel workbooks into a `Table` with calamine, after a look for what would harm.

calamine is several times quicker than openpyxl. It shows a formula as its saved value and an
error as an empty cell, and it makes room for every cell of the used area before reading one,
so that a small hostile file can exhaust memory and end the process: hence the checks first.
"""

from __future__ import annotations

import difflib
import io
import posixpath
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING
from xml.etree import ElementTree

from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from incumbent.errors import DataError
from incumbent.tables import xls_sandbox
from incumbent.tables.file_formats import MAX_RATIO, SUSPECT_BYTES
from incumbent.tables.table import Formula, Table, as_text
from incumbent.tables.xls_sandbox import Cells
from incumbent.tables.xlsx_limits_and_formulas import Marks, inspect, text_at_most
from incumbent.tables.zip_unpacking import read_member

if TYPE_CHECKING:
    from collections.abc import Iterator

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # .xls, and every encrypted workbook
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # a stream's name, MS-OFFCRYPTO 2.3.4
_BROKEN = (CalamineError, zipfile.BadZipFile, zlib.error, ElementTree.ParseError, UnicodeError)
_MAX_BYTES = 2 << 30  # unpacked
_WORKBOOK, _LINKS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
_TEXTS = "xl/sharedStrings.xml"
_PARTS = ("_rels/.rels", _WORKBOOK, _LINKS, _TEXTS, "xl/styles.xml")
_MAX_LIST = 8 << 20  # bytes of XML, of which a tree is made that takes many times that
_Sheet = tuple[int, Cells, Marks]  # its position among those of the workbook


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
    cells = xls_sandbox.read(data, sheet)
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
    marks = inspect(xml, where)
    bound = max(SUSPECT_BYTES, MAX_RATIO * len(data))
    if text_at_most(xml, parts.get(_TEXTS, b"")) > bound:
        lean = io.BytesIO()
        _write(parts, lean)
        return position, xls_sandbox.read(lean.getvalue(), position), marks
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
