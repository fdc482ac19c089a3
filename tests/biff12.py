"""Write .xlsb files (MS-XLSB), as far as tests need it; no library here writes one."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence

_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_HIDDEN = ("visible", "hidden", "very hidden")


def record(kind: int, body: bytes = b"") -> bytes:
    """A record: its type and length in seven bits a byte, then what it holds (2.1.4)."""
    return _varint(kind) + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


def wide(text: str) -> bytes:
    """An XLWideString."""
    return struct.pack("<I", len(text.encode("utf-16-le")) // 2) + text.encode("utf-16-le")


def sheet(rows: Sequence[Sequence[object]], merged: Sequence[tuple[int, int, int]] = ()) -> bytes:
    """The part of a sheet; `merged` is first row, last row and column, from 0."""
    width = max(map(len, rows), default=0)
    size = struct.pack("<4I", 0, max(len(rows) - 1, 0), 0, max(width - 1, 0))
    body = b"".join(
        record(0, struct.pack("<I", at) + bytes(17))
        + b"".join(_cell(column, value) for column, value in enumerate(row))
        for at, row in enumerate(rows)
    )
    spans = b"".join(
        record(176, struct.pack("<4I", top, bottom, left, left)) for top, bottom, left in merged
    )
    if merged:
        spans = record(177, struct.pack("<I", len(merged))) + spans + record(178)
    return record(129) + record(148, size) + record(145) + body + record(146) + spans + record(130)


def _cell(column: int, value: object) -> bytes:
    head = struct.pack("<II", column, 0)
    if value is None:
        return b""
    if isinstance(value, bool):
        return record(4, head + bytes([value]))
    if isinstance(value, int | float):
        return record(5, head + struct.pack("<d", value))
    return record(6, head + wide(str(value)))


def workbook(sheets: Mapping[str, bytes], states: Mapping[str, str] | None = None) -> bytes:
    """A workbook of such parts by name; `states` are those of sheets that are not visible."""
    bundles = b"".join(
        record(
            156,
            struct.pack("<II", _HIDDEN.index((states or {}).get(name, "visible")), number)
            + wide(f"rId{number}")
            + wide(name),
        )
        for number, name in enumerate(sheets, start=1)
    )
    links = "".join(
        f'<Relationship Id="rId{number}" Type="{_RELATIONS}/worksheet" '
        f'Target="worksheets/sheet{number}.bin"/>'
        for number in range(1, len(sheets) + 1)
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        book = record(131) + record(143) + bundles + record(144) + record(132)
        archive.writestr("xl/workbook.bin", book)
        archive.writestr("xl/_rels/workbook.bin.rels",
                         f'<Relationships xmlns="{_PACKAGE}">{links}</Relationships>')  # fmt: skip
        for number, part in enumerate(sheets.values(), start=1):
            archive.writestr(f"xl/worksheets/sheet{number}.bin", part)
    return stream.getvalue()
