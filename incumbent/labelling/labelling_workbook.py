"""A workbook that a person fills in, and that the inbox takes back as training data.

The first sheet has the columns of texts and of labels under the names that the config gives them.
Only a row whose label cell is filled in is a label; the rest are rows without one, which training
leaves out. Texts may be hostile: each is written as a text, whatever it begins with.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incumbent.errors import ConfigError
from incumbent.recognition import column_names
from incumbent.tables import table_writer
from incumbent.tables.table_writer import CELL

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

_CUT = " …"
_GUIDE, _LABELS = "how to fill in", "labels"
_HEAD, _FILL_IN = "DCE6F1", "FFF8DC"


@dataclass(frozen=True)
class Column:
    """A column: its name, its width in characters, and its cells."""

    name: str
    width: int
    cells: Sequence[object]


@dataclass(frozen=True)
class Workbook:
    """What a person is given."""

    title: str
    text: Column
    label: Column
    """What a person fills in, or corrects."""
    others: Sequence[Column]
    labels: Sequence[str]
    """What the cells of the label column may hold."""
    guide: Sequence[str]
    """Sentences of the second sheet."""


def check(path: Path, records: Path, sources: Sequence[str]) -> None:
    """See that a workbook may be written to `path`, before anything is computed.

    Raises:
        ConfigError: if it is no .xlsx, its folder is not there, it is one of the `sources`, or
            somebody changed it since it was written.
    """
    if path.suffix.lower() != ".xlsx":
        raise ConfigError(f"{path}: a workbook is written; name a file that ends in .xlsx.")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file in it.")
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: there is no folder {path.parent}. Make it, or name another.")
    if not path.exists():
        return
    if any(Path(source).exists() and path.samefile(source) for source in sources):
        raise ConfigError(f"{path} is data that is read; name another file for the workbook.")
    if not (records / _digest(path)).exists():
        raise ConfigError(
            f"{path} is there already, and somebody may have filled it in: it is not as `incumbent "
            "labels` wrote it. Name another file, or move it away."
        )


def write(path: Path, records: Path, workbook: Workbook) -> None:
    """Write it, wholly or not at all; what stood there is replaced.

    Raises:
        ConfigError: if the place cannot be written to.
    """
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = workbook.title
    columns = [workbook.text, workbook.label, *_renamed(workbook)]
    _fill(sheet, columns)
    _label_list(book, sheet, workbook.labels, len(workbook.text.cells))
    guide = book.create_sheet(_GUIDE, 1)
    guide.column_dimensions["A"].width = 110
    for number, sentence in enumerate(workbook.guide, 1):
        _set(guide, number, 1, sentence)
    draft = path.with_name(f".{path.stem}.{os.getpid()}.xlsx")
    try:
        book.save(draft)
        records.mkdir(parents=True, exist_ok=True)
        (records / _digest(draft)).touch()
        draft.replace(path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}. Free the disk, or name a place "
            "that you may write to."
        ) from None
    finally:
        draft.unlink(missing_ok=True)


def _renamed(workbook: Workbook) -> list[Column]:
    """The other columns, none of which a reader could take for that of texts or labels."""
    ours = {column_names.bare(column.name) for column in (workbook.text, workbook.label)}
    return [
        Column(
            f"about: {c.name}" if column_names.bare(c.name) in ours else c.name, c.width, c.cells
        )
        for c in workbook.others
    ]


def _fill(sheet: Worksheet, columns: Sequence[Column]) -> None:
    """The table: a header that stays in sight, and the rows."""
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    for at, column in enumerate(columns, 1):
        head = _set(sheet, 1, at, column.name)
        head.font, head.fill = Font(bold=True), PatternFill("solid", fgColor=_HEAD)
        sheet.column_dimensions[get_column_letter(at)].width = column.width
        for row, value in enumerate(column.cells, 2):
            cell = _set(sheet, row, at, value)
            cell.alignment = Alignment(wrap_text=at == 1, vertical="top")
            if at == 2:
                cell.fill = PatternFill("solid", fgColor=_FILL_IN)
            if isinstance(value, float):
                cell.number_format = "0%"
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = sheet.dimensions


def _label_list(book: Any, sheet: Worksheet, labels: Sequence[str], rows: int) -> None:
    """A sheet of the labels, and a list of them to choose from in each label cell."""
    from openpyxl.worksheet.datavalidation import DataValidation

    listed = book.create_sheet(_LABELS)
    listed.column_dimensions["A"].width = 50
    for number, label in enumerate(labels, 1):
        _set(listed, number, 1, label)
    choice = DataValidation(
        type="list", formula1=f"{_LABELS}!$A$1:$A${len(labels)}", allow_blank=True,
        errorStyle="warning", showErrorMessage=True, errorTitle="A new label?",
        error="No row of the training data has this label. Keep it all the same?",
    )  # fmt: skip
    sheet.add_data_validation(choice)
    if rows:
        choice.add(f"B2:B{rows + 1}")


def _set(sheet: Worksheet, row: int, column: int, value: object) -> Any:
    """Set a cell; a text is one whatever it begins with, and read back as it is."""
    cell = sheet.cell(row, column)
    if isinstance(value, str):
        if value:
            cell.value = cell_text(value)
            cell.data_type = "s"
            cell.quotePrefix = value.startswith(("=", "+", "-", "@"))
    else:
        cell.value = value
    return cell


def cell_text(text: str) -> str:
    """A text as a cell can hold it: no control characters, not too long, no code of Excel's."""
    if len(text) > CELL:
        text = text[: CELL - len(_CUT)] + _CUT
    return table_writer.cell_text(text)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
