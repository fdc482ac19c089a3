"""Where cells of a sheet are merged and rows hidden, which the library that reads cells leaves out.

Of three formats: the XML of a sheet of an .xlsx, the records of one of an .xlsb, and the one XML of
all sheets of an .ods.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple
from xml.etree import ElementTree

MOST = 1_000_000
"""Merged cells of a sheet that are looked at."""

_MERGED = re.compile(
    rb"""<(?:\w+:)?mergeCell\s[^<>]*\bref=["']([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})"""
)
_HIDDEN_ROW = re.compile(rb"""<(?:\w+:)?row\s[^<>]*\shidden=["'](?:1|true)["']""")
# Records of MS-XLSB 2.4: BrtBeginMergeCells with its length and a count, then so many BrtMergeCell.
_BEGIN_MERGED = re.compile(rb"\xb1\x01\x04(.{4})(?=\xb0\x01\x10)", re.DOTALL)
_MERGE_RECORD = 3 + 16  # bytes
# BrtBundleSh: its length, two numbers, then the length and the letters of an id.
_BUNDLE = re.compile(rb"\x9c\x01.[\x00-\x02]\0{3}.{4}(.)\0{3}(?=r\0)", re.DOTALL)
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_HIDING = ("filter", "collapse")
_AT_ONCE = 1 << 20  # bytes


class Layout(NamedTuple):
    """Of one sheet: (first row, last row, column) of cells merged over rows, from 0."""

    merged: list[tuple[int, int, int]]
    hidden_rows: int


def of_xlsx(xml: bytes) -> Layout:
    """Of a worksheet's part."""
    end = max(xml.rfind(b"sheetData>"), 0)
    merged = []
    for found in _MERGED.finditer(xml, end):
        left, top, _, bottom = found.groups()
        merged.append((int(top) - 1, int(bottom) - 1, _column(left)))
        if len(merged) == MOST:
            break
    hidden = sum(1 for _ in _HIDDEN_ROW.finditer(xml)) if b"hidden=" in xml else 0
    return Layout(merged, hidden)


def of_xlsb(records: bytes) -> Layout:
    """Of a worksheet's part."""
    merged: list[tuple[int, int, int]] = []
    end = 0
    for found in _BEGIN_MERGED.finditer(records):
        if found.start() < end:
            continue  # a record that looks like a beginning
        (count,) = struct.unpack("<I", found[1])
        for at in range(found.end(), found.end() + min(count, MOST) * _MERGE_RECORD, _MERGE_RECORD):
            if records[at : at + 3] != b"\xb0\x01\x10" or len(records) < at + _MERGE_RECORD:
                break
            top, bottom, left, _ = struct.unpack_from("<4I", records, at + 3)
            merged.append((top, bottom, left))
            end = at + _MERGE_RECORD
    return Layout(merged, 0)


def sheets_of_xlsb(records: bytes) -> list[str]:
    """The ids of the relationships that lead to the sheets, from the workbook's part."""
    return [
        records[found.end() : found.end() + 2 * found[1][0]].decode("utf-16-le", "replace")
        for found in _BUNDLE.finditer(records)
    ]


def of_ods(xml: bytes, sheet: int) -> Layout:
    """Of a sheet, by its number, of an .ods's `content.xml`."""
    if b"rows-spanned" not in xml and b"visibility" not in xml:
        return Layout([], 0)
    rows = _Rows(sheet)
    parser = ElementTree.XMLParser(target=rows)  # noqa: S314  Expat stops entity bombs
    for start in range(0, len(xml), _AT_ONCE):
        if rows.table > sheet:
            break
        parser.feed(xml[start : start + _AT_ONCE])
    return Layout(rows.merged, rows.hidden)


class _Rows:
    """What a parser tells of one table of an .ods; there is no tree of it, which has no bound."""

    def __init__(self, sheet: int) -> None:
        self.merged: list[tuple[int, int, int]] = []
        self.hidden = 0
        self.table = -1  # its number
        self._sheet = sheet
        self._row = self._next = self._column = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not tag.startswith(_TABLE):
            return
        name = tag.removeprefix(_TABLE)
        if name == "table":
            self.table += 1
        elif self.table != self._sheet:
            return
        elif name == "table-row":
            times = _number(attributes, "number-rows-repeated")
            self.hidden += times if attributes.get(f"{_TABLE}visibility") in _HIDING else 0
            self._row, self._next, self._column = self._next, self._next + times, 0
        elif name in ("table-cell", "covered-table-cell"):
            span = _number(attributes, "number-rows-spanned")
            if span > 1 and len(self.merged) < MOST:
                self.merged.append((self._row, self._row + span - 1, self._column))
            self._column += _number(attributes, "number-columns-repeated")


def _number(attributes: dict[str, str], name: str) -> int:
    value = attributes.get(f"{_TABLE}{name}", "1")
    return int(value) if value.isdecimal() and len(value) < 8 else 1


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1
