"""Score a table: each row as it is, with the model's label and probabilities.

Rows are scored and written in parts, and Parquet is read in parts too, so that its size has no
bound. The output takes its place when it is whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from incumbent.errors import DataError
from incumbent.runtime import url_secrets
from incumbent.scoring import model_client
from incumbent.tables import table_reader, table_writer
from incumbent.tracking.registry_reads import Version

if TYPE_CHECKING:
    import pandas as pd

    from incumbent.tables.table import Table

_PART = 1_000  # rows that are scored between two reports of progress
_LABEL, _PROBABILITY = "label", "probability_"  # the model's columns: see `Predictor.predict`
_TAKEN = "input_"  # leads the new name of a column of the input that could be taken for one of them


class Summary(BaseModel):
    """What was scored: `labels` counts the rows by predicted label, `empty` those without text."""

    model_config = ConfigDict(frozen=True)

    model_name: str
    version: int
    output: str
    rows: int
    empty: int
    labels: dict[str, int]


def score(
    version: Version,
    source: str,
    output: Path,
    *,
    text_columns: Sequence[str] = (),
    sheet: str | int | None = None,
    encoding: str = "auto",
    header_row: int | None = None,
    delimiter: str = "",
    on_rows: Callable[[int], object] = lambda _: None,
    note: Callable[[str], object] = lambda _: None,
) -> Summary:
    """Write the rows of `source` to `output`, each with a label and the class probabilities.

    A row without text has neither. Columns of the input that are named `label` or
    `probability_…`, as the model's are, become `input_…`; of several with one name, all but the
    first get a number.

    Args:
        version: The model to ask.
        source: A path or fsspec URL of a table in any format that is read.
        output: A local file; its extension is the format.
        text_columns: The columns of texts, most often one; none for those of the model's training
            data.
        sheet: Of a workbook, by name or number; None for the one that has the column.
        encoding: Of CSV, TSV and JSON; `auto` for what its bytes say.
        header_row: The number of the row that holds the names of the columns; None for the first
            that has the column of texts.
        delimiter: Of CSV, one character; "" for the one that gives the column.
        on_rows: Told how many rows are done, now and then.
        note: Told what was made of the file where it could be read otherwise.

    Raises:
        ConfigError: if `output` has no known format, or cannot be written.
        DataError: if `source` cannot be read, has no such column, or no rows.
        RegistryError: if the version cannot be loaded.
    """
    counts: Counter[str] = Counter()
    rows = empty = 0
    with model_client.opened(version) as model:
        columns = tuple(text_columns) or model.text_columns
        read = table_reader.whole(
            source, sheet, encoding, columns, header_row=header_row, delimiter=delimiter,
            note=note,
        )  # fmt: skip
        tables = _parts(read)
        first = next(tables)  # before there is a draft of the output beside the input
        with table_writer.opened(output, _PROBABILITY) as write:
            for table in chain([first], tables):
                texts = table_reader.texts(table, columns, "--text-column")
                answers, there = _answers(model.predict, texts)
                write(*_joined(table, answers))
                counts.update(answers[_LABEL][there])
                rows += len(texts)
                empty += len(texts) - int(there.sum())
                on_rows(len(texts))
            if not rows:
                raise DataError(f"{url_secrets.public(source)} has a header, and no rows under it.")
    return Summary(
        model_name=version.name, version=version.version, output=str(output), rows=rows,
        empty=empty, labels=dict(sorted(counts.items())),
    )  # fmt: skip


def _parts(tables: Iterator[Table]) -> Iterator[Table]:
    for table in tables:
        for start in range(0, max(len(table.rows), 1), _PART):
            end = start + _PART
            yield replace(table, rows=table.rows[start:end], numbers=table.numbers[start:end])


def _answers(
    model: Callable[[list[str]], pd.DataFrame], texts: list[str]
) -> tuple[pd.DataFrame, np.ndarray[Any, np.dtype[np.bool_]]]:
    """The model's answers, blank where there is no text, and which rows (n,) have one."""
    there = np.array([bool(text.strip()) for text in texts], dtype=bool)
    asked = [text for text, has in zip(texts, there, strict=True) if has]
    # A model that is asked nothing would not say what its columns are.
    answers = model(asked or ["?"]).head(len(asked)).astype({_LABEL: object})
    places = np.flatnonzero(there)
    return answers.set_axis(places, axis=0).reindex(range(len(texts))), there


def _joined(table: Table, answers: pd.DataFrame) -> tuple[list[str], list[list[object]]]:
    """The names of all columns, and the rows: cells of the input, then the answers."""
    header: list[str] = []
    for name in table.header:
        ours = name == _LABEL or name.startswith(_PROBABILITY)
        header.append(_free(_TAKEN + name if ours else name, header))
    width = len(header)
    blank = answers.isna().to_numpy()
    added = answers.astype(object).to_numpy()
    added[blank] = None
    return [*header, *map(str, answers.columns)], [
        [*row[:width], *[None] * (width - len(row)), *more]
        for row, more in zip(table.rows, added.tolist(), strict=True)
    ]


def _free(name: str, taken: list[str]) -> str:
    """The name, with a number if it is taken: formats with names for cells know each once."""
    numbered = (f"{name}_{number}" for number in count(2))
    return next(free for free in chain([name], numbered) if free not in taken)
