"""Training data in several files: which files are meant, and which row is in which.

Rows of the first file keep their numbers; those of the next have 1,000,000,000 more, and so on. So
one number names a row of a dataset, however many files it was read from.
"""

from __future__ import annotations

import fnmatch
import logging
import os
import posixpath
import re
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from incumbent.errors import DataError
from incumbent.runtime import url_secrets
from incumbent.tables import file_formats, fsspec_files, table_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from incumbent.config import DataConfig

_FILE = 10**9  # between the numbers of two files' first rows
_PATTERN = re.compile(r"[*?\[]")
_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")
_WEB = ("http://", "https://")
_MOST_NAMES = 3  # files that a message names

_log = logging.getLogger(__name__)


def expand(entries: str | Sequence[str]) -> tuple[str, ...]:
    """The files that `data.train` means: of a folder or a pattern, those in it, sorted by name.

    Raises:
        DataError: if a folder or a pattern holds no file that can be read, or one file is meant
            twice.
    """
    found = [file for e in ([entries] if isinstance(entries, str) else entries) for file in _of(e)]
    if twice := next((file for file in found if found.count(file) > 1), None):
        raise DataError(
            f"data.train names {url_secrets.public(twice)} twice, perhaps by a folder or a "
            "pattern that it is in. Name it once."
        )
    return tuple(found)


def _of(entry: str) -> list[str]:
    # Links on a web page are no folder; and a name may hold signs of a pattern.
    if "::" in entry or entry.startswith(_WEB) or os.path.isfile(entry):  # noqa: PTH113 - no error
        return [entry]
    head, _, pattern = entry.rstrip("/").rpartition("/")
    wild = bool(_PATTERN.search(pattern))
    known = (*file_formats.FORMATS, *file_formats.NAMED)
    if not wild and file_formats.extension(entry) in known:
        return [entry]
    folder = head if wild else entry.rstrip("/")
    # Whoever asks for *.txt means those; in a folder of tables they are something else.
    meant = wild and file_formats.extension(pattern) in known
    found = fsspec_files.files_in(folder or ("/" if entry.startswith("/") else "."))
    if found is None:
        return [entry]  # whatever is wrong with it, reading it says
    formats = known if meant else file_formats.FORMATS
    names = fnmatch.filter(found, pattern) if wild else list(found)
    kept = sorted(n for n in names if finished(n) and file_formats.extension(n) in formats)
    if not kept:
        kind = "pattern" if wild else "folder"
        raise DataError(
            f"{url_secrets.public(entry)}: there is no file that can be read under this "
            f"{kind}. Expected one or more of {' '.join(file_formats.FORMATS)}; hidden, temporary "
            "and lock files do not count."
        )
    return [f"{folder}/{name}" if folder or entry.startswith("/") else name for name in kept]


def finished(name: str) -> bool:
    """Whether a file's name is not one that programs give to what they are still writing."""
    return not name.startswith((".", "~$")) and not name.lower().endswith(_UNFINISHED)


def parts(
    files: Sequence[str], config: DataConfig, slices: Sequence[str] = (),
    needed: Sequence[str] = (), note: Callable[[str], object] = _log.info,
) -> Iterator[pd.DataFrame]:  # fmt: skip
    """The rows of all files, one after the other, as `table_reader.parts` gives them.

    Of several files, each has all slices, blank where a file has no such column.

    Raises:
        DataError: if a file cannot be read as labelled text.
    """
    for number, file in enumerate(files):
        for frame in table_reader.parts(file, config, slices, needed, note):
            frame["row"] += number * _FILE
            if len(files) > 1:
                columns = [f"{table_reader.SLICE}{name}" for name in slices]
                absent = [column for column in columns if column not in frame]
                frame[absent] = ""
            yield frame


def position(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of the files each row (n,) is in, from 0."""
    return rows // _FILE


def place_of(row: int) -> tuple[int, int]:
    """Which of the files a row is in, from 0, and its number there."""
    return divmod(row, _FILE)


def named(files: Sequence[str]) -> str:
    """The files as messages name them all together, without secrets."""
    shown = ", ".join(map(url_secrets.public, files[:_MOST_NAMES]))
    more = len(files) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def row_in_words(row: int) -> str:
    """One row by its number in its file, and by which file unless that is the first."""
    number, file = row % _FILE, row // _FILE
    return f"{number} of file {file + 1}" if file else str(number)


def rows_in_words(rows: Sequence[int], files: Sequence[str]) -> str:
    """Rows by their numbers in their files, like `2, 5 of a.xlsx; 3 of b.xlsx`."""
    if len(files) < 2:
        return ", ".join(map(str, rows))
    return "; ".join(
        f"{', '.join(str(row % _FILE) for row in group)} of "
        f"{posixpath.basename(url_secrets.public(files[file]))}"
        for file, group in groupby(rows, key=lambda row: row // _FILE)
    )
