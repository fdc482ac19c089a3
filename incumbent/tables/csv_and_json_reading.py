"""Read CSV in its dialects, JSON as lines or one value, and pages of HTML, into a `Table`."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import TYPE_CHECKING

from incumbent.errors import DataError
from incumbent.recognition import (
    annotation_exports,
    csv_dialects,
    csv_quoting,
    html_tables,
    json_documents,
    text_encodings,
)
from incumbent.recognition.column_names import like
from incumbent.tables.table import Table, headed, header_note, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from incumbent.config import DataConfig
    from incumbent.recognition.csv_quoting import Quoting


_SHOWN = 20  # keys that a message lists
_FEW = 3  # rows that are told of


class _Fault(Exception):
    """What is wrong, and in which line of the table."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def from_csv(
    data: bytes, source: str, config: DataConfig, usual: str, wanted: Sequence[str] = ()
) -> Table:
    """Read text that is delimited; a quoted cell may hold line breaks.

    Args:
        data: The file.
        source: As messages name it.
        config: Its encoding, delimiter and the row of its header, where they are known.
        usual: The delimiter of the file's extension.
        wanted: Names that the header has, if they are known.

    Raises:
        DataError: if the bytes are not in that encoding, or a row has more cells than the header.
    """
    row = config.header_row or 0
    text, said = text_encodings.decode(data, source, config.encoding)
    dialect = csv_dialects.sniff(text, wanted, usual, config.delimiter, row)
    for part in config.texts_in if len(config.texts_in) > 1 else ():  # any of which is enough
        if not dialect.found:
            some = [name for name in wanted if name == part or name not in config.texts_in]
            dialect = csv_dialects.sniff(text, some, usual, config.delimiter, row)
    notes = [said] if said else []
    if dialect.delimiter != usual or dialect.body:
        notes.append(f"delimited by {csv_dialects.NAMES.get(dialect.delimiter, dialect.delimiter)}")
    faults: list[_Fault] = []
    for quoting, written in csv_quoting.quotings(text, dialect.delimiter):
        try:
            table = _parsed(written, source, dialect, quoting, wanted)
        except _Fault as fault:
            faults.append(fault)
            continue
        if row and not table.header:
            raise DataError(
                f"{source} has nothing in row {row}, which data.header_row says holds the names "
                "of the columns. Correct it, or leave it out."
            )
        more = (*notes, quoting.note) if quoting.note else notes
        more = (*more, *_swallowed(table, text, config.labels_in[0], dialect.delimiter))
        return Table(source, table.header, table.rows, table.numbers, table.header_row,
                     (*more, *table.notes))  # fmt: skip
    line = faults[0].line + bool(dialect.body)
    raise DataError(f"{source}, line {line}: {faults[0]}")


def _swallowed(table: Table, text: str, label_column: str, delimiter: str) -> tuple[str, ...]:
    """What to say of cells with lines like rows: a quote that opens there was meant as a sign."""
    if not table.numbers or text.count("\n") <= table.numbers[-1]:  # each row is one line
        return ()
    found = like(table.header, label_column)
    if len(found) != 1:
        return ()
    at, width = found[0], len(table.header)
    labels = {str(row[at]).strip() for row in table.rows if at < len(row)} - {""}
    rows: dict[int, int] = {}
    for number, row in zip(table.numbers, table.rows, strict=True):
        for cell in row:
            if "\n" in str(cell):
                lines = [line.split(delimiter) for line in str(cell).splitlines()]
                like_rows = [ln for ln in lines if len(ln) == width and ln[at].strip() in labels]
                rows[number] = rows.get(number, 0) + len(like_rows)
    return tuple(
        f"a text in row {number} holds {count:,} {'line' if count == 1 else 'lines'} like rows of "
        "the table: a double quote that begins a text there may be missing its end"
        for number, count in rows.items() if count
    )[:_FEW]  # fmt: skip


def from_page(
    data: bytes, source: str, config: DataConfig, _: str = "", wanted: Sequence[str] = ()
) -> Table:
    """Read the table of a web page, which programs save under the name .xls; see `from_csv`.

    Raises:
        DataError: if no table of it has a row.
    """
    text, said = text_encodings.decode(data, source, config.encoding)
    tables = html_tables.tables(text, source)
    raw = [
        Table(source, [cell.strip() for cell in rows[0]], [[*r] for r in rows[1:]],
              range(2, len(rows) + 1), 1, (said,) if said else ())
        for rows in tables
    ]  # fmt: skip
    fit = [found for one in raw if (found := headed(one, wanted, config.header_row))]
    if fit:
        return fit[0]
    return nearest(max(raw, key=lambda one: len(one.rows)), wanted, config.header_row)


