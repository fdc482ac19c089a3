"""Rows as a file holds them: CSV, JSON Lines and Parquet into a `Table`."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from incumbent.errors import DataError
from incumbent.formats import MAX_RATIO, SUSPECT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO


class Formula(str):
    """A cell that holds a formula; as a string, the value it had when the file was saved."""

    formula: str

    def __new__(cls, saved: str, formula: str) -> Formula:
        """Both as text; `formula` begins with `=`."""
        cell = super().__new__(cls, saved)
        cell.formula = formula
        return cell


class CellError(str):
    """A cell that holds an error like `#N/A`, or something that is no text at all."""

    __slots__ = ()


# With a buffer a column is read page by page, not a row group at once.
_BY_PAGE: Any = {"buffer_size": 1 << 20, "pre_buffer": False}
_MAX_PART = 256 << 20  # bytes of one part of a Parquet file
_SEPARATORS = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "bars"}


@dataclass(frozen=True)
class Table:
    """What a file holds, before a column is chosen."""

    where: str
    """The file, and the sheet if it has sheets, as messages name it."""
    header: list[str]
    rows: list[list[object]]
    """Cells; a row may be shorter than the header."""
    numbers: Sequence[int]
    """Each row's number, as the user's program shows it."""


def as_text(cell: object) -> str:
    """A cell as text: a whole number has no decimal point, and a missing value is ""."""
    if isinstance(cell, str):
        return str(cell)
    if cell is None or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    return str(cell)


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
    expected, renamed = _SEPARATORS[delimiter], {"\t": ".tsv", ",": ".csv"}.get(other)
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


def parts_of_parquet(
    file: BinaryIO, source: str, columns: Sequence[str] | None, rows: int
) -> Iterator[Table]:
    """Read those of `columns` that a Parquet file holds, or all, so many rows at a time.

    Records count from 1. There is one part at least, which has no rows if the file has none.

    Raises:
        DataError: if the file is damaged, no Parquet, or too much for memory.
    """
    try:
        parquet = pq.ParquetFile(file, **_BY_PAGE)
        names = parquet.schema_arrow.names
        chosen = names
        if columns is not None:
            chosen = [name for name in dict.fromkeys(columns) if names.count(name) == 1]
        header = [*chosen, *(name for name in names if name not in chosen)]
        read = 0
        longest = _bearable(parquet, file, source, chosen)
        for batch in parquet.iter_batches(
            max(1, min(rows, _MAX_PART // max(longest, 1))),
            columns=None if columns is None else chosen,
        ):
            size = sum(map(_bytes, batch.columns))
            if size / batch.num_rows > _MAX_PART / rows:
                raise DataError(
                    f"{source}, rows {read + 1:,} to {read + batch.num_rows:,} hold "
                    f"{size / 1e6:,.0f} MB; at most {_MAX_PART / rows / 1e3:,.0f} kB a row "
                    "are read, on average. Shorten the texts."
                )
            # All are in the file's order, where two may have one name.
            found = batch.columns if columns is None else map(batch.column, chosen)
            cells = [_cells(column) for column in found]
            part = [list(row) for row in zip(*cells, strict=True)]
            yield Table(source, header, part, range(read + 1, read + len(part) + 1))
            read += len(part)
        if not read:
            yield Table(source, header, [], ())
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{source} is damaged, or no Parquet file ({str(error).splitlines()[0]}). Write it "
            "again, or copy it again from where it came."
        ) from None


def _bearable(parquet: pq.ParquetFile, file: BinaryIO, source: str, columns: Sequence[str]) -> int:
    """The longest value, in bytes, of those that a file has once for many rows; 0 if none is known.

    Raises:
        DataError: if the file says that its columns unpack to much more than they are.
    """
    about = parquet.metadata
    packed = unpacked = 0
    shared: list[tuple[int, str]] = []
    indices: set[int] = set()  # as names need not be unique
    for group in range(about.num_row_groups):
        for index in range(about.num_columns):
            column = about.row_group(group).column(index)
            if column.path_in_schema in columns:
                packed += column.total_compressed_size
                unpacked += column.total_uncompressed_size
                if column.has_dictionary_page and column.physical_type == "BYTE_ARRAY":
                    shared.append((group, column.path_in_schema))
                    indices.add(index)
    if unpacked > SUSPECT_BYTES and unpacked > MAX_RATIO * packed:
        raise DataError(
            f"{source} would unpack to {unpacked / 1e9:.1f} GB, {unpacked / max(packed, 1):,.0f} "
            f"times its size; at most a factor of {MAX_RATIO} is read. Write it with less "
            "repetition."
        )
    longest = 0
    with_dictionary = pq.ParquetFile(file, read_dictionary=sorted(indices), **_BY_PAGE)
    for group, name in dict.fromkeys(shared):
        first = next(with_dictionary.iter_batches(1, row_groups=[group], columns=[name]), None)
        for column in [] if first is None else first.columns:
            if pa.types.is_dictionary(column.type):
                lengths = pc.binary_length(column.dictionary)
                longest = max(longest, pc.max(lengths).as_py() or 0)
        pa.default_memory_pool().release_unused()
    return longest


def _bytes(column: pa.Array) -> int:
    """What a column holds, each value counted as often as it is there."""
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    values = column.dictionary
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return int(values.nbytes)
    return pc.sum(pc.take(pc.binary_length(values), column.indices)).as_py() or 0


def _cells(column: pa.Array) -> list[object]:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return list(column.to_pylist())


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
