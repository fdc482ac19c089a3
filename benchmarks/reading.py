"""Reading a workbook of 25,000 reviews, against pandas as it comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from benchmarks import reviews
from benchmarks.harness import Answer, Contender, Row, alternate, seconds, versus
from benchmarks.reviews import Options


def workbook(options: Options) -> Iterator[Row]:
    """Where incumbent checks each cell's kind as it reads, pandas has openpyxl read the values."""
    path = reviews.workbook(options)
    found = alternate([_incumbent(path), _pandas(path)], {}, options.rounds)
    yield versus(
        "reading train.xlsx, 25,000 rows", "pandas.read_excel", *map(seconds, found), 3.0,
        note=options.source,
    )  # fmt: skip


def _incumbent(path: Path) -> Contender:
    from incumbent.config import DataConfig
    from incumbent.tables import reader

    config = DataConfig(
        train=str(path), test=str(path), text_column="Reviews", label_columns="Sentiment"
    )

    def read(_: Answer) -> Answer:
        start = time.perf_counter()
        reader.read(str(path), config)
        return {"seconds": time.perf_counter() - start}

    return read


def _pandas(path: Path) -> Contender:
    def read(_: Answer) -> Answer:
        start = time.perf_counter()
        pd.read_excel(path)
        return {"seconds": time.perf_counter() - start}

    return read
