"""Read labelled text from any source and format into data frames of one form."""

from __future__ import annotations

import datetime
import decimal
import difflib
import logging
import re
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING

import pandas as pd

from incumbent import config_mistakes, label_sets
from incumbent.config import DataConfig
from incumbent.errors import ConfigError, DataError
from incumbent.recognition import annotation_exports, column_names
from incumbent.tables import source_reading, tick_columns
from incumbent.tables.table import CellError, Formula, Table, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

SLICE = "slice:"
"""What leads the name of a column that only tells groups of rows apart."""

_LABELLED = "data.text_column and data.label_columns"
_SLICES = (
    "evaluation.slices and data.group_column to columns that the test data has, or add the column "
    "to it"
)
_SHOWN = 20  # columns that a message lists
_MEANT = 0.75  # likeness of a column to a name, from which on it may be a slip
_FOLDED = 20  # characters more than its name that a cell with a column's name has at most
_WIDE = 80  # characters of a label that a message shows

_log = logging.getLogger(__name__)


def read(
    source: str, config: DataConfig, slices: Sequence[str] = (), needed: Sequence[str] = ()
) -> pd.DataFrame:
    """All of `parts` as one frame."""
    return pd.concat(parts(source, config, slices, needed), ignore_index=True)


def parts(
    source: str, config: DataConfig, slices: Sequence[str] = (), needed: Sequence[str] = (),
    note: Callable[[str], object] = _log.info,
) -> Iterator[pd.DataFrame]:  # fmt: skip
    """Read the text and the labels of one source, everything as text.

    Parquet is read some rows at a time, so that its size has no bound; other formats at once. Rows
    that are blank are skipped.

    Args:
        source: A path or fsspec URL.
        config: Which columns, and how they are written.
        slices: Further columns, read where there are such.
        needed: Those of them that must be there.
        note: Told in a line what was made of the file where it could be read otherwise, and how
            many blank rows there were.

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
    columns = *config.texts_in, *config.labels_in
    notes: dict[str, None] = {}
    kept = last = again = 0
    tables = source_reading.tables(source, config, columns, slices)
    begun, in_words = _say_no_in_words(source, config, tables)
    for read_table in chain(begun, tables):
        table = _without_header(read_table)
        again += len(read_table.rows) - len(table.rows)
        frame = _frame(table, config, slices, needed, in_words=in_words)
        notes |= dict.fromkeys((*table.notes, *_renamed(table, columns)))
        if len(frame):
            kept, last = kept + len(frame), int(frame["row"].iloc[-1])
            yield frame
    if not kept:
        raise DataError(
            f"{table.where} has a header ({_listed(table.header)}) but no rows under it. Add a "
            "row for each text."
        )
    if again:
        rows = "row repeats" if again == 1 else "rows repeat"
        notes[f"{again:,} {rows} the header: skipped"] = None
    if blank := max(last - table.header_row - kept - again, 0):
        notes[f"{blank:,} blank {'row' if blank == 1 else 'rows'} skipped"] = None
    if notes:
        note(f"{table.where}: {'; '.join(notes)}")


def whole(
    source: str, sheet: str | int | None, encoding: str, columns: Sequence[str] = (), *,
    header_row: int | None = None, delimiter: str = "", note: Callable[[str], object] = _log.info,
) -> Iterator[Table]:  # fmt: skip
    """Read a source with all its columns, Parquet part by part; blank rows at the end are dropped.

    Args:
        source: A path or fsspec URL.
        sheet: Of a workbook, by name or number; None for the one that has the columns.
        encoding: Of text, or `text_encodings.AUTO`.
        columns: Names that its header has.
        header_row: The number of the header's row, if it is known.
        delimiter: Of text, if it is known.
        note: Told in a line what was made of the file where it could be read otherwise.

    Raises:
        ConfigError: if one of these is nothing that the config would take.
        DataError: if it is missing, unreadable or in no known format.
    """
    values = {
        "sheet": sheet, "encoding": encoding, "header_row": header_row, "delimiter": delimiter,
    }  # fmt: skip
    if wrong := config_mistakes.mistakes({"data": values}):
        raise ConfigError("; ".join(wrong))
    config = DataConfig.model_validate(values)
    if len(columns) > 1:  # the parts of a text
        config = config.model_copy(update={"text_column": tuple(columns)})
    notes: dict[str, None] = {}
    for table in _without_blank_end(source_reading.tables(source, config, columns, None)):
        if table.header_row:
            table = replace(table, rows=[[_seen(cell) for cell in row] for row in table.rows])
        yield table
        notes |= dict.fromkeys((*table.notes, *_renamed(table, columns)))
    if notes:
        note(f"{table.where}: {'; '.join(notes)}")


def texts(table: Table, text_columns: Sequence[str], remedy: str) -> list[str]:
    """The texts of a table (n,), as `parts` shows them; "" where there is none.

    Raises:
        DataError: if there is no such column; `remedy` is what to set.
    """
    return [_shown(cell) for cell in _texts(table, _text_positions(table, text_columns, remedy))]


def _say_no_in_words(
    source: str, config: DataConfig, tables: Iterator[Table]
) -> tuple[list[Table], bool]:
    """Whether label columns say no in words anywhere, and the tables that were read to know it.

    Of a source in parts these columns are read by themselves, if the first part does not tell.
    """

    def found(table: Table) -> bool:
        places = [_position(table, name) for name in config.labels_in]
        return any(tick_columns.says_no(_column(table.rows, place)) for place in places)

    if len(config.labels_in) < 2:
        return [], False
    begun = list(islice(tables, 1))
    if any(map(found, begun)):
        return begun, True
    begun += islice(tables, 1)
    if len(begun) < 2:
        return begun, False
    return begun, any(map(found, source_reading.tables(source, config, config.labels_in, ())))


def _frame(
    table: Table, config: DataConfig, slices: Sequence[str], needed: Sequence[str], *,
    in_words: bool,
) -> pd.DataFrame:  # fmt: skip
    """Some rows of a source, as `parts` gives them."""
    parts_of_texts = _text_positions(table, config.texts_in)
    places = [_position(table, name) for name in config.labels_in]
    extra = {
        name: _position(table, name, _SLICES)
        for name in slices
        if name in needed or len(column_names.like(table.header, name)) == 1
    }
    table = _without_blank(table, parts_of_texts, places)
    rows = table.rows
    texts = _texts(table, parts_of_texts)
    cells, *others = [_column(rows, place) for place in places]
    label = _labels(table, cells, config.label_separator)
    if others:
        sets = tick_columns.sets_of(
            table, dict(zip(config.labels_in, [cells, *others], strict=True)), in_words=in_words
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


def _text_positions(table: Table, names: Sequence[str], remedy: str = _LABELLED) -> list[int]:
    """Where the columns of the texts stand; of several, some may be missing, if none looks like it.

    Raises:
        DataError: if none is there, or one is called otherwise.
    """
    there = [name for name in names if column_names.like(table.header, name)]
    if len(names) == 1 or not there:
        return [_position(table, names[0], remedy)]
    found = {name: _position(table, name, remedy) for name in there}
    rest = [column for at, column in enumerate(table.header) if at not in found.values()]
    for name in names:
        if name not in found and difflib.get_close_matches(name, rest, n=1, cutoff=_MEANT):
            _position(table, name, remedy)
    return list(found.values())


def _texts(table: Table, positions: Sequence[int]) -> list[object]:
    """The text cells (n,); of several columns what a row has in them, joined by a blank line."""
    if len(positions) == 1:
        return _column(table.rows, positions[0])
    columns = (_column(table.rows, position) for position in positions)
    return [_together(cells) for cells in zip(*columns, strict=True)]


def _together(cells: Sequence[object]) -> object:
    """One cell for the parts of a text, as `incumbent.predictor.together` joins them.

    One that stands alone stays what it is, and so does one that spoils the text.
    """
    there = [cell for cell in cells if _kind(cell) != "empty"]
    spoilt = [c for c in there if isinstance(c, CellError) or (isinstance(c, Formula) and not c)]
    if spoilt:
        return spoilt[0]
    if len(there) == 1 and not isinstance(there[0], str):
        return there[0]
    return "\n\n".join(_shown(cell).strip() for cell in there)


def _without_header(table: Table) -> Table:
    """Without rows that are the header again, as between files that were put together."""
    first = next((at for at, name in enumerate(table.header) if name), 0)
    if not table.header_row or not any(table.header):
        return table
    names = [column_names.folded(name) for name in table.header]

    def repeats(row: Sequence[object]) -> bool:
        lead = row[first] if first < len(row) else None
        if not isinstance(lead, str) or len(lead) > len(table.header[first]) + _FOLDED:
            return False
        return column_names.folded(lead) == names[first] and _folded(row, len(names)) == names

    kept = [at for at, row in enumerate(table.rows) if not repeats(row)]
    if len(kept) == len(table.rows):
        return table
    return replace(
        table, rows=[table.rows[at] for at in kept], numbers=[table.numbers[at] for at in kept]
    )


def _folded(row: Sequence[object], width: int) -> list[str]:
    cells = [column_names.folded(as_text(cell)) for cell in row]
    return cells + [""] * (width - len(cells))


def _without_blank(table: Table, texts: Sequence[int], labels: Sequence[int]) -> Table:
    """Without rows that are blank: in all cells; or where a format has records, in these."""
    suspects = [at for at, cell in enumerate(_texts(table, texts)) if _kind(cell) == "empty"]
    blank = {
        at
        for at in suspects
        if _blank(table.rows[at] if table.header_row else [table.rows[at][n] for n in labels])
    }
    if not blank:
        return table
    kept = [at for at in range(len(table.rows)) if at not in blank]
    return replace(
        table, rows=[table.rows[at] for at in kept], numbers=[table.numbers[at] for at in kept]
    )


def _renamed(table: Table, columns: Sequence[str]) -> list[str]:
    """What to say of columns that are written otherwise in the file than in the config, or not."""
    missing = [name for name in columns if not column_names.like(table.header, name)]
    known = [name for name in columns if name not in missing]
    found = [(name, table.header[_position(table, name)]) for name in known]
    return [f"column {there!r} is taken for {name!r}" for name, there in found if there != name] + [
        f"there is no column {name!r}: texts are without it" for name in missing
    ]


def _column(rows: list[list[object]], position: int) -> list[object]:
    return [row[position] if position < len(row) else None for row in rows]


def _stripped(cells: list[object]) -> pd.Series[str]:
    return pd.Series([as_text(cell).strip() for cell in cells], dtype=object)


def _labels(table: Table, cells: list[object], separator: str) -> pd.Series[str]:
    """The label in each cell (n,); a list of several is joined as one cell would hold them.

    Raises:
        DataError: if a cell holds several, and `separator` is empty or in one of them; or what is
            no label of a text.
    """
    # Of a million cells it is a few kinds and texts that are looked at.
    plain = {*map(type, cells)}.isdisjoint((list, dict))
    if plain and separator and any(map(annotation_exports.is_list_in_words, {*cells})):
        cells = [annotation_exports.list_in_words(cell) for cell in cells]
    elif plain and not any(map(annotation_exports.are_choices, {*cells})):
        return _stripped(cells)
    found = [annotation_exports.choices(cell) for cell in cells]
    texts: list[str] = []
    for number, cell in zip(table.numbers, found, strict=True):
        labels = [cell] if not isinstance(cell, list) else cell
        where = f"{table.where}, row {number}: the label"
        if any(isinstance(label, list | dict) for label in labels):
            raise DataError(
                f"{where} is {str(cell)[:_WIDE]}; expected a name, or a list of names. Whole texts "
                "are classified: export labels of texts, not of parts of them."
            )
        names = list(filter(None, (as_text(label).strip() for label in labels)))
        if len(names) > 1 and not separator:
            raise DataError(
                f"{where} is a list of {len(names)}: {str(names)[:_WIDE]}; expected one. If a text "
                "may have several labels, set data.label_separator, like ';'; then each has any of "
                "them."
            )
        sign = re.compile(label_sets.pattern(separator)) if separator else None
        if sign and (torn := next((n for n in names if len(names) > 1 and sign.search(n)), None)):
            raise DataError(
                f"{where} {torn!r} holds {separator!r}, which data.label_separator says stands "
                "between labels. Set it to a sign that is in none."
            )
        texts.append(label_sets.in_one_cell(names, separator) if separator else "".join(names))
    return pd.Series(texts, dtype=object)


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


def _position(table: Table, name: str, remedy: str = _LABELLED) -> int:
    """Where the column stands in the header; `remedy` is what to set if it doesn't."""
    if not any(table.header):
        raise DataError(f"{table.where} is empty: there is no header and no row in it.")
    found = column_names.like(table.header, name)
    if len(found) == 1:
        return found[0]
    if name in table.header:
        raise DataError(
            f"{table.where} has {table.header.count(name)} columns named {name!r}; expected one. "
            "Rename or delete the others."
        )
    if found:
        raise DataError(
            f"{table.where} has no column {name!r}, but {len(found)} that could be it: "
            f"{_listed([table.header[at] for at in found])}. Set {remedy} to the one that is meant."
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


def _without_blank_end(tables: Iterable[Table]) -> Iterator[Table]:
    """Without the last rows that are blank in all cells."""
    rows: list[list[object]] = []
    numbers: list[int] = []
    for table in tables:
        rows += table.rows
        numbers += table.numbers[: len(table.rows)]
        end = len(rows)
        while end and _blank(rows[end - 1]):
            end -= 1
        yield replace(table, rows=rows[:end], numbers=numbers[:end])
        rows, numbers = rows[end:], numbers[end:]  # which may be followed by others


def _blank(row: Sequence[object]) -> bool:
    return all(_kind(cell) == "empty" for cell in row)
