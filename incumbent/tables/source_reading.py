"""Read a source into `Table`s: what it is, its contents tell, or else its name or the config."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from incumbent.errors import DataError
from incumbent.recognition import csv_dialects, file_kinds, text_encodings, zip_unpacking
from incumbent.runtime import sql_queries
from incumbent.runtime.url_secrets import public
from incumbent.tables import (
    csv_and_json_reading,
    excel_reading,
    fsspec_files,
    parquet_reading,
)
from incumbent.tables.file_formats import (
    DELIMITERS,
    EXCEL,
    FORMATS,
    JSON_LINES,
    PACKED,
    PARQUET,
    extension,
)
from incumbent.tables.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from incumbent.config import DataConfig
    from incumbent.recognition.file_kinds import Kind

_PART = 2_000  # rows of a part
_HEAD = 1 << 16  # bytes that tell what a file is
_JSON = (".json", *JSON_LINES)
_SAID = {
    "parquet": "Parquet", "workbook": "a workbook", "json": "JSON", "csv": "delimited text",
    "page": "a page of HTML or XML",
}  # fmt: skip


def tables(
    source: str, config: DataConfig, columns: Sequence[str], optional: Sequence[str] | None
) -> Iterator[Table]:
    """What a source holds, Parquet part by part; the rows are those under its header.

    Args:
        source: A path or fsspec URL.
        config: How it is written, where that is not told from the source.
        columns: Those that are asked for.
        optional: More, where there are such; None stands for all others.

    Raises:
        DataError: if it is missing, unreadable or in no known format.
    """
    shown = public(source)
    if sql_queries.is_database(source, os.environ):
        yield from _of_database(source, config.query)
        return
    with fsspec_files.opened(source) as file:
        head = file.read(_HEAD)
        if not head:
            raise DataError(f"{shown} is empty: 0 bytes. Copy it again from where it came.")
        file.seek(0)
        if file_kinds.kind(head) == "parquet":
            yield from parquet_reading.parts_of_parquet(file, shown, columns, optional, _PART)
            return
        data = fsspec_files.unpacked(file.read(), shown)
    suffix = extension(shown)
    if file_kinds.kind(data) == "zip" and (member := zip_unpacking.only_member(data, shown)):
        data, name = member
        shown, suffix = f"{shown}, {name}", extension(name)
    yield from _of_bytes(data, shown, suffix, config, columns, optional)


def _of_database(source: str, query: str) -> Iterator[Table]:
    shown = public(source)
    if not query:
        raise DataError(
            f"{shown} is a database, and a query gives its rows. Set data.query, and "
            "data.test_query for the test set; or save the rows as a file."
        )
    read = 0
    for names, rows in sql_queries.answer(source, query, os.environ):
        yield Table(shown, names, rows, range(read + 1, read + len(rows) + 1))
        read += len(rows)


def _of_bytes(
    data: bytes, shown: str, suffix: str, config: DataConfig,
    columns: Sequence[str], optional: Sequence[str] | None,
) -> Iterator[Table]:  # fmt: skip
    kind = file_kinds.kind(data)
    reading = _reading(kind, suffix) if config.format == "auto" else config.format
    if reading == "json" and kind == "text" and config.format == "auto":
        head = text_encodings.beginning(data)
        reading = "csv" if csv_dialects.sniff(head, columns, ",").found else reading
    if reading == "parquet":
        file = io.BytesIO(data)
        found = parquet_reading.parts_of_parquet(file, shown, columns, optional, _PART)
    elif reading == "workbook":
        sheet = excel_reading.read(data, shown, config.sheet, columns, config.header_row)
        found = iter([sheet])
    elif reading == "json":
        read_json = csv_and_json_reading.from_json
        found = iter([read_json(data, shown, config, columns, optional)])
    elif reading in ("csv", "page"):
        read = csv_and_json_reading.from_csv if reading == "csv" else csv_and_json_reading.from_page
        found = iter([read(data, shown, config, DELIMITERS.get(suffix, ","), columns)])
    else:
        raise _unknown(shown, suffix)
    expected = _reading("", suffix)
    note = f"it is {_SAID[reading]}, although its name ends in {suffix}"
    for table in found:
        yield replace(table, notes=(note, *table.notes)) if expected not in ("", reading) else table


def _reading(kind: Kind, suffix: str) -> str:
    """How to read a file: as its contents say, or as its name says of contents that are damaged."""
    if kind == "parquet" or (kind == "" and suffix in PARQUET):
        return "parquet"
    if kind in ("old workbook", "zip") or (kind == "" and suffix in EXCEL):
        return "workbook"
    if kind == "json" or (kind in ("", "text") and suffix in _JSON):
        return "json"
    if kind == "page":
        return "page"
    return "csv" if kind == "text" or suffix in DELIMITERS else ""


def _unknown(shown: str, suffix: str) -> DataError:
    return DataError(
        f"{shown}: {suffix or 'a name without an extension'} is no known format, nor is what is in "
        f"it. Expected one of {' '.join(FORMATS)}, or one of them with {' or '.join(PACKED)} "
        "added; save the data as .xlsx."
    )
