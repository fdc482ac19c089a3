"""Training data in several files: which files are meant, and which row is in which.

A file may be a table, or in a folder of folders a single text. Rows of the first file keep their
numbers; those of the next have 1,000,000,000 more, and so on. So one number names a row of a
dataset, however many files it was read from.
"""

from __future__ import annotations

import fnmatch
import logging
import os
import posixpath
import re
from collections import Counter
from itertools import groupby, takewhile
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from incumbent.errors import DataError
from incumbent.recognition import folder_labels, text_encodings
from incumbent.recognition.folder_labels import finished as finished
from incumbent.runtime import sql_queries, url_secrets
from incumbent.tables import file_formats, fsspec_files, source_reading, table_reader
from incumbent.tables.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from incumbent.config import DataConfig

_FILE = 10**9  # between the numbers of two files' first rows
_PATTERN = re.compile(r"[*?\[]")
_WEB = ("http://", "https://")
_MOST_NAMES = 3  # files that a message names
_AT_ONCE = 2_000, 16 << 20  # texts that are read together, and their bytes
_LARGEST = 64 << 20  # bytes of one text

_log = logging.getLogger(__name__)


class TextFile(str):
    """The address of a file that is one text, in a folder of folders that are named by labels."""

    folder: str
    name: str
    label: str
    size: int
    note: str

    def __new__(cls, folder: str, name: str, label: str, size: int, note: str) -> TextFile:
        """Of a file in the folder, by its name from there; the note is of the folder."""
        file = super().__new__(cls, f"{folder}/{name}")
        file.folder, file.name, file.label, file.size, file.note = folder, name, label, size, note
        return file


def expand(entries: str | Sequence[str]) -> tuple[str, ...]:
    """The files that `data.train` means: of a folder or a pattern, those in it, sorted by name.

    A folder without tables means the texts in the folders below it, as `TextFile`s.

    Raises:
        DataError: if a folder or a pattern holds no file that can be read, or one file is meant
            twice.
    """
    found = [file for e in ([entries] if isinstance(entries, str) else entries) for file in _of(e)]
    if twice := next((file for file, count in Counter(found).items() if count > 1), None):
        raise DataError(
            f"data.train names {url_secrets.public(twice)} twice, perhaps by a folder or a "
            "pattern that it is in. Name it once."
        )
    return tuple(found)


def expand_test(entry: str) -> tuple[str, ...]:
    """The files that `data.test` means: one table, or the texts in a folder of folders.

    Raises:
        DataError: if it cannot be told which labels the texts have.
    """
    try:
        if _is_file(entry) or fsspec_files.files_in(entry.rstrip("/") or "/") is None:
            return (entry,)
    except DataError:  # whoever may read a file may not list what is beside it
        return (entry,)
    return tuple(_texts_in(entry.rstrip("/"))) or (entry,)  # reading says that it is a folder


def _of(entry: str) -> list[str]:
    if _is_file(entry):
        return [entry]
    head, _, pattern = entry.rstrip("/").rpartition("/")
    wild = bool(_PATTERN.search(pattern))
    known = (*file_formats.FORMATS, *file_formats.NAMED)
    folder = head if wild else entry.rstrip("/")
    # Whoever asks for *.txt means those; in a folder of tables they are something else.
    meant = wild and file_formats.extension(pattern) in known
    found = fsspec_files.files_in(folder or ("/" if entry.startswith("/") else "."))
    if found is None:
        return [entry]  # whatever is wrong with it, reading it says
    formats = known if meant else file_formats.FORMATS
    names = fnmatch.filter(found, pattern) if wild else list(found)
    kept = sorted(n for n in names if finished(n) and file_formats.extension(n) in formats)
    if not kept and not wild and (texts := _texts_in(folder)):
        return texts
    if not kept:
        kind = "pattern" if wild else "folder"
        raise DataError(
            f"{url_secrets.public(entry)}: there is no file that can be read under this "
            f"{kind}. Expected one or more of {' '.join(file_formats.FORMATS)}"
            + ("" if wild else f", or {folder_labels.TEXT} files in sub-folders named by label")
            + "; hidden, temporary and lock files do not count."
        )
    return [f"{folder}/{name}" if folder or entry.startswith("/") else name for name in kept]


