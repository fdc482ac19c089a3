"""The rows of a table that have no label yet, each text once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from incumbent.data.canonical_text import fold
from incumbent.errors import DataError
from incumbent.label_sets import CONTROL
from incumbent.recognition import column_names
from incumbent.runtime import url_secrets
from incumbent.tables import table_reader
from incumbent.tables.table import Formula, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from incumbent.tables.table import Table


@dataclass
class Pool:
    """Rows to choose from (n,), and how many were left out, and why."""

    source: str
    texts: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """As the user's program numbers them."""
    rows: int = 0
    labelled: int = 0
    empty: int = 0
    repeated: int = 0
    """Rows whose text stands in the training data, or further up."""
    not_drawn: int = 0
    """Rows beyond the most that are looked at; which they are is drawn."""


def read(
    source: str, text_columns: Sequence[str], label_column: str, known: Sequence[str], most: int,
    seed: int = 0, note: Callable[[str], object] = lambda _: None,
) -> Pool:  # fmt: skip
    """Read the unlabelled rows of a table in any format that training reads.

    Args:
        source: A path or fsspec URL.
        text_columns: The column of texts, or those of their parts.
        label_column: That of labels, if there is one.
        known: Texts that are labelled.
        most: More rows are drawn from.
        seed: Of that draw.
        note: Told what was made of the file where it could be read otherwise.

    Raises:
        DataError: if it cannot be read, has no such column, or no row to choose from.
    """
    pool = Pool(url_secrets.public(source))
    seen = {hash(fold(text)) for text in known}
    random = np.random.default_rng(seed)
    for table in table_reader.whole(source, None, "auto", text_columns, note=note):
        texts = table_reader.texts(table, text_columns, "--text-column")
        labelled = _labelled(table, label_column)
        for text, number, has in zip(texts, table.numbers, labelled, strict=True):
            pool.rows += 1
            shown = CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
            key = hash(fold(shown))
            if not shown.strip():
                pool.empty += 1
            elif has:
                pool.labelled += 1
                seen.add(key)
            elif key in seen:
                pool.repeated += 1
            else:
                seen.add(key)
                _keep(pool, shown, number, most, random)
    if not pool.texts:
        raise DataError(
            f"{pool.source} has no row to choose from: of {pool.rows:,} rows {pool.labelled:,} "
            f"have a label, {pool.empty:,} no text, and {pool.repeated:,} a text that stands in "
            "the training data or further up. Name a table with texts that nobody has labelled."
        )
    return pool


def _keep(pool: Pool, text: str, number: int, most: int, random: np.random.Generator) -> None:
    """Keep a row; of more than `most`, each is as likely to be kept (Vitter 1985, algorithm R)."""
    if len(pool.texts) < most:
        pool.texts.append(text)
        pool.numbers.append(number)
        return
    pool.not_drawn += 1
    at = int(random.integers(most + pool.not_drawn))
    if at < most:
        pool.texts[at], pool.numbers[at] = text, number


def _labelled(table: Table, label_column: str) -> list[bool]:
    """Which rows have something in the column of labels."""
    found = column_names.like(table.header, label_column)
    if len(found) != 1:
        return [False] * len(table.rows)
    at = found[0]
    cells = [row[at] if at < len(row) else None for row in table.rows]
    return [bool(as_text(cell).strip()) or isinstance(cell, Formula) for cell in cells]