def _parsed(
    text: str, source: str, dialect: csv_dialects.Dialect, quoting: Quoting, wanted: Sequence[str]
) -> Table:
    """The rows under the header; none if that is not what is wanted, which is for others to say.

    Raises:
        _Fault: if a row cannot be one of that table.
    """
    csv.field_size_limit(sys.maxsize)  # Python's own limit is not the user's
    stream = io.StringIO(text, newline="")
    stream.seek(dialect.body)
    reader = csv.reader(
        stream,
        delimiter=dialect.delimiter,
        strict=True,
        **quoting.options,  # type: ignore[arg-type]
    )
    first, last, names = dialect.header or (0, 0, [])
    if wanted and names and not dialect.found:
        return Table(source, names, [], (), last + 1)
    rows: list[list[object]] = []
    numbers: list[int] = []
    above = read = 0
    try:
        for number, cells in enumerate(reader):
            read = reader.line_num
            if number <= last or not names:
                if number < first:
                    above += any(cells)
                elif not names and any(map(str.strip, cells)):
                    names, first, last = [cell.strip() for cell in cells], number, number
            elif len(cells) > len(names) and any(cells[len(names) :]):
                raise _Fault(
                    reader.line_num,
                    f"found {len(cells)} cells where the header has {len(names)}. A text that "
                    f"holds {dialect.delimiter!r} must stand in double quotes; or save the file as "
                    ".xlsx.",
                )
            elif cells:
                rows.append([*cells])
                numbers.append(number + 1)
    except csv.Error as error:
        to = f", to line {reader.line_num:,}" if reader.line_num > read + 1 else ""
        raise _Fault(
            read + 1,
            f"not well-formed CSV ({error}{to}). A cell that begins with a double quote must end "
            'with one, and a quote inside it is written ""; or save the file as .xlsx.',
        ) from None
    return Table(source, names, rows, numbers, last + 1, header_note(first + 1, last + 1, above))


def from_json(
    data: bytes, source: str, config: DataConfig, wanted: Sequence[str],
    optional: Sequence[str] | None = (),
) -> Table:  # fmt: skip
    """Read the `wanted` columns of a file of JSON objects, one a line or all in one value.

    Of several columns of texts a record has any. A record may lack those in `optional`; if every
    record does, their names are blank in the header. If that is None, all columns are read as they
    are called, and a record may lack any: those that are wanted only tell where the records are.
    Blank lines are skipped.

    Raises:
        DataError: if a record is not a JSON object, or lacks one of the `wanted` columns.
    """
    text, said = text_encodings.decode(data, source, config.encoding)
    parts = config.texts_in if len(config.texts_in) > 1 else ()
    columns = [] if optional is None else [name for name in wanted if name not in parts]
    may = [name for name in wanted if name in parts and optional is not None]
    optional = None if optional is None else [*may, *optional]
    asked = None if optional is None else (*columns, *optional)
    records: list[dict[str, object]] = []
    numbers: list[int] = []
    keys: dict[str, None] = {}
    notes = dict.fromkeys([said] if said else [])
    exports = annotation_exports.Exports(source, columns)
    for number, where, kept in _records(text, source, wanted):
        record = exports.flat(kept)
        deep = [n for n in (*wanted, *(optional or ())) if n not in record and "." in n]
        record |= {n: held for n in deep if (held := json_documents.inside(record, n)) is not None}
        found = record
        if not all(name in record for name in (*columns, *may)):
            may_lack = [*may, *columns] if exports.found else may
            names = _names(record, [*columns, *may], where, may_lack)
            found = {names.get(key, key): value for key, value in record.items()}
            notes |= dict.fromkeys(
                f"key {key!r} is taken for {name!r}" for key, name in names.items() if key != name
            )
        keys |= dict.fromkeys(found)
        # Not the record itself, which may hold much that nobody asked for.
        records.append(found if asked is None else {k: found.get(k) for k in asked})
        numbers.append(number)
    notes |= dict.fromkeys(exports.said([*keys]))
    optional = [name for name in (keys if optional is None else optional) if name not in columns]
    rows = [[record.get(name) for name in (*columns, *optional)] for record in records]
    read = [*columns, *(name if name in keys else "" for name in optional)] if rows else []
    header = [*read, *(name for name in keys if name not in read)]
    return Table(source, header, rows, numbers, notes=tuple(notes))


def _names(
    record: dict[str, object], columns: Sequence[str], where: str, may_lack: Sequence[str]
) -> dict[str, str]:
    """What the keys are called that are asked for, where a record spells them otherwise."""
    keys = list(record)
    names: dict[str, str] = {}
    for name in columns:
        found = [keys[at] for at in like(keys, name)]
        if len(found) > 1:
            raise DataError(
                f"{where}: there is no {name!r}, but {' and '.join(map(repr, found))} could be it. "
                "Set data.text_column and data.label_columns to those that are meant."
            )
        if not found and name in may_lack:
            continue
        if not found:
            inner = ((key, held) for key, held in record.items() if isinstance(held, dict))
            nested = [f"{key}.{under}" for key, held in inner for under in held]
            listed = ", ".join(map(repr, [*record, *nested][:_SHOWN])) or "no keys"
            raise DataError(
                f"{where}: there is no {name!r}; this one has "
                f"{listed}. Add it, or set data.text_column "
                "and data.label_columns to keys that every one has."
            )
        names[found[0]] = name
    return names


def _records(
    text: str, source: str, columns: Sequence[str]
) -> Iterator[tuple[int, str, dict[str, object]]]:
    """Each object of a file: its number, where it is, and itself."""
    example = f'{{"{columns[0] if columns else "text"}": "…"}}'
    if json_documents.is_one_value(text):
        value = _loaded(text, source, f"Expected objects like {example}, in one array or in lines")
        for number, record in enumerate(json_documents.records(value, source, columns), start=1):
            where = f"{source}, record {number}"
            yield number, where, _object(record, where, example)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{source}, line {number}"
            value = _loaded(line, where, f"Each line must be one object, like {example}")
            yield number, where, _object(value, where, example)


def _loaded(text: str, where: str, expected: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error}). {expected}.") from None
    except RecursionError:
        raise DataError(f"{where}: the JSON is nested too deeply.") from None


def _object(value: object, where: str, example: str) -> dict[str, object]:
    if isinstance(value, dict):
        return value
    raise DataError(
        f"{where}: found a JSON {type(value).__name__}; expected an object, like {example}."
    )
