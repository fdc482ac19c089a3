"""Rows without a label: counted, and kept as a table of which some may be labelled next."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pandas as pd

from incumbent.errors import DataError
from incumbent.tables import training_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MOST = 10_000
"""So many rows are kept."""

_CHARACTERS = 50_000_000  # that they may have together
_FIRST = 20  # that are named


class UnlabelledRows:
    """The rows without a label that are met in reading, as far as they are kept."""

    def __init__(self) -> None:
        self.count = 0
        """All of them."""
        self.first: list[int] = []
        """The numbers of the first."""
        self._rows: list[tuple[int, str]] = []
        self._room = _CHARACTERS

    def add(self, frame: pd.DataFrame) -> None:
        """Take some rows, with columns as `canonical_text.canonical` gives them."""
        self.count += len(frame)
        self.first += frame["row"].tolist()[: _FIRST - len(self.first)]
        texts = frame[frame["found"] != "empty"].head(MOST - len(self._rows))
        for row, text in zip(texts["row"].tolist(), texts["text"], strict=True):
            self._room -= len(text)
            if self._room < 0:
                return
            self._rows.append((row, text))

    def save(self, folder: Path, files: Sequence[str], text_column: str) -> Path:
        """Write those that are kept beside a dataset; gives the file, named by its contents.

        Args:
            folder: The dataset's.
            files: The files that they were read from, in the order of their numbers.
            text_column: What the column of texts is called.

        Raises:
            DataError: if it cannot be written.
        """
        places = [training_files.place_of(row) for row, _ in self._rows]
        frame = pd.DataFrame(
            {
                "file": pd.Series([files[file] for file, _ in places], dtype=object),
                "row": pd.Series([number for _, number in places], dtype="int64"),
            }
            | {text_column: pd.Series([text for _, text in self._rows], dtype=object)}
        )
        own = hashlib.sha256(frame.to_json(orient="split").encode()).hexdigest()[:16]
        path = folder / f"unlabelled.{own}.parquet"
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            frame.to_parquet(draft, index=False)
            draft.replace(path)
        except OSError as error:
            raise DataError(
                f"The rows without a label cannot be written to {path} "
                f"({error.strerror or error}). Set tracking.workdir to a folder that you may write "
                "to, with free space."
            ) from None
        return path
