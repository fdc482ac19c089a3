"""Read CSV, TSV and JSON Lines into a `Table`."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from incumbent.errors import DataError
from incumbent.tables.file_formats import DELIMITERS
from incumbent.tables.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

_SEPARATORS = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "bars"}


def from_csv(data: bytes, source: str, encoding: str, delimiter: str) -> Table:
    """Read CSV or TSV; the header is row 1, and a quoted cell may hold line breaks.

    Raises:
        DataError: if the bytes are not in `encoding`, a row has more cells than the header, or
            the header is separated by something else.
    """
    text = decode(data, source, encoding)
    _check_separator(text, source, delimiter)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[object]] = []
    numbers: list[int] = []
    header: list[str] = []
    try:
        for number, cells in enumerate(reader, start=1):
            if not header:
                header = [cell.strip() for cell in cells]
            elif len(cells) > len(header) and any(cells[len(header) :]):
                raise DataError(
                    f"{source}, line {reader.line_num}: found {len(cells)} cells where the header "
                    f"has {len(header)}. A text that holds {delimiter!r} must stand in double "
                    "quotes; or save the file as .xlsx."
                )
            elif cells:
                rows.append([*cells])
                numbers.append(number)
    except csv.Error as error:
        raise DataError(
            f"{source}, line {reader.line_num}: not well-formed CSV ({error}). A cell that begins "
            'with a double quote must end with one, and a quote inside it is written ""; or save '
            "the file as .xlsx."
        ) from None
    return Table(source, header, rows, numbers)


def _check_separator(text: str, source: str, delimiter: str) -> None:
    """Refuse a header of one cell that others separate: two columns are needed in any case."""
    header = next(filter(None, map(str.strip, io.StringIO(text))), "")
    other = next((other for other in _SEPARATORS if other in header), None)
    if other is None or delimiter in header:
        return
    expected = _SEPARATORS[delimiter]
    renamed = next((extension for extension, own in DELIMITERS.items() if own == other), None)
    raise DataError(
        f"{source}, line 1: found {_SEPARATORS[other]} between the column names {header[:80]!r}; "
        f"expected {expected}. Save the file with {expected}, or as .xlsx"
        + (f"; or give it the extension {renamed}." if renamed else ".")
    )


def from_json_lines(
    data: bytes, source: str, encoding: str, columns: Sequence[str],
    optional: Sequence[str] | None = (),
) -> Table:  # fmt: skip
    """Read `columns` of a file with one JSON object a line; blank lines are skipped.

    A line may lack those in `optional`, or all others if that is None; if every line does, their
    names are blank in the header.

    Raises:
        DataError: if a line is not a JSON object, or lacks one of `columns`.
    """
    example = columns[0] if columns else "text"
    asked = None if optional is None else (*columns, *optional)
    records: list[dict[str, object]] = []
    numbers: list[int] = []
    keys: dict[str, None] = {}
    for number, line in enumerate(decode(data, source, encoding).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(
                f"{source}, line {number}: not JSON ({error}). Each line must be one object, like "
                f'{{"{example}": "…"}}.'
            ) from None
        except RecursionError:
            raise DataError(f"{source}, line {number}: the JSON is nested too deeply.") from None
        if not isinstance(record, dict):
            raise DataError(
                f"{source}, line {number}: found a JSON {type(record).__name__}; expected an "
                f'object, like {{"{example}": "…"}}.'
            )
        missing = [name for name in columns if name not in record]
        if missing:
            raise DataError(
                f"{source}, line {number}: there is no {missing[0]!r}; this line has "
                f"{', '.join(map(repr, record)) or 'no keys'}. Add it, or set data.text_column and "
                "data.label_columns to keys that every line has."
            )
        keys |= dict.fromkeys(record)
        # Not the record itself, which may hold much that nobody asked for.
        records.append(record if asked is None else {k: record.get(k) for k in asked})
        numbers.append(number)
    optional = [name for name in (keys if optional is None else optional) if name not in columns]
    rows = [[record.get(name) for name in (*columns, *optional)] for record in records]
    read = [*columns, *(name if name in keys else "" for name in optional)] if rows else []
    return Table(source, [*read, *(name for name in keys if name not in read)], rows, numbers)


def decode(data: bytes, source: str, encoding: str) -> str:
    """Bytes to text, without a byte order mark.

    Raises:
        DataError: naming the line and the byte that `encoding` has no character for.
    """
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise DataError(
            f"data.encoding is {encoding!r}, which is no character encoding that Python knows. "
            "Most files are utf-8; those of older Windows programs cp1252, or utf-16."
        ) from None
    except UnicodeError as error:
        if not isinstance(error, UnicodeDecodeError):
            raise DataError(f"{source} is not {encoding} ({error}). Set data.encoding.") from None
        line = data.count(b"\n", 0, error.start) + 1
        guess = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "cp1252"
        raise DataError(
            f"{source}, line {line}: byte 0x{data[error.start]:02x} is not {encoding}. Save the "
            f"file as UTF-8, or set data.encoding to the encoding it has, such as {guess}."
        ) from None
