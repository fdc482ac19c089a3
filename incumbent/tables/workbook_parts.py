"""The parts of a workbook that calamine reads, unpacked and inspected before it gets them."""

from __future__ import annotations

import io
import posixpath
import tempfile
import zipfile
from collections.abc import Callable
from typing import IO, Any, NamedTuple
from xml.etree import ElementTree

from python_calamine import CalamineWorkbook, PasswordError

from incumbent.errors import DataError
from incumbent.recognition import file_kinds, sheet_layout, zip_unpacking
from incumbent.recognition.bomb_limits import MAX_RATIO, SUSPECT_BYTES
from incumbent.recognition.sheet_layout import Layout
from incumbent.recognition.zip_unpacking import read_member
from incumbent.tables import xls_sandbox
from incumbent.tables.xls_sandbox import Cells
from incumbent.tables.xlsx_limits_and_formulas import Marks, inspect, text_at_most

_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # a stream's name, MS-OFFCRYPTO 2.3.4
_WORKBOOK, _LINKS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
_TEXTS = "xl/sharedStrings.xml"
_PARTS = ("_rels/.rels", _WORKBOOK, _LINKS, _TEXTS, "xl/styles.xml")
_BINARY, _BINARY_LINKS = "xl/workbook.bin", "xl/_rels/workbook.bin.rels"
_BINARY_PARTS = (_BINARY, _BINARY_LINKS, "xl/sharedStrings.bin", "xl/styles.bin")
_CONTENT, _MANIFEST = "content.xml", "META-INF/manifest.xml"
_OPEN_DOCUMENT_PARTS = ("mimetype", _MANIFEST, _CONTENT)
_MAX_LIST = 8 << 20  # bytes of XML, of which a tree is made that takes many times that


class Sheet(NamedTuple):
    """One sheet of a workbook, as calamine has it, and what calamine leaves out."""

    cells: Cells
    marks: Marks
    layout: Layout

    @property
    def name(self) -> str:
        """As the workbook calls it."""
        return self.cells.names[self.cells.position]


