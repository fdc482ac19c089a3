"""Texts as token ids: shortened, tokenized, cached, and put into batches of like length.

One Parquet file a split, columns `text` (as the model shall read it), `label` (index of the
class; or a list of bool, which of the labels the row has) and `ids` (token ids, special tokens
included; empty where the model builds its own vocabulary). Batches of like length are made from
them in `batches`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from incumbent import __version__
from incumbent.data import datasets
from incumbent.data.label_arrays import strata, truth_of
from incumbent.runtime.atomic_files import write_atomically

Ids = Sequence[NDArray[np.int32]]
"""Token ids of each row; rows differ in length."""

# Batches are padded to a multiple of 8 tokens up to 64, and of 16 above: each shape is compiled
# once, so there are to be few, and padding is computed, so there is to be little.
_LENGTH_STEPS = ((64, 8), (math.inf, 16))
# Rows are sorted by length within windows of so many batches: like lengths, yet shuffled.
_WINDOW = 50


class TokenLengths(BaseModel):
    """Token counts of a split, before truncation; `truncated` is a number of rows."""

    model_config = ConfigDict(frozen=True)

    mean: float
    median: int
    p90: int
    p99: int
    longest: int
    truncated: int


class EncodedSplit(BaseModel):
    """One split, ready for the model."""

    model_config = ConfigDict(frozen=True)

    path: Path
    rows: int
    lengths: TokenLengths


class Encoded(BaseModel):
    """Both splits, ready for the model; the validation rows are still inside `train`."""

    model_config = ConfigDict(frozen=True)

    train: EncodedSplit
    test: EncodedSplit
    classes: tuple[str, ...]
    key: str
    cached: bool = False
    multilabel: bool = False
    """Whether a row may have any of the classes."""


def encode(
    dataset: datasets.Dataset,
    tokenize: Callable[[Sequence[str]], tuple[list[str], Ids, NDArray[np.int64]]],
    recipe: str,
    limit: int,
    workdir: Path,
) -> Encoded:
    """Tokenize a dataset, unless the same texts were tokenized by the same recipe before.

    Args:
        dataset: What to encode.
        tokenize: Gives the shortened texts, their token ids, and each text's length (tokens)
            before truncation.
        recipe: Identifies the tokenizer and its settings.
        limit: Longest input (tokens); longer texts are counted as truncated.
        workdir: Where the cache lives.
    """
    key = hashlib.sha256(f"{__version__} {dataset.digest} {recipe}".encode()).hexdigest()[:32]
    folder = workdir / "encoded" / key
    manifest = folder / "encoded.json"
    if manifest.is_file():
        found = Encoded.model_validate_json(manifest.read_text(encoding="utf-8"))
        # The folder may have moved since.
        train, test = (
            split.model_copy(update={"path": folder / split.path.name})
            for split in (found.train, found.test)
        )
        return found.model_copy(update={"train": train, "test": test, "cached": True})
    folder.mkdir(parents=True, exist_ok=True)
    train = _encode_split(dataset.train, dataset, tokenize, limit, folder / "train.parquet")
    test = (
        train  # of a trial in a sweep, which has no other rows
        if dataset.test == dataset.train
        else _encode_split(dataset.test, dataset, tokenize, limit, folder / "test.parquet")
    )
    encoded = Encoded(
        train=train, test=test, classes=dataset.classes, key=key, multilabel=dataset.multilabel
    )
    write_atomically(manifest, encoded.model_dump_json(indent=1))
    return encoded


def load(split: EncodedSplit) -> tuple[list[str], Ids, NDArray[Any]]:
    """Read a split: texts (n,), token ids (n, ragged), the truth, int64 (n,) or bool (n, k)."""
    table = pq.read_table(split.path, memory_map=True)
    ids = table.column("ids").combine_chunks()
    values, offsets = ids.flatten().to_numpy(), ids.offsets.to_numpy()
    rows = [values[start:end] for start, end in pairwise(offsets)]
    labels = table.column("label").combine_chunks()
    if pa.types.is_list(labels.type):
        has = labels.flatten().to_numpy(zero_copy_only=False)
        return table.column("text").to_pylist(), rows, has.reshape(len(labels), -1)
    return table.column("text").to_pylist(), rows, labels.to_numpy()


def hold_out(
    truth: NDArray[Any], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split row indices into (training, validation), stratified by class or set of labels.

    Every class keeps at least one training row, and every label one that has it and one that
    doesn't; the order is random but set by `seed`. The truth is int (n,) or bool (n, k).
    """
    generator = np.random.default_rng(seed)
    labels = strata(truth)
    validation: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        validation.append(rows[: min(round(len(rows) * fraction), len(rows) - 1)])
    held = np.sort(np.concatenate(validation))
    if truth.ndim == 2:  # sets that are rare share a stratum, and it may be one that is used up
        sides = np.hstack([truth, ~truth]).T
        kept = [generator.choice(np.flatnonzero(side)) for side in sides if side.any()]
        held = np.setdiff1d(held, kept)
    if not len(held):  # so few rows that each class's share rounds to none
        classes, sizes = np.unique(labels, return_counts=True)
        largest = np.flatnonzero(labels == classes[sizes.argmax()])
        held = generator.permutation(largest)[:1]
    return np.setdiff1d(np.arange(len(labels)), held), held


