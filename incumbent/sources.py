"""Labelled text from any path or fsspec URL, whatever the format, as one plain frame."""

from __future__ import annotations

import bz2
import datetime
import decimal
import difflib
import gzip
import io
import os
import posixpath
import re
import zlib
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import fsspec
import pandas as pd

from incumbent import marks, spreadsheets, tables
from incumbent.addresses import expanded, public, without_secrets
from incumbent.errors import DataError
from incumbent.tables import CellError, Formula, Table, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import BinaryIO

    from incumbent.config import DataConfig

EXCEL = (".xlsx", ".xlsm", ".xls")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
_JSON_LINES = (".jsonl", ".ndjson")
_PARQUET = (".parquet",)
FORMATS = (*EXCEL, *DELIMITERS, *_JSON_LINES, *_PARQUET)
_PACKED = (".gz", ".bz2")
_READABLE = tuple(suffix + packed for suffix in FORMATS for packed in ("", *_PACKED))
SLICE = "slice:"
"""What leads the name of a column that only tells groups of rows apart."""

_LABELLED = "data.text_column and data.label_columns"
_SLICES = "evaluation.slices to columns that the test data has, or add the column to it"
_PART = 2_000  # rows of a part
# What file systems call the time of the last change, or another sign of it.
_CHANGED = ("mtime", "LastModified", "last_modified", "updated", "created", "ETag", "etag", "md5")
_MAX_UNPACKED = 2 << 30  # bytes; what one text file may unpack to
_SUSPECT_UNPACKED = 100 << 20  # bytes unpacked; above this, so well compressed a file is a bomb
_MAX_RATIO = 200  # unpacked to packed; real text stays below 20
_UNPACKED_AT_ONCE = 16 << 20  # bytes
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"} | dict.fromkeys(
    ("abfs", "abfss", "az", "adl"), "azure"
)


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
        stripped and "" when missing (of several label columns
        the set, as `labels.join` writes it), `row` as the user's program numbers it, `found`: what
        the text cell held, one of text, empty, number, date, boolean, formula and error, and
        `formula`: whether the label is missing because its cell held a formula without a saved
        value. Then `slice:<name>` for each further column, stripped and "" when missing.

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
        sets = marks.sets_of(table, dict(zip(config.labels_in, [cells, *others], strict=True)))
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


def extension(source: str) -> str:
    """The format's extension, in lower case and without that of a compression.

    Raises:
        DataError: if no format goes by it.
    """
    name = _name(source).lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    suffix = posixpath.splitext(name)[1]
    if suffix not in FORMATS:
        raise DataError(
            f"{public(source)}: {suffix or 'a name without an extension'} is no known format. "
            f"Expected one of {' '.join(FORMATS)}, or one of them with {' or '.join(_PACKED)} "
            "added; save the data as .xlsx."
        )
    return suffix


def _name(source: str) -> str:
    """The file's name; in a chain like `zip://a.csv::b.zip`, that of the first address."""
    links = public(source).split("::") if "://" in source else [source]
    return posixpath.basename(next((link for link in links if "://" in link), source))


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


@contextmanager
def _opened(source: str) -> Iterator[BinaryIO]:
    """A source as a file that can be read from any place.

    Raises:
        DataError: if it cannot be read, now or later.
    """
    shown = public(source)
    source = expanded(source, os.environ)
    filesystem, path = None, source
    try:
        filesystem, path = _filesystem(source)
        with filesystem.open(path, "rb") as opened:
            file = opened if opened.seekable() else io.BytesIO(opened.read())
            yield file
    except DataError:
        raise
    except FileNotFoundError:
        raise _missing(shown, filesystem, path) from None
    except IsADirectoryError:
        raise _folder(shown) from None
    except PermissionError:
        raise DataError(
            f"{shown} may not be read: permission denied. Ask its owner, or, if it is a file of "
            "yours, make it readable to the user that runs this."
        ) from None
    except Exception as error:  # noqa: BLE001 - every filesystem raises errors of its own
        reason = f"{type(error).__name__}: {without_secrets(error, source)}"
        raise DataError(
            f"{shown} could not be read ({reason}). Check the address, the credentials and the "
            "connection."
        ) from None


