"""Write tables as workbooks, CSV, TSV, JSON Lines or Parquet, wholly or not at all.

Texts may be hostile. In a workbook they are written as texts, whatever they begin with; in CSV and
TSV, which spreadsheet programs open too, a cell that such a program would take for a formula gets
an apostrophe before it (OWASP, CSV Injection).
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incumbent.errors import ConfigError
from incumbent.label_sets import CONTROL
from incumbent.tables.file_formats import DELIMITERS, JSON_LINES
from incumbent.tables.table import as_text

if TYPE_CHECKING:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.worksheet._write_only import WriteOnlyWorksheet

Write = Callable[[Sequence[str], Sequence[Sequence[object]]], None]
"""Takes the header, the same each time, and some rows."""

FORMATS = ".xlsx", *DELIMITERS, *JSON_LINES, ".parquet"
"""Extensions that can be written."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what OWASP says a formula may begin with
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")  # is none, whatever its sign
_SHEET_ROWS = 1_048_576  # of a sheet, Excel's limit
CELL = 32_767
"""Characters that a cell of a workbook holds: Excel's limit."""
_CODE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")  # Excel reads _x0041_ as the letter A


@contextmanager
def opened(path: Path, numbers: str) -> Iterator[Write]:
    """Give the function that writes rows to `path`; they are there when the context ends well.

    Args:
        path: A local file; its extension is the format.
        numbers: What the names of those columns begin with that hold numbers alone; Parquet, whose
            columns have types, takes all others for texts.

    Raises:
        ConfigError: if the extension is none of `FORMATS`, the place cannot be written to, or the
            format cannot hold a row.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ConfigError(
            f"{path}: {suffix or 'a name without an extension'} cannot be written. Expected one of "
            f"{' '.join(FORMATS)}."
        )
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file in it.")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}. Make it, or name another.")
    writer = _workbook if suffix == ".xlsx" else _lines
    if suffix == ".parquet":
        writer = partial(_parquet, numbers=numbers)
    draft = path.with_name(f".{path.stem}.{os.getpid()}{suffix}")
    try:
        with writer(draft) as write:
            yield write
        draft.replace(path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}. Free the disk, or name a place "
            "that you may write to."
        ) from None
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _lines(path: Path) -> Iterator[Write]:
    """CSV and TSV with a header; JSON Lines."""
    suffix = path.suffix.lower()
    # A byte order mark tells Excel that a CSV is UTF-8; whoever reads one here takes it away.
    encoding = "utf-8" if suffix in JSON_LINES else "utf-8-sig"
    with path.open("w", encoding=encoding, errors="replace", newline="") as file:
        if suffix in JSON_LINES:

            def write(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
                for row in rows:
                    record = dict(zip(header, map(_plain, row), strict=True))
                    file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")
        else:
            lines = csv.writer(file, delimiter=DELIMITERS[suffix], lineterminator="\n")

            def write(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
                if not file.tell():
                    lines.writerow(map(_harmless, header))
                lines.writerows(map(_harmless, row) for row in rows)

        yield write


@contextmanager
def _workbook(path: Path) -> Iterator[Write]:
    """One sheet of an .xlsx."""
    from openpyxl import Workbook

    workbook = Workbook(write_only=True)
    sheet: WriteOnlyWorksheet = workbook.create_sheet("scores")
    written = 0

    def write(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        nonlocal written
        for row in [header, *rows] if not written else rows:
            written += 1
            if written > _SHEET_ROWS:
                raise ConfigError(
                    f"A sheet holds {_SHEET_ROWS:,} rows, and there are more: write .csv or "
                    ".parquet."
                )
            sheet.append([_cell(sheet, value, written) for value in row])

    yield write
    workbook.save(path)


def _cell(sheet: WriteOnlyWorksheet, value: object, row: int) -> WriteOnlyCell | object:
    """A cell; of a text one that is no formula, whatever it begins with."""
    from openpyxl.cell import WriteOnlyCell

    value = _plain(value)
    if not isinstance(value, str):
        return value
    if len(value) > CELL:
        raise ConfigError(
            f"Row {row} has a text of {len(value):,} characters, and a cell of a workbook holds "
            f"{CELL:,}: write .csv or .parquet."
        )
    cell = WriteOnlyCell(sheet, value=cell_text(value))
    cell.data_type = "s"
    return cell


def cell_text(text: str) -> str:
    """A text as a cell of a workbook can hold it: no control characters, and no code of Excel's."""
    return _CODE.sub("_x005F_", CONTROL.sub(" ", text))


@contextmanager
def _parquet(path: Path, numbers: str) -> Iterator[Write]:
    """Parquet, all of text but for columns of numbers, whose names begin with `numbers`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with ExitStack() as files:
        writer: Any = None

        def write(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
            nonlocal writer
            kinds = [pa.float64() if n.startswith(numbers) else pa.string() for n in header]
            if writer is None:
                schema = pa.schema(list(zip(header, kinds, strict=True)))
                writer = files.enter_context(pq.ParquetWriter(path, schema))
            columns = zip(*rows, strict=True) if rows else ((),) * len(header)
            arrays = [
                pa.array(cells if kind == pa.float64() else map(_text, cells), kind)
                for kind, cells in zip(kinds, columns, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=writer.schema))

        yield write


def _text(cell: object) -> str | None:
    """A cell as text that can be encoded; None where nothing is known."""
    return None if cell is None else as_text(cell).encode(errors="replace").decode()


def _plain(cell: object) -> object:
    """A cell as a number, a truth value, a text or nothing."""
    if isinstance(cell, float) and not isfinite(cell):
        return None
    return cell if isinstance(cell, bool | int | float) or cell is None else as_text(cell)


def _harmless(cell: object) -> object:
    cell = _plain(cell)
    if isinstance(cell, str) and cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
