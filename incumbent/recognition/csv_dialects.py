"""How a text file is delimited and quoted, told from its first rows."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from incumbent.recognition import header_rows
from incumbent.recognition.header_rows import LOOK, Header

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""The delimiters that are looked for, as messages name them."""

_RARE = "~^§¬¦\x01\x1f"  # delimiters that only count if the names stand between them
_HEAD = 1 << 16  # characters
_SEP = re.compile(r'"?sep=(.)"?[,;\t|]*(?:\r\n?|\n|$)', re.IGNORECASE)  # Excel's own first line


class Dialect(NamedTuple):
    """How to read a text file."""

    delimiter: str
    body: int
    """Where the table begins, in characters: behind a line `sep=;`, which names the delimiter."""
    header: Header | None
    """Its header, or what comes nearest; rows count records from 0, blank ones too. None if no row
    among the first is filled."""
    found: bool
    """Whether the header holds what is wanted."""


def sniff(text: str, wanted: Sequence[str], usual: str, given: str = "", row: int = 0) -> Dialect:
    """The delimiter under which a row holds the wanted names; else that which all rows have.

    Of several it is the one whose header stands first: another finds one in a text.

    Args:
        text: The file; only its beginning is looked at.
        wanted: Names of columns.
        usual: The delimiter of the file's extension; it goes first if headers stand in one row.
        given: The delimiter, if it is known.
        row: The header's number, from 1, if it is known.
    """
    sep = _SEP.match(text)
    body = sep.end() if sep else 0
    known = given or (sep[1] if sep else "")
    order = [known] if known else [usual, *(one for one in NAMES if one != usual)]
    found = {one: _rows(text[body : body + _HEAD], one) for one in order}
    headers = [(one, header) for one in order if (header := _header(found[one], wanted, row))]
    if not headers and not known and len(wanted) > 1:
        head = text[body : body + _HEAD]
        rare = {one: _rows(head, one) for one in _RARE if one in head}
        headers = [(one, names) for one in rare if (names := _header(rare[one], wanted, row))]
    if headers:
        delimiter, header = min(headers, key=lambda each: each[1].first)
        return Dialect(delimiter, body, header, found=True)
    best = max(order, key=lambda one: _evenness(found[one]))
    if row:
        return Dialect(best, body, Header(row - 1, row - 1, []), found=False)
    return Dialect(best, body, header_rows.nearest(found[best], wanted), found=False)


def _rows(head: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    with contextlib.suppress(csv.Error):  # what it is about, reading says
        rows.extend(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter))
    # The last row may be cut; a header that is cut is none.
    return rows[:-1] if len(head) == _HEAD and len(rows) > 1 else rows


def _header(rows: list[list[str]], wanted: Sequence[str], row: int) -> Header | None:
    if not row:
        return header_rows.find(rows, wanted)
    found = header_rows.find(rows[row - 1 : row], wanted)
    return found and Header(row - 1, row - 1, found.names)


def _evenness(rows: list[list[str]]) -> float:
    """The share of rows that have the commonest number of cells, if that is more than one."""
    widths = Counter(len(row) for row in rows[:LOOK] if any(row))
    if not widths:
        return 0.0
    width, count = widths.most_common(1)[0]
    return count / widths.total() if width > 1 else 0.0
