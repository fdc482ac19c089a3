"""Inspect the XML of a worksheet for formulas, errors and a used area that is too large.

calamine shows a formula as its saved value and an error as an empty cell, and makes room for every
cell of the used area before it reads one. So a sheet is looked into before calamine opens it.
"""

from __future__ import annotations

import html
import re
import string

from incumbent.errors import DataError
from incumbent.recognition.bomb_limits import SUSPECT_BYTES
from incumbent.tables.table import CellError, Formula

_MAX_CELLS = 20_000_000  # of the used area; calamine needs 32 bytes for each
_MAX_FORMULAS = 1_000_000  # each is held in memory
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
Marks = dict[tuple[int, int], str]  # (row, column), both from 0
# Rows, letters of columns, most bare cells in a row, and formulas: letters, row, what it holds.
_Cells = tuple[set[bytes], set[bytes], int, list[tuple[bytes, bytes, bytes]]]


def inspect(xml: bytes, where: str) -> Marks:
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


def text_at_most(xml: bytes, texts: bytes) -> int:
    """A bound for the bytes of text in a sheet, where a shared one may stand in many cells."""
    cells = sum(1 for _ in _SHARED.finditer(xml)) if texts else 0
    if cells * len(texts) <= SUSPECT_BYTES:
        return cells * len(texts)
    return cells * max(map(len, texts.split(b"si>")))
