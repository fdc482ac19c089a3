"""Read labelled text from any source and format into data frames of one form."""

from __future__ import annotations

import datetime
import decimal
import difflib
import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from incumbent.errors import DataError
from incumbent.runtime.url_secrets import public
from incumbent.tables import (
    csv_and_json_reading,
    excel_reading,
    fsspec_files,
    parquet_reading,
    tick_columns,
)
from incumbent.tables.file_formats import (
    DELIMITERS,
    EXCEL,
    JSON_LINES,
    PACKED,
    PARQUET,
    extension,
    name_of,
)
from incumbent.tables.table import CellError, Formula, Table, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from incumbent.config import DataConfig

SLICE = "slice:"
"""What leads the name of a column that only tells groups of rows apart."""

_LABELLED = "data.text_column and data.label_columns"
_SLICES = "evaluation.slices to columns that the test data has, or add the column to it"
_PART = 2_000  # rows of a part
_SHOWN = 20  # columns that a message lists


def read(
    source: str, config: DataConfig, slices: Sequence[str] = (), needed: Sequence[str] = ()
) -> pd.DataFrame:
    """All of `parts` as one frame."""
    return pd.concat(parts(source, config, slices, needed), ignore_index=True)


def parts(
    source: str, config: DataConfig, slices: Sequence[str] = (), needed: Sequence[str] = ()
) -> Iterator[pd.DataFrame]:
    """Read the text and the labels of one source, everything as text.

    Parquet is read some rows at a time, so that its size has no bound; other formats at once.

    Args:
        source: A path or fsspec URL.
        config: Which columns, and how they are written.
        slices: Further columns, read where there are such.
        needed: Those of them that must be there.

    Yields:
        Frames of one row or more, in the order of the file: columns `text` as it stands, `label`
        stripped and "" when missing (of several label columns the set, as `label_sets.join`
        writes it), `row` as the user's program numbers it, `found`: what the text cell held, one
        of text, empty, number, date, boolean, formula and error, and `formula`: whether the label
        is missing because its cell held a formula without a saved value. Then `slice:<name>` for
        each further column, stripped and "" when missing.

    Raises:
        DataError: if the source is missing, unreadable, in no known format or of another shape
            than `config` says; the message names the place and the remedy.
    """
    suffix = extension(source)
    # Elsewhere the rows hold what is asked for alone, and slices shall not decide which count.
    columns = config.text_column, *config.labels_in
    width = None if suffix in EXCEL or suffix in DELIMITERS else len(columns)
    empty = True
    tables = _tables(source, suffix, config.sheet, config.encoding, columns, slices)
    for table in _without_blank_end(tables, width):
        frame = _frame(table, config, slices, needed)
        if len(frame):
            empty = False
            yield frame
    if empty:
        raise DataError(
            f"{table.where} has a header ({_listed(table.header)}) but no rows under it. Add a "
            "row for each text."
        )


def whole(source: str, sheet: str | int, encoding: str) -> Iterator[Table]:
    """Read a source with all its columns, Parquet part by part; blank rows at the end are dropped.

    Raises:
        DataError: if it is missing, unreadable or in no known format.
    """
    suffix = extension(source)
    for table in _without_blank_end(_tables(source, suffix, sheet, encoding, (), None), None):
        if suffix in EXCEL:
            table = replace(table, rows=[[_seen(cell) for cell in row] for row in table.rows])
        yield table


def texts(table: Table, text_column: str, remedy: str) -> list[str]:
    """The column of texts of a table (n,), as `parts` shows them; "" where there is none.

    Raises:
        DataError: if there is no such column; `remedy` is what to set.
    """
    return [_shown(cell) for cell in _column(table.rows, _position(table, text_column, remedy))]


def _frame(
    table: Table, config: DataConfig, slices: Sequence[str], needed: Sequence[str]
) -> pd.DataFrame:
    """Some rows of a source, as `parts` gives them."""
    text, *places = (_position(table, name) for name in (config.text_column, *config.labels_in))
    extra = {
        name: _position(table, name, _SLICES)
        for name in slices
        if name in needed or table.header.count(name) == 1
    }
    rows = table.rows
    texts, (cells, *others) = _column(rows, text), [_column(rows, place) for place in places]
    label = _stripped(cells)
    if others:
        sets = tick_columns.sets_of(
            table, dict(zip(config.labels_in, [cells, *others], strict=True))
        )
        label = pd.Series(sets, dtype=object)
    return pd.DataFrame(
        {
            "text": pd.Series([_shown(cell) for cell in texts], dtype=object),
            "label": label,
            "row": pd.Series(table.numbers, dtype="int64"),
            "found": pd.Series([_kind(cell) for cell in texts], dtype=object),
            "formula": pd.Series([isinstance(c, Formula) and not c.strip() for c in cells]),
        }
        | {f"{SLICE}{name}": _stripped(_column(rows, at)) for name, at in extra.items()}
    )