def _filesystem(source: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        filesystem, path = fsspec.core.url_to_fs(source)
    except (ImportError, ValueError) as error:
        schemes = re.findall(r"(?:^|::)([^:/]+)://", source) or [""]
        scheme = next((scheme for scheme in schemes if scheme in _EXTRAS), schemes[0])
        extra = _EXTRAS.get(scheme)
        remedy = (
            f"install its client: pip install 'incumbent[{extra}]'"
            if extra
            else "use a path, or a URL like s3://, gs://, abfs:// or https://"
        )
        raise DataError(
            f"{public(source)}: {scheme}:// cannot be read here "
            f"({without_secrets(error, source)}); {remedy}."
        ) from None
    return filesystem, str(path)


def files_in(folder: str) -> dict[str, str] | None:
    """The files in a folder: by their names, what changes when they do; None if it isn't there.

    Raises:
        DataError: if it cannot be looked into.
    """
    shown, folder = public(folder), expanded(folder, os.environ)
    filesystem, path = _filesystem(folder)
    try:
        if not filesystem.isdir(path):
            return None
        found = filesystem.ls(path, detail=True)
    except Exception as error:  # noqa: BLE001 - every filesystem raises errors of its own
        reason = f"{type(error).__name__}: {without_secrets(error, folder)}"
        raise DataError(
            f"The folder {shown} could not be looked into ({reason}). Check the address, "
            "the credentials and the connection."
        ) from None
    return {
        posixpath.basename(str(one["name"])): " ".join(
            str(one[key]) for key in ("size", *_CHANGED) if key in one
        )
        for one in found
        if one["type"] == "file"
    }


def _folder(shown: str) -> DataError:
    return DataError(f"{shown} is a folder; a file is expected. Name the file in it.")


def _missing(shown: str, filesystem: fsspec.AbstractFileSystem | None, path: str) -> DataError:
    """The error for a file that isn't there, with the nearest in its folder, or a few."""
    siblings: list[str] = []
    try:
        if filesystem and filesystem.isdir(path):
            return _folder(shown)
        if filesystem:
            listing = filesystem.ls(posixpath.dirname(path), False)
            siblings = [posixpath.basename(public(sibling)) for sibling in listing]
    except Exception:  # noqa: BLE001 - a hint is not worth a second error
        siblings = []
    readable = [sibling for sibling in sorted(siblings) if sibling.lower().endswith(_READABLE)]
    # Names are compared without the extension, which all have in common.
    stems = {posixpath.splitext(sibling)[0]: sibling for sibling in readable}
    name = _name(shown)
    near = difflib.get_close_matches(posixpath.splitext(name)[0], stems, n=1, cutoff=0.75)
    hint = ""
    if near:
        hint = f" Did you mean {stems[near[0]].join(shown.rsplit(name, 1))}?"
    elif readable:
        hint = f" Files there that can be read: {_few(readable, 5)}."
    where = "" if siblings or "://" in shown else " (nor anything in its folder)"
    return DataError(
        f"There is no file {shown}{where}.{hint} Paths are relative to the working directory."
    )


def _unpack(data: bytes, shown: str) -> bytes:
    name = _name(shown).lower()
    if not name.endswith(_PACKED):
        return data
    packed = io.BytesIO(data)
    unpacked = bytearray()
    try:
        with (gzip.open if name.endswith(".gz") else bz2.open)(packed) as stream:
            while part := stream.read(_UNPACKED_AT_ONCE):
                unpacked += part
                if len(unpacked) > _MAX_UNPACKED:
                    raise DataError(
                        f"{shown} unpacks to more than 2 GiB. Split it, or write Parquet."
                    )
                ratio = len(unpacked) / max(packed.tell(), 1)
                if len(unpacked) > _SUSPECT_UNPACKED and ratio > _MAX_RATIO:
                    raise DataError(
                        f"{shown} unpacks to {ratio:,.0f} times its size; at most a factor of "
                        f"{_MAX_RATIO} is read. If it is real, unpack it and name that file."
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{shown} cannot be unpacked ({error}): it is cut short, or not compressed. Copy it "
            "again, or name it without the last extension."
        ) from None
    return bytes(unpacked)


def _tables(
    source: str, suffix: str, sheet: str | int, encoding: str,
    columns: Sequence[str], optional: Sequence[str] | None,
) -> Iterator[Table]:  # fmt: skip
    """What a source holds, Parquet part by part; `optional` None stands for all other columns."""
    shown = public(source)
    chosen = None if optional is None else (*columns, *optional)
    with _opened(source) as file:
        if not file.read(1):
            raise DataError(f"{shown} is empty: 0 bytes. Copy it again from where it came.")
        file.seek(0)
        if suffix in _PARQUET and not _name(shown).lower().endswith(_PACKED):
            yield from tables.parts_of_parquet(file, shown, chosen, _PART)
            return
        data = _unpack(file.read(), shown)
    if suffix in EXCEL:
        yield spreadsheets.read(data, shown, sheet)
    elif suffix in DELIMITERS:
        yield tables.from_csv(data, shown, encoding, DELIMITERS[suffix])
    elif suffix in _JSON_LINES:
        yield tables.from_json_lines(data, shown, encoding, columns, optional)
    else:
        yield from tables.parts_of_parquet(io.BytesIO(data), shown, chosen, _PART)


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
    return _few([repr(name) if name else "" for name in header], 20)


def _few(names: Sequence[str], most: int) -> str:
    shown = ", ".join(filter(None, names[:most]))
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


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
