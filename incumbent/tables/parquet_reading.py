"""Read Parquet into `Table`s, some rows at a time, so that memory is bounded."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from incumbent.errors import DataError
from incumbent.recognition.bomb_limits import MAX_RATIO, SUSPECT_BYTES
from incumbent.recognition.column_names import like
from incumbent.tables.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

# With a buffer a column is read page by page, not a row group at once.
_BY_PAGE: Any = {"buffer_size": 1 << 20, "pre_buffer": False}
_MAX_PART = 256 << 20  # bytes of one part of a Parquet file


def parts_of_parquet(
    file: BinaryIO, source: str, columns: Sequence[str], optional: Sequence[str] | None, rows: int
) -> Iterator[Table]:
    """Read those of the columns that a Parquet file holds, so many rows at a time.

    `optional` are columns that it need not hold; None stands for all others. Records count
    from 1. There is one part at least, which has no rows if the file has none.

    Raises:
        DataError: if the file is damaged, no Parquet, or too much for memory.
    """
    try:
        parquet = pq.ParquetFile(file, **_BY_PAGE)
        names = parquet.schema_arrow.names
        chosen = names
        if optional is not None:
            found = [like(names, name) for name in (*columns, *optional)]
            chosen = list(dict.fromkeys(names[at[0]] for at in found if len(at) == 1))
        header = [*chosen, *(name for name in names if name not in chosen)]
        read = 0
        longest = _bearable(parquet, file, source, chosen)
        for batch in parquet.iter_batches(
            max(1, min(rows, _MAX_PART // max(longest, 1))),
            columns=None if optional is None else chosen,
        ):
            size = sum(map(_bytes, batch.columns))
            if size / batch.num_rows > _MAX_PART / rows:
                raise DataError(
                    f"{source}, rows {read + 1:,} to {read + batch.num_rows:,} hold "
                    f"{size / 1e6:,.0f} MB; at most {_MAX_PART / rows / 1e3:,.0f} kB a row "
                    "are read, on average. Shorten the texts."
                )
            # All are in the file's order, where two may have one name.
            read_from = batch.columns if optional is None else map(batch.column, chosen)
            cells = [_cells(column) for column in read_from]
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
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        with suppress(pa.ArrowInvalid):  # some programs do not say that theirs are texts
            column = column.cast(pa.large_string())
    return list(column.to_pylist())