def _column(rows: list[list[object]], position: int) -> list[object]:
    return [row[position] if position < len(row) else None for row in rows]


def _stripped(cells: list[object]) -> pd.Series[str]:
    return pd.Series([as_text(cell).strip() for cell in cells], dtype=object)


def _shown(cell: object) -> str:
    """A text cell as text; a formula that was never computed stands for itself."""
    return as_text(cell.formula if isinstance(cell, Formula) and not cell else cell)


def _seen(cell: object) -> object:
    """A workbook's cell as its reader sees it: whole numbers whole, and see `_shown`."""
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return _shown(cell) if isinstance(cell, Formula) else cell


def _kind(cell: object) -> str:
    if isinstance(cell, Formula):
        return "formula"
    if isinstance(cell, CellError):
        return "error"
    if isinstance(cell, str):
        return "text" if cell and not cell.isspace() else "empty"
    if as_text(cell) == "":
        return "empty"
    if isinstance(cell, bool):
        return "boolean"
    if isinstance(cell, int | float | decimal.Decimal):
        return "number"
    dates = datetime.date, datetime.time, datetime.timedelta
    return "date" if isinstance(cell, dates) else "error"


def _tables(
    source: str, suffix: str, sheet: str | int, encoding: str,
    columns: Sequence[str], optional: Sequence[str] | None,
) -> Iterator[Table]:  # fmt: skip
    """What a source holds, Parquet part by part; `optional` None stands for all other columns."""
    shown = public(source)
    chosen = None if optional is None else (*columns, *optional)
    with fsspec_files.opened(source) as file:
        if not file.read(1):
            raise DataError(f"{shown} is empty: 0 bytes. Copy it again from where it came.")
        file.seek(0)
        if suffix in PARQUET and not name_of(shown).lower().endswith(PACKED):
            yield from parquet_reading.parts_of_parquet(file, shown, chosen, _PART)
            return
        data = fsspec_files.unpacked(file.read(), shown)
    if suffix in EXCEL:
        yield excel_reading.read(data, shown, sheet)
    elif suffix in DELIMITERS:
        yield csv_and_json_reading.from_csv(data, shown, encoding, DELIMITERS[suffix])
    elif suffix in JSON_LINES:
        yield csv_and_json_reading.from_json_lines(data, shown, encoding, columns, optional)
    else:
        yield from parquet_reading.parts_of_parquet(io.BytesIO(data), shown, chosen, _PART)


def _position(table: Table, name: str, remedy: str = _LABELLED) -> int:
    """Where the column stands in the header; `remedy` is what to set if it doesn't."""
    if not any(table.header):
        raise DataError(f"{table.where} is empty: there is no header and no row in it.")
    if table.header.count(name) == 1:
        return table.header.index(name)
    if name in table.header:
        raise DataError(
            f"{table.where} has {table.header.count(name)} columns named {name!r}; expected one. "
            "Rename or delete the others."
        )
    near = difflib.get_close_matches(name, table.header, n=1, cutoff=0.5)
    raise DataError(
        f"{table.where} has no column {name!r}."
        + (f" Did you mean {near[0]!r}?" if near else "")
        + f" Its columns are {_listed(table.header)}. Set {remedy}."
    )


def _listed(header: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in header[:_SHOWN] if name)
    return f"{shown} and {len(header) - _SHOWN} more" if len(header) > _SHOWN else shown


def _without_blank_end(tables: Iterable[Table], width: int | None) -> Iterator[Table]:
    """Without the last rows that are blank in all cells, or in the first `width`."""
    rows: list[list[object]] = []
    numbers: list[int] = []
    for table in tables:
        rows += table.rows
        numbers += table.numbers[: len(table.rows)]
        end = len(rows)
        while end and all(_kind(cell) == "empty" for cell in rows[end - 1][:width]):
            end -= 1
        yield replace(table, rows=rows[:end], numbers=numbers[:end])
        rows, numbers = rows[end:], numbers[end:]  # which may be followed by others