def _is_file(entry: str) -> bool:
    """Whether it is a file or a database, told without asking where it is, or on this machine."""
    if sql_queries.is_database(entry, os.environ):
        return True
    # Links on a web page are no folder; and a name may hold signs of a pattern.
    if "::" in entry or entry.startswith(_WEB) or os.path.isfile(entry):  # noqa: PTH113 - no error
        return True
    known = (*file_formats.FORMATS, *file_formats.NAMED)
    wild = _PATTERN.search(entry.rstrip("/").rpartition("/")[2])
    return not wild and file_formats.extension(entry) in known


def _texts_in(folder: str) -> list[str]:
    if not folder:  # the whole machine is nobody's training data
        return []
    sizes = fsspec_files.files_under(folder)
    found = folder_labels.texts(url_secrets.public(folder), [*sizes])
    if found is None:
        return []
    return [
        TextFile(folder, name, label, sizes[name], found.note)
        for name, label in zip(found.paths, found.labels, strict=True)
    ]


def parts(
    files: Sequence[str], config: DataConfig, slices: Sequence[str] = (),
    needed: Sequence[str] = (), note: Callable[[str], object] = _log.info,
) -> Iterator[pd.DataFrame]:  # fmt: skip
    """The rows of all files, one after the other, as `table_reader.parts` gives them.

    Of several files, each has all slices, blank where a file has no such column.

    Raises:
        DataError: if a file cannot be read as labelled text.
    """
    of_files = groupby(enumerate(files), lambda one: getattr(one[1], "folder", None))
    for folder, group in of_files:
        if folder is not None:
            texts = [(n, file) for n, file in group if isinstance(file, TextFile)]
            yield from _texts(texts, config, slices, needed, note)
            continue
        for number, file in group:
            for frame in table_reader.parts(file, config, slices, needed, note):
                frame["row"] += number * _FILE
                if len(files) > 1:
                    columns = [f"{table_reader.SLICE}{name}" for name in slices]
                    absent = [column for column in columns if column not in frame]
                    frame[absent] = ""
                yield frame


def tables(file: str, config: DataConfig, columns: Sequence[str]) -> Iterator[Table]:
    """What one of the files holds, as it was written: a table, or a text and its label.

    Args:
        file: One of those that `expand` found.
        config: How it is written.
        columns: Those of the texts and labels; they are asked for, and all others given too.

    Raises:
        DataError: if it cannot be read.
    """
    if not isinstance(file, TextFile):
        yield from source_reading.tables(file, config, columns, None)
        return
    held = fsspec_files.contents(file.folder, [file.name])
    (text,) = text_encodings.decode_each(held, config.encoding).values()
    header = [config.texts_in[0], config.labels_in[0]]
    yield Table(url_secrets.public(file), header, [[text.removesuffix("\n"), file.label]], [1])


def _texts(
    files: Sequence[tuple[int, TextFile]], config: DataConfig, slices: Sequence[str],
    needed: Sequence[str], note: Callable[[str], object],
) -> Iterator[pd.DataFrame]:  # fmt: skip
    """The texts of a folder, some at a time; each is row 1 of its file."""
    first = files[0][1]
    shown = url_secrets.public(first.folder)
    if wrong := config.label_names or needed:
        key = "data.label_columns" if config.label_names else "evaluation.slices"
        raise DataError(
            f"{shown} holds texts in folders that are named by label: they have no columns, and "
            f"{key} names {', '.join(map(repr, wrong))}. Leave it out, or name a table."
        )
    if first.note:
        note(f"{shown}: {first.note}")
    for part in _at_once(files):
        held = fsspec_files.contents(first.folder, [file.name for _, file in part])
        data = {f"{shown}/{name}": one for name, one in held.items()}
        texts = list(text_encodings.decode_each(data, config.encoding).values())
        frame = pd.DataFrame({
            "text": pd.Series([text.removesuffix("\n") for text in texts], dtype=object),
            "label": pd.Series([file.label.strip() for _, file in part], dtype=object),
            "row": pd.Series([number * _FILE + 1 for number, _ in part], dtype="int64"),
            "found": ["text" if text.strip() else "empty" for text in texts],
            "formula": False,
        })  # fmt: skip
        yield frame.assign(**{f"{table_reader.SLICE}{name}": "" for name in slices})