def batches(
    lengths: NDArray[np.int64], batch_size: int, generator: np.random.Generator | None
) -> Iterator[NDArray[np.int64]]:
    """Yield the row indices of one epoch's batches.

    With a generator, rows are shuffled, then sorted by length within windows, and the batches
    shuffled again: each batch holds rows of like length, and no two epochs are the same. Without
    one, rows come in their own order.
    """
    count = len(lengths)
    order = np.arange(count)
    if generator is not None:
        order = generator.permutation(count)
        window = batch_size * _WINDOW
        order = np.concatenate(
            [
                part[np.argsort(lengths[part], kind="stable")]
                for part in np.split(order, range(window, count, window))
            ]
        )
    starts = np.arange(0, count, batch_size)
    if generator is not None:
        generator.shuffle(starts)
    for start in starts:
        yield order[start : start + batch_size]


def width(longest: int, limit: int) -> int:
    """Tokens that a batch is padded to: its longest row rounded up, but not past `limit`."""
    step = next(step for end, step in _LENGTH_STEPS if longest <= end)
    return max(longest, min(-(-longest // step) * step, limit))


def pad(
    ids: Ids, rows: NDArray[np.int64], pad_id: int, limit: int
) -> tuple[NDArray[np.int32], ...]:
    """Stack rows into (token ids, attention mask), each (batch, `width` of the longest row)."""
    columns = width(max(len(ids[row]) for row in rows), limit)
    tokens = np.full((len(rows), columns), pad_id, dtype=np.int32)
    mask = np.zeros((len(rows), columns), dtype=np.int32)
    for index, row in enumerate(rows):
        tokens[index, : len(ids[row])] = ids[row]
        mask[index, : len(ids[row])] = 1
    return tokens, mask


def recipe(**settings: object) -> str:
    """Settings as one canonical string."""
    return json.dumps(settings, sort_keys=True, default=str)


def _schema(multilabel: bool) -> pa.Schema:
    label = pa.list_(pa.bool_()) if multilabel else pa.int64()
    return pa.schema({"text": pa.string(), "label": label, "ids": pa.list_(pa.int32())})


def _encode_split(
    split: datasets.Split,
    dataset: datasets.Dataset,
    tokenize: Callable[[Sequence[str]], tuple[list[str], Ids, NDArray[np.int64]]],
    limit: int,
    path: Path,
) -> EncodedSplit:
    counts: list[NDArray[np.int64]] = []
    rows = 0
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with pq.ParquetWriter(partial, _schema(dataset.multilabel)) as writer:
        for part in datasets.parts(split, ["text", "label"]):
            shortened, ids, lengths = tokenize(part["text"].tolist())
            truth = truth_of(part["label"], dataset.classes, multilabel=dataset.multilabel)
            label = truth if truth.ndim == 1 else list(truth)
            columns = {"text": shortened, "label": label, "ids": list(ids)}
            writer.write_table(pa.table(columns, schema=writer.schema))
            counts.append(lengths)
            rows += len(shortened)
    partial.replace(path)
    lengths = np.concatenate(counts)
    return EncodedSplit(
        path=path,
        rows=rows,
        lengths=TokenLengths(
            mean=round(float(lengths.mean()), 1),
            median=int(np.percentile(lengths, 50)),
            p90=int(np.percentile(lengths, 90)),
            p99=int(np.percentile(lengths, 99)),
            longest=int(lengths.max()),
            truncated=int((lengths > limit).sum()),
        ),
    )
