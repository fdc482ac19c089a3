"""How the cells of a text file may be quoted, and what to read it with."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPED = '\\"'
_LONE = re.compile(r'\\[\\"]|(\\)')  # a backslash that stands before neither of these
_TAB = "\t"


class Quoting(NamedTuple):
    """How cells are quoted, and what to say of it."""

    options: dict[str, object]
    note: str


_DOUBLED = Quoting({}, "")
_BACKSLASH = Quoting({"escapechar": "\\"}, r"quotes in texts are written \"")
_NONE = Quoting({"quoting": csv.QUOTE_NONE}, "quotes are part of the texts")


def quotings(text: str, delimiter: str) -> Iterator[tuple[Quoting, str]]:
    """How the cells may be quoted, each with the text to read in that way."""
    yield _DOUBLED, text
    if _ESCAPED in text:
        yield _BACKSLASH, _twice(text)
    if delimiter == _TAB:
        yield _NONE, text


def _twice(text: str) -> str:
    """The text with each backslash but that of a quote written twice, unless all are already.

    Else the reader takes each for the mark of an escape, and leaves it out.
    """
    if not any(found[1] for found in _LONE.finditer(text)):
        return text
    return re.sub(r'\\(?!")', r"\\\\", text)
