"""Old workbooks (.xls) of one sheet, made by hand: no library that is installed writes them."""

from __future__ import annotations

import struct

PLAIN, DATE, MOMENT, DURATION = range(4)
"""Styles of numbers."""
_FORMATS = (0, 14, 22, 46)  # the built-in number formats of these styles (MS-XLS 2.5.165)
_SECTOR = 512  # bytes
_FREE, _END, _TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD  # marks of sectors (MS-CFB 2.1)


def text(row: int, column: int, value: str) -> bytes:
    """A cell, both from 0."""
    characters = value.encode("utf-16-le")
    about = struct.pack("<HHHHB", row, column, PLAIN, len(characters) // 2, 1)
    return _record(0x0204, about + characters)


def number(row: int, column: int, value: float, style: int = PLAIN) -> bytes:
    """A number or, by its style, a date."""
    return _record(0x0203, struct.pack("<HHHd", row, column, style, value))


def truth(row: int, column: int, value: bool) -> bytes:
    return _record(0x0205, struct.pack("<HHHBB", row, column, PLAIN, value, 0))


def shared(row: int, column: int) -> bytes:
    """A cell with the workbook's shared text."""
    return _record(0x00FD, struct.pack("<HHHI", row, column, PLAIN, 0))


def workbook(*cells: bytes, shared: str = "", rows: int = 1, columns: int = 1) -> bytes:
    """One sheet, which says of itself that it has so many rows and columns."""
    styles = b"".join(_record(0x00E0, struct.pack("<HH16x", 0, kind)) for kind in _FORMATS)
    characters = shared.encode("utf-16-le")
    texts = _record(0x00FC, struct.pack("<IIHB", 1, 1, len(characters) // 2, 1) + characters)
    book = _begin(0x0005) + styles + texts
    name = b"Sheet1"
    place = len(book) + 12 + len(name) + 4  # past the record of the name, and the end
    book += _record(0x0085, struct.pack("<IBBBB", place, 0, 0, len(name), 0) + name)
    size = _record(0x0200, struct.pack("<IIHHH", 0, rows, 0, columns, 0))
    sheet = _begin(0x0010) + size + b"".join(cells)
    return _container(book + _record(0x000A) + sheet + _record(0x000A))


def _begin(kind: int) -> bytes:
    return _record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0x0DBB, 0x07CC, 0, 6))


def _record(kind: int, content: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(content)) + content


def _container(stream: bytes) -> bytes:
    """A compound file with that stream: the table of sectors, the directory, the stream."""
    stream = stream.ljust(4096, b"\0")  # shorter ones would be kept elsewhere
    stream += bytes(-len(stream) % _SECTOR)
    used = len(stream) // _SECTOR
    tables = 1
    while tables * 128 < tables + 1 + used:
        tables += 1
    first = tables + 1
    chain = [_TABLE] * tables + [_END] + [*range(first + 1, first + used), _END]
    chain += [_FREE] * (tables * 128 - len(chain))
    header = bytes.fromhex("d0cf11e0a1b11ae1") + struct.pack(
        "<16x5H6x9I", 0x3E, 3, 0xFFFE, 9, 6, 0, tables, tables, 0, 4096, _END, 0, _END, 0
    )
    places = [*range(tables), *[_FREE] * (109 - tables)]
    directory = _entry("Root Entry", 5, 1, _END, 0) + _entry("Workbook", 2, _FREE, first, used)
    return (
        header
        + struct.pack("<109I", *places)
        + struct.pack(f"<{len(chain)}I", *chain)
        + directory.ljust(_SECTOR, b"\0")
        + stream
    )


def _entry(name: str, kind: int, child: int, first: int, sectors: int) -> bytes:
    spelt = (name + "\0").encode("utf-16-le")
    about = struct.pack("<HBBIII", len(spelt), kind, 1, _FREE, _FREE, child)
    place = struct.pack("<36xIQ", first, sectors * _SECTOR)
    return spelt.ljust(64, b"\0") + about + place
