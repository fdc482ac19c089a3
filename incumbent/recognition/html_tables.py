"""The tables of a page of HTML, or of Excel's older XML, which programs save as .xls.

Python's own parser takes time that grows with the square of a page that is made for it; this one
looks at each character once.
"""

from __future__ import annotations

import html
import re

from incumbent.errors import DataError

_MAX_CELLS = 20_000_000
_WIDEST = 50  # columns that one cell is taken to span, or to leave out before it
_CELLS = ("td", "th", "cell")
_ROWS = ("tr", "row")
_TABLES = ("table", "worksheet")
_SILENT = ("script", "style", "title")
_BREAKS = ("br", "p", "div", "li")
# Possessive, as what a tag lacks is not found by giving letters back: each is looked at once.
_TOKEN = re.compile(r"<(/?)(?:\w++:)?([A-Za-z]\w*+)([^<>]*+)>|([^<]++)|<")
_SPAN = re.compile(r"""\bcolspan\s*=\s*["']?(\d{1,4})""", re.IGNORECASE)
_INDEX = re.compile(r"""\bindex\s*=\s*["'](\d{1,4})["']""", re.IGNORECASE)


class _Tables:
    """The rows of each table; a table within a cell ends that cell."""

    def __init__(self, source: str) -> None:
        self.found: list[list[list[str]]] = [[]]
        self._source = source
        self._cell: list[str] | None = None
        self._span = 1
        self._cells = 0
        self._silent = False

    def tag(self, name: str, attributes: str, *, closes: bool) -> None:
        if name in _SILENT:
            self._silent = not closes and not attributes.endswith("/")
        elif name in _BREAKS and self._cell and not closes:
            self._cell.append("\n")
        elif name in (*_CELLS, *_ROWS, *_TABLES):
            self.close()
            if closes:
                return
            if name in _TABLES:
                self.found.append([])
            elif name in _ROWS:
                self.found[-1].append([])
            else:
                self._open(attributes)
                if attributes.endswith("/"):
                    self.close()

    def text(self, text: str) -> None:
        if self._cell is not None and not self._silent:
            self._cell.append(html.unescape(text))

    def _open(self, attributes: str) -> None:
        if not self.found[-1]:
            self.found[-1].append([])
        row = self.found[-1][-1]
        if index := _INDEX.search(attributes):  # in Excel's XML, after cells that are left out
            row.extend([""] * (min(int(index[1]) - 1, _WIDEST) - len(row)))
        span = _SPAN.search(attributes)
        self._span = max(1, min(int(span[1]), _WIDEST)) if span else 1
        self._cell = []

    def close(self) -> None:
        """End the cell that is open."""
        if self._cell is None:
            return
        self._cells += self._span
        if self._cells > _MAX_CELLS:
            raise DataError(
                f"{self._source} holds more than {_MAX_CELLS:,} cells. Save it as .csv."
            )
        self.found[-1][-1].extend(["".join(self._cell).strip(), *[""] * (self._span - 1)])
        self._cell = None


def tables(text: str, source: str) -> list[list[list[str]]]:
    """The rows of each table that has some, as text.

    Raises:
        DataError: if there is none.
    """
    reader = _Tables(source)
    for visible in _without_comments(text):
        for token in _TOKEN.finditer(visible):
            closing, name, attributes, words = token.groups()
            if name:
                reader.tag(name.lower(), attributes, closes=bool(closing))
            else:
                reader.text(words or "<")
    reader.close()
    found = [rows for rows in reader.found if any(map(any, rows))]
    if not found:
        raise DataError(
            f"{source} is a web page without a table. If it is a page to log in or an error, "
            "download the file again; or save the data as .xlsx."
        )
    return found


def _without_comments(text: str) -> list[str]:
    """What stands between comments; one that is not closed goes to the end."""
    first, *others = text.split("<!--")
    return [first, *(one.partition("-->")[2] for one in others)]
