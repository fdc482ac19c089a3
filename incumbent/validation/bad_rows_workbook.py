"""The workbook of bad rows: the labeller's own columns, then where each row is and what is wrong.

It can be corrected and dropped in again: its header stands where the config expects it, cells keep
their types, and a formula without a value or an error is an empty cell until somebody fills it.
"""

from __future__ import annotations

import datetime
import math
from collections import Counter
from typing import TYPE_CHECKING

from incumbent import label_sets
from incumbent.errors import DataError
from incumbent.recognition import annotation_exports, column_names
from incumbent.runtime import url_secrets
from incumbent.tables import table_writer, training_files
from incumbent.tables.table import as_text
from incumbent.tables.table_writer import CELL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from openpyxl import Workbook
    from openpyxl.worksheet._write_only import WriteOnlyWorksheet

    from incumbent.config import DataConfig
    from incumbent.data.datasets import Split
    from incumbent.validation.validation_verdict import BadRow

OWN = "file", "sheet", "row", "reason"
"""The columns that are added."""

_OTHERWISE = "incumbent "  # leads the name of one that the labeller has too
_MARK = "FFF2A8"  # the colour of a wrong cell
_WIDTHS = {"file": 24, "sheet": 14, "row": 8, "reason": 70}  # characters
_WIDE = 40
_AS_THEY_ARE = bool | int | datetime.datetime | datetime.date | datetime.time | datetime.timedelta

Column = tuple[str, int]
"""A column's name, and which of the columns of that name it is; of the text and the labels the name
that the config has, however a file writes it."""


def readable(config: DataConfig) -> bool:
    """Whether such a workbook can be read with a config, which may want another format."""
    return config.format in ("auto", "workbook")


def write(path: Path, rows: Sequence[BadRow], split: Split, config: DataConfig) -> None:
    """Write the rows with all columns of their files, wholly or not at all.

    Args:
        path: An .xlsx, which is replaced.
        rows: The bad rows.
        split: The training data that they are of, as it was read.
        config: How that was; the workbook can be read with it too.

    Raises:
        DataError: if a file cannot be read any more, or the workbook not be written.
    """
    from openpyxl import Workbook

    header: dict[Column, str] = {}
    found = list(_found(rows, _addresses(split, config), config, header))
    columns, written = list(header), list(header.values())
    workbook = Workbook(write_only=True)
    sheet = _sheet(workbook, config)
    names = _own_names(written)
    widths = [_WIDE] * len(columns) + [_WIDTHS[name] for name in OWN]
    for at, width in enumerate(widths, 1):
        sheet.column_dimensions[_letter(at)].width = width
    for _ in range(1, config.header_row or 1):
        sheet.append([])
    sheet.append([_cell(sheet, name) for name in (*written, *names)])
    for cells, wrong, place in found:
        own = [
            _cell(sheet, _listed(cells.get(column), config.label_separator), mark=column in wrong)
            for column in columns
        ]
        sheet.append([*own, *(_cell(sheet, value) for value in place)])
    draft = path.with_name(f".{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        workbook.save(draft)
        draft.replace(path)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror or error}). Free the disk, or set "
            "tracking.workdir to a folder that you may write to."
        ) from None
    finally:
        draft.unlink(missing_ok=True)


def _addresses(split: Split, config: DataConfig) -> list[str]:
    """The files of a split in the order of their rows' numbers, be there others by now."""
    addresses = {url_secrets.public(file): file for file in training_files.expand(config.train)}
    return [addresses.get(name, name) for name in split.files or (split.source,)]


def _found(
    rows: Sequence[BadRow], files: Sequence[str], config: DataConfig, header: dict[Column, str]
) -> Iterator[tuple[dict[Column, object], set[Column], tuple[object, ...]]]:
    """Each bad row as its file has it: its cells, the wrong ones of them, and what is added.

    `header` is filled with the columns, each as the first file that has it writes it.
    """
    wanted: dict[int, dict[int, BadRow]] = {}
    for bad in rows:
        file, number = training_files.place_of(bad.row)
        wanted.setdefault(file, {})[number] = bad
    asked = *config.texts_in, *config.labels_in
    for file, of_file in sorted(wanted.items()):
        shown = training_files.short(files[file])
        for table in training_files.tables(files[file], config, asked):
            columns = _columns(table.header, asked)
            if not of_file.keys().isdisjoint(table.numbers):
                header |= {c: table.header[at] for at, c in columns.items() if c not in header}
            wrong = {
                "text": {(name, 0) for name in config.texts_in},
                "label": {(name, 0) for name in config.labels_in},
            }
            for number, cells in zip(table.numbers, table.rows, strict=False):
                if bad := of_file.get(number):  # type: ignore[assignment]
                    by_column = {
                        column: cells[at] if at < len(cells) else None
                        for at, column in columns.items()
                    }
                    marked = set().union(*(wrong[kind] for kind in bad.cells))
                    place = shown, table.sheet or None, number, bad.reason
                    yield by_column, marked, place


def _columns(header: Sequence[str], asked: Sequence[str]) -> dict[int, Column]:
    """The columns by their places; without those that an earlier workbook of bad rows has."""
    end = [name.removeprefix(_OTHERWISE) for name in header[-len(OWN) :]]
    own = len(OWN) if (*end,) == OWN else 0
    names = dict(enumerate(header[: len(header) - own]))
    names |= {at: name for name in asked for at in column_names.like(header, name) if at in names}
    seen: Counter[str] = Counter()
    columns: dict[int, Column] = {}
    for at, name in names.items():
        columns[at] = name, seen[name]
        seen[name] += 1
    return columns


def _own_names(header: Sequence[str]) -> list[str]:
    """What the added columns are called: no column of the labeller's is called so."""
    return [f"{_OTHERWISE}{n}" if column_names.same(header, n) else n for n in OWN]


def _sheet(workbook: Workbook, config: DataConfig) -> WriteOnlyWorksheet:
    """The sheet that the config has its data in."""
    if isinstance(config.sheet, int):
        for _ in range(config.sheet):
            workbook.create_sheet()
    try:
        sheet = workbook.create_sheet(config.sheet if isinstance(config.sheet, str) else "rows")
    except ValueError:  # no name that Excel takes
        sheet = workbook.create_sheet()
    sheet.freeze_panes = f"A{(config.header_row or 1) + 1}"
    return sheet


def _cell(sheet: WriteOnlyWorksheet, value: object, *, mark: bool = False) -> object:
    """A cell of the type that it had; no text is a formula, whatever it begins with."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Alignment, PatternFill

    kept = _kept(value)
    cell = WriteOnlyCell(sheet, value=kept)
    if isinstance(kept, str):
        cell.data_type = "s"
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    if mark:
        cell.fill = PatternFill("solid", start_color=_MARK)
    return cell


def _listed(value: object, separator: str) -> object:
    """A list of labels as one cell holds them; anything else as it is."""
    found = annotation_exports.choices(value)
    if not isinstance(found, list):
        return value
    names = [as_text(name) for name in found]
    return label_sets.in_one_cell(names, separator) if separator else ", ".join(names)


def _kept(value: object) -> object:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    if isinstance(value, _AS_THEY_ARE):
        return value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value
    return table_writer.cell_text(as_text(value)[:CELL]) or None


def _letter(column: int) -> str:
    from openpyxl.utils import get_column_letter

    return str(get_column_letter(column))