def _at_once(files: Sequence[tuple[int, TextFile]]) -> Iterator[list[tuple[int, TextFile]]]:
    """The files in parts that may be in memory together.

    Raises:
        DataError: if one is too large for a text.
    """
    most, room = _AT_ONCE
    part: list[tuple[int, TextFile]] = []
    size = 0
    for one in files:
        if one[1].size > _LARGEST:
            raise DataError(
                f"{url_secrets.public(one[1])} holds {one[1].size:,} bytes, and is read as one "
                f"text; at most {_LARGEST:,} are. If it is a table, name the file."
            )
        if part and (len(part) == most or size + one[1].size > room):
            yield part
            part, size = [], 0
        part.append(one)
        size += one[1].size
    yield part


def position(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of the files each row (n,) is in, from 0."""
    return rows // _FILE


def place_of(row: int) -> tuple[int, int]:
    """Which of the files a row is in, from 0, and its number there."""
    return divmod(row, _FILE)


def sources(rows: NDArray[np.int64], files: Sequence[str]) -> NDArray[np.int64]:
    """What each of the files (n,) counts for: itself, or of texts that are files the first of them.

    Args:
        rows: How many rows (n,) each file has.
        files: The files, as messages name them.
    """
    found = np.arange(len(files))
    texts = (rows == 1) & np.fromiter(map(_is_text, files), np.bool_, len(files))
    if texts.any():
        found[texts] = texts.argmax()
    return found


def short(file: str) -> str:
    """The name of a file without where it is; of a text, with the folder that it is in."""
    return _text_in_words(file) if _is_text(file) else posixpath.basename(url_secrets.public(file))


def above(files: Sequence[str]) -> str:
    """The folder that files are under; of one file its own name."""
    shown = [url_secrets.public(file).split("/") for file in files]
    if len(shown) == 1:
        return "/".join(shown[0])
    same = takewhile(lambda parts: len({*parts}) == 1, zip(*shown, strict=False))
    return "/".join(parts[0] for parts in same)


def named(files: Sequence[str]) -> str:
    """The files as messages name them all together, without secrets."""
    shown = ", ".join(map(url_secrets.public, files[:_MOST_NAMES]))
    more = len(files) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def row_in_words(row: int, files: Sequence[str] = ()) -> str:
    """One row by its number in its file, and by which file unless that is the first.

    A text that is a file is named by that, if `files` are given.
    """
    number, file = row % _FILE, row // _FILE
    if number == 1 and file < len(files) and _is_text(files[file]):
        return _text_in_words(files[file])
    return f"{number} of file {file + 1}" if file else str(number)


def rows_in_words(rows: Sequence[int], files: Sequence[str]) -> str:
    """Rows by their numbers in their files, like `2, 5 of a.xlsx; 3 of b.xlsx; pos/1.txt`."""
    if len(files) < 2:
        return ", ".join(map(str, rows))
    return "; ".join(
        _text_in_words(files[file])
        if (numbers := [str(row % _FILE) for row in group]) == ["1"] and _is_text(files[file])
        else f"{', '.join(numbers)} of {posixpath.basename(url_secrets.public(files[file]))}"
        for file, group in groupby(rows, key=lambda row: row // _FILE)
    )


def _is_text(file: str) -> bool:
    return file.lower().endswith(folder_labels.TEXT)


def _text_in_words(file: str) -> str:
    """The name of a text, with the folder that it is in."""
    return "/".join(url_secrets.public(file).split("/")[-2:])
