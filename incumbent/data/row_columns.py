"""The columns that say which row one is, who labelled it, and when."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

import pandas as pd

from incumbent.data import label_spellings
from incumbent.data.corrections import NO_DATE
from incumbent.errors import DataError
from incumbent.runtime import url_secrets
from incumbent.tables import table_reader, training_files

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from incumbent.config import DataConfig

_KEYS = {"id": "id_column", "annotator": "annotator_column", "date": "date_column"}
_DAY_FIRST = re.compile(r"(\d{1,2})\. ?(\d{1,2})\. ?(\d{4}),?(.*)", re.DOTALL)
_DIGITS = re.compile(r"[0-9]+")
_SHORTENED = re.compile(r"[0-9]+[.,][0-9]+E\+[0-9]+", re.IGNORECASE)  # 1.23457E+11
_NONE = ("-", "–", "n/a", "#n/a", "na", "nan", "none", "null", "?")
_SHOWN = 20  # columns that a message lists


def settled(config: DataConfig) -> bool:
    """Whether rows that are labelled more than once are looked for."""
    return config.disagreement != "keep" or bool(config.annotator_column)


def named(config: DataConfig) -> list[str]:
    """The columns that are read for it."""
    columns = (getattr(config, key) for key in _KEYS.values())
    return list(dict.fromkeys(column for column in columns if column)) if settled(config) else []


def added(
    frame: pd.DataFrame, config: DataConfig, slices: Collection[str], files: Sequence[str]
) -> pd.DataFrame:
    """A canonical frame with `corrections.COLUMNS`, and no other slices than these.

    Raises:
        DataError: if a cell of the column of dates holds none.
    """
    if not settled(config):
        return frame
    blank = pd.Series("", index=frame.index, dtype=object)
    columns = {
        name: frame.get(f"{table_reader.SLICE}{getattr(config, key)}", blank)
        for name, key in _KEYS.items()
    }
    columns["id"] = _ids(columns["id"], frame["row"], config.id_column, files)
    columns["annotator"] = columns["annotator"].map(label_spellings.plain)
    columns["date"] = _times(columns["date"], frame["row"], config.date_column, files)
    asked = {f"{table_reader.SLICE}{name}" for name in slices}
    others = {f"{table_reader.SLICE}{name}" for name in named(config)} - asked
    return frame.drop(columns=[name for name in others if name in frame]).assign(**columns)


def filled(frame: pd.DataFrame, config: DataConfig) -> set[str]:
    """Which of the keys of these columns name one that holds something here."""
    return {
        key
        for name, key in _KEYS.items()
        if getattr(config, key) and (frame[name] != (NO_DATE if name == "date" else "")).any()
    }


def check(config: DataConfig, found: Collection[str], file: str) -> None:
    """See that each key names a column that holds something in train or test.

    Args:
        config: The keys.
        found: Those of them that do.
        file: One of the files, whose columns a message names.

    Raises:
        DataError: if one does not.
    """
    for key in _KEYS.values():
        name = getattr(config, key)
        if not name or key in found or not settled(config):
            continue
        table = next(training_files.tables(file, config, config.texts_in))
        near = difflib.get_close_matches(name, table.header, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near and near[0] != name else ""
        listed = ", ".join(repr(column) for column in table.header[:_SHOWN] if column)
        raise DataError(
            f"data.{key} names {name!r}, and no row of train or test has anything in such a "
            f"column.{hint} The columns of {url_secrets.public(file)} are {listed}. Correct the "
            "name, or leave it empty."
        )


def _ids(
    cells: pd.Series[str], rows: pd.Series[int], name: str, files: Sequence[str]
) -> pd.Series[str]:
    """Ids (n,) as they are compared: 7, 7.0 and 007 are one; "" where there is none."""
    shortened = cells.map(lambda cell: bool(_SHORTENED.fullmatch(cell)))
    if shortened.any():
        where = training_files.rows_in_words([int(rows[shortened].iloc[0])], files)
        raise DataError(
            f"{training_files.named(files)}: row {where}, column {name!r}: found "
            f"{cells[shortened].iloc[0]!r}, a number that a spreadsheet program has shortened, so "
            "that different rows have one id. Show the column as whole numbers there, and save the "
            "file again."
        )
    seen = cells.map(label_spellings.key)
    ids = seen.map(lambda cell: cell.lstrip("0") or "0" if _DIGITS.fullmatch(cell) else cell)
    return ids.mask(ids.str.casefold().isin(_NONE), "")


def _times(
    cells: pd.Series[str], rows: pd.Series[int], name: str | None, files: Sequence[str]
) -> pd.Series[int]:
    """Nanoseconds since 1970 of cells with dates (n,); a time without a zone is UTC."""
    cells = cells.mask(cells.str.casefold().isin(_NONE), "")
    iso = cells.map(_day_last)
    times = pd.to_datetime(iso.mask(iso == ""), format="ISO8601", utc=True, errors="coerce")
    wrong = times.isna() & (cells != "")
    if wrong.any():
        row = int(rows[wrong].iloc[0])
        where = training_files.rows_in_words([row], files)
        raise DataError(
            f"{training_files.named(files)}: row {where}, column {name!r}: found "
            f"{cells[wrong].iloc[0][:40]!r}; a date is expected (a date cell, or text like "
            "2026-11-28, 2026-11-28 09:30 or 28.11.2026). Correct it, or leave the cell empty for "
            "a row that is older than all others; or set data.date_column to another column."
        )
    nanoseconds = times.dt.as_unit("ns").astype("int64")
    return nanoseconds.where(cells != "", NO_DATE)


def _day_last(cell: str) -> str:
    """A date like `28.11.2026 09:30` as ISO 8601 has it; anything else as it is."""
    found = _DAY_FIRST.fullmatch(cell)
    return f"{found[3]}-{found[2]:0>2}-{found[1]:0>2}{found[4]}" if found else cell