class NoSheet(Exception):
    """There is no such sheet among these."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(names)
        self.names = names


Get = Callable[["str | int | None"], Sheet]
"""A sheet by its name or number, from 0; None for the first that is not hidden."""


def reader(data: bytes, source: str) -> Get:
    """What gives the sheets of a workbook, which raises `NoSheet` if there is none of that name.

    Raises:
        DataError: if it is none, or would unpack beyond reason.
        PasswordError: if it is protected by one.
    """
    if file_kinds.kind(data) == "old workbook":
        if _ENCRYPTED in data:
            raise PasswordError
        return lambda sheet: _plain(xls_sandbox.read(data, sheet))
    archive = zip_unpacking.opened(data, source)
    names = archive.namelist()
    if _WORKBOOK in names:
        return _of_xlsx(archive, data, source)
    if _BINARY in names:
        return _of_xlsb(archive, data)
    if _CONTENT in names:
        return _of_ods(archive, data)
    raise DataError(
        f"{source} is a zip archive, but no Excel workbook: there is no {_WORKBOOK} in it. "
        "Unpack it, or save the data as .xlsx."
    )


def _plain(cells: Cells, layout: Layout | None = None) -> Sheet:
    if not 0 <= cells.position < len(cells.names):
        raise NoSheet(cells.names)
    return Sheet(cells, {}, layout or Layout(cells.merged, 0))


def _of_xlsb(archive: zipfile.ZipFile, data: bytes) -> Get:
    parts = _parts(archive, data, _BINARY_PARTS, (_BINARY, _BINARY_LINKS))
    sheets = {
        name: read_member(archive, data, name)
        for name in archive.namelist()
        if name.startswith("xl/worksheets/") and name.endswith(".bin")
    }
    lean = _packed(parts | sheets)
    targets = _targets(parts.get(_BINARY_LINKS, b""))
    links = sheet_layout.sheets_of_xlsb(parts[_BINARY])
    order = [sheets.get(targets.get(link, ""), b"") for link in links]

    def get(sheet: str | int | None) -> Sheet:
        cells = xls_sandbox.read(lean, sheet, len(data))
        records = order[cells.position] if 0 <= cells.position < len(order) else b""
        return _plain(cells, sheet_layout.of_xlsb(records))

    return get


def _of_ods(archive: zipfile.ZipFile, data: bytes) -> Get:
    parts = _parts(archive, data, _OPEN_DOCUMENT_PARTS, (_MANIFEST,))
    lean = _packed(parts)

    def get(sheet: str | int | None) -> Sheet:
        cells = xls_sandbox.read(lean, sheet, len(data))
        return _plain(cells, sheet_layout.of_ods(parts[_CONTENT], cells.position))

    return get


def _of_xlsx(archive: zipfile.ZipFile, data: bytes, source: str) -> Get:
    parts = _parts(archive, data, _PARTS, (_WORKBOOK, _LINKS))
    sheets = _sheets(parts)
    names = [name for name, _, _ in sheets]
    hidden = frozenset(at for at, (_, _, state) in enumerate(sheets) if state != "visible")

    def get(sheet: str | int | None) -> Sheet:
        position = xls_sandbox.position(names, hidden, sheet)
        if not 0 <= position < len(names):
            raise NoSheet(names)
        member = sheets[position][1]
        where = f"{source}, sheet {names[position]!r}"
        try:
            xml = read_member(archive, data, member)
        except KeyError:
            raise DataError(
                f"{where} cannot be found in the workbook: it is damaged, or no worksheet. Open "
                "it in a spreadsheet program and save it again."
            ) from None
        marks = inspect(xml, where)
        bound = max(SUSPECT_BYTES, MAX_RATIO * len(data))
        lean = parts | {member: xml}
        if text_at_most(xml, parts.get(_TEXTS, b"")) > bound:
            cells = xls_sandbox.read(_packed(lean), position, len(data))
        else:
            start, rows = _cells(lean, position)
            cells = Cells(names, hidden, position, start, rows, [])
        return Sheet(cells._replace(hidden=hidden), marks, sheet_layout.of_xlsx(xml))

    return get


def _parts(
    archive: zipfile.ZipFile, data: bytes, wanted: tuple[str, ...], lists: tuple[str, ...]
) -> dict[str, bytes]:
    """What calamine reads but for the sheets, by the names that it looks for."""
    members = {name.replace("\\", "/").lower(): name for name in archive.namelist()}
    parts = {
        part: read_member(archive, data, members[part.lower()])
        for part in wanted
        if part.lower() in members
    }
    for part in lists:
        if len(parts.get(part, b"")) > _MAX_LIST:
            raise zipfile.BadZipFile(
                f"{part} lists the sheets in {len(parts[part]):,} bytes; expected at most "
                f"{_MAX_LIST:,}"
            )
    return parts


def _sheets(parts: dict[str, bytes]) -> list[tuple[str, str, str]]:
    """Name, part and state of each sheet, through the workbook's relationships."""
    # Expat, since 2.4.1, stops entity bombs.
    book = ElementTree.fromstring(parts[_WORKBOOK])  # noqa: S314
    targets = _targets(parts.get(_LINKS, b""))
    sheets = []
    for element in book.iter():
        if element.tag.rpartition("}")[2] == "sheet":
            link = next((v for k, v in element.items() if k.rpartition("}")[2] == "id"), "")
            state = element.get("state", "visible")
            sheets.append((element.get("name", ""), targets.get(link, "xl"), state))
    return sheets


def _targets(links: bytes) -> dict[str, str]:
    """The part that each relationship of a workbook leads to, by its id."""
    root = ElementTree.fromstring(links)  # noqa: S314
    return {
        link.get("Id", ""): posixpath.normpath(
            posixpath.join("/xl", link.get("Target", ""))
        ).lstrip("/")
        for link in root
    }


def _packed(parts: dict[str, bytes]) -> bytes:
    lean = io.BytesIO()
    _write(parts, lean)
    return lean.getvalue()


def _write(parts: dict[str, bytes], file: IO[bytes]) -> None:
    """A workbook of nothing but what was unpacked and inspected; calamine is quickest with that."""
    with zipfile.ZipFile(file, "w") as target:
        for part, content in parts.items():
            target.writestr(part, content)


def _cells(parts: dict[str, bytes], position: int) -> tuple[tuple[int, int], list[list[Any]]]:
    with tempfile.NamedTemporaryFile(suffix=".xlsx") as lean:
        _write(parts, lean)
        lean.flush()
        with CalamineWorkbook.from_path(lean.name) as workbook:
            sheet = workbook.get_sheet_by_index(position)
            return sheet.start or (0, 0), sheet.to_python()
