"""Read a source into `Table`s: what it is, its contents tell, or else its name or the config."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from incumbent.errors import DataError
from incumbent.recognition import file_kinds, zip_unpacking
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

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from incumbent.config import DataConfig
    from incumbent.tables.table import Table

_PART = 2_000  # rows of a part
_HEAD = 1 << 16  # bytes that tell what a file is
_JSON = (".json", *JSON_LINES)
_TEXT = (*DELIMITERS, *_JSON)


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
    with fsspec_files.opened(source) as file:
        head = file.read(_HEAD)
        if not head:
            raise DataError(f"{shown} is empty: 0 bytes. Copy it again from where it came.")
        file.seek(0)
        if file_kinds.kind(head) == "parquet":
            yield from parquet_reading.parts_of_parquet(file, shown, columns, optional, _PART)
            return
        data = fsspec_files.unpacked(file.read(), shown)
    kind = file_kinds.kind(data)
    suffix = extension(shown)
    if kind == "zip" and (member := zip_unpacking.only_member(data, shown)):
        data, name = member
        shown, kind, suffix = f"{shown}, {name}", file_kinds.kind(data), extension(name)
    yield from _of_bytes(data, shown, kind, suffix, config, columns, optional)


def _of_bytes(
    data: bytes, shown: str, kind: file_kinds.Kind, suffix: str, config: DataConfig,
    columns: Sequence[str], optional: Sequence[str] | None,
) -> Iterator[Table]:  # fmt: skip
    if kind == "parquet" or (suffix in PARQUET and kind not in ("text", "json")):
        file = io.BytesIO(data)
        yield from parquet_reading.parts_of_parquet(file, shown, columns, optional, _PART)
    elif kind in ("old workbook", "zip") or (suffix in EXCEL and kind == ""):
        yield excel_reading.read(data, shown, config.sheet, columns, config.header_row)
    elif kind == "json" or (kind == "text" and suffix in _JSON):
        yield csv_and_json_reading.from_json(data, shown, config.encoding, columns, optional)
    elif kind == "text" or suffix in _TEXT:
        yield csv_and_json_reading.from_csv(
            data, shown, config.encoding, DELIMITERS.get(suffix, ","), columns,
            config.delimiter, config.header_row,
        )  # fmt: skip
    else:
        raise _unknown(shown, suffix)


def _unknown(shown: str, suffix: str) -> DataError:
    return DataError(
        f"{shown}: {suffix or 'a name without an extension'} is no known format, nor is what is in "
        f"it. Expected one of {' '.join(FORMATS)}, or one of them with {' or '.join(PACKED)} "
        "added; save the data as .xlsx."
    )
