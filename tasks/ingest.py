"""Read labelled text into a dataset."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import numpy as np
from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.config import Config
from incumbent.data import datasets, ingestion
from incumbent.data.datasets import Dataset, Split
from incumbent.validation.check_base import counted, listed
from tasks import show
from tasks.retry_policy import RETRIES

_PREVIEW = 5  # rows of each split


@task(cache_policy=NO_CACHE, **RETRIES)
def ingest(config: Config) -> Dataset:
    """Read both splits into canonical Parquet, and show what is in them.

    Raises:
        DataError: if a source cannot be read as labelled text.
    """
    workdir = Path(config.tracking.workdir)
    dataset = ingestion.ingest(
        config.data, workdir, config.evaluation.slices, config.validation.labels
    )
    for note in dataset.notes:
        show.say("%s", note)
    rows = [_row(name, split) for name, split in _splits(dataset)]
    show.table("data", rows, "Sizes, labels and lengths of the data as it was read")
    show.table(
        "preview",
        [
            {
                "split": name,
                "row": row.row,
                "label": str(row.label)[:99],
                "text": str(row.text)[:200],
            }
            for name, split in _splits(dataset)
            for row in next(datasets.parts(split)).head(_PREVIEW).itertuples()
        ],
        f"The first {_PREVIEW} rows of each split",
    )
    show.say(
        "read %s training and %s test rows, labels %s, dataset %s",
        f"{dataset.train.rows:,}", f"{dataset.test.rows:,}",
        counted(dataset.train.labels),
        dataset.digest[:12],
    )  # fmt: skip
    for name, split in _splits(dataset):
        if words := split.settled_in_words:
            show.say("%s: %s", name, words)
        if (found := split.settled.agreement) and found.alpha is not None:
            show.say(
                "%s: %s rows were labelled by two people or more, Krippendorff's alpha %.3f "
                "(%.3f to %.3f)",
                name, f"{found.rows:,}", found.alpha, found.low, found.high,
            )  # fmt: skip
    if not config.data.multilabel:
        for name, split in _splits(dataset):
            if split.respelled:
                show.say("%s spells some labels in several ways: %s", name, _respelled(split))
    return dataset


def _respelled(split: Split) -> str:
    """Which labels are taken for which; what no reader sees is written as its code."""
    return listed([f"{cell!a} is {label!r}" for cell, label in split.respelled.items()])


def _splits(dataset: Dataset) -> tuple[tuple[str, Split], ...]:
    return ("train", dataset.train), ("test", dataset.test)


def _row(name: str, split: Split) -> dict[str, object]:
    texts = chain.from_iterable(part["text"] for part in datasets.parts(split, ["text"]))
    words = np.fromiter((len(text.split()) for text in texts), np.int64, split.rows)
    median, p90, p99 = (int(np.percentile(words, share)) for share in (50, 90, 99))
    return {
        "split": name,
        "rows": split.rows,
        "labels": counted(split.labels),
        "words, median": median,
        "words, 90 %": p90,
        "words, 99 %": p99,
        "words, most": int(words.max()),
        "digest": split.digest[:12],
        "source": split.source,
    }
