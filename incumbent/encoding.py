"""Texts as model input: shortened, tokenized, and cached by what they were made from.

One Parquet file a split, columns `text` (as the model shall read it), `label` (index of the
class) and `ids` (token ids, special tokens included; empty where the model builds its own
vocabulary). Batches of like length are made from them in `batches`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from incumbent import __version__, datasets

Ids = Sequence[NDArray[np.int32]]
"""Token ids of each row; rows differ in length."""

# Batches are padded to a multiple of this many tokens, so that few shapes are ever traced.
_LENGTH_STEP = 8
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
    train, test = (
        _encode_split(split, dataset.classes, tokenize, limit, folder / f"{name}.parquet")
        for name, split in (("train", dataset.train), ("test", dataset.test))
    )
    encoded = Encoded(train=train, test=test, classes=dataset.classes, key=key)
    write_atomically(manifest, encoded.model_dump_json(indent=1))
    return encoded


def load(split: EncodedSplit) -> tuple[list[str], Ids, NDArray[np.int64]]:
    """Read a split: texts (n,), token ids (n, ragged), class indices (n,)."""
    table = pq.read_table(split.path, memory_map=True)
    ids = table.column("ids").combine_chunks()
    values, offsets = ids.flatten().to_numpy(), ids.offsets.to_numpy()
    rows = [values[start:end] for start, end in pairwise(offsets)]
    return table.column("text").to_pylist(), rows, table.column("label").to_numpy()


def hold_out(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split row indices into (training, validation), stratified by label.

    Every class keeps at least one training row; the order is random but set by `seed`.
    """
    generator = np.random.default_rng(seed)
    validation: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        validation.append(rows[: min(round(len(rows) * fraction), len(rows) - 1)])
    held = np.sort(np.concatenate(validation))
    if not len(held):  # so few rows that each class's share rounds to none
        largest = np.flatnonzero(labels == np.bincount(labels).argmax())
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


def pad(ids: Ids, rows: NDArray[np.int64], pad_id: int) -> tuple[NDArray[np.int32], ...]:
    """Stack rows into (token ids, attention mask), each (batch, longest row rounded up)."""
    longest = max(len(ids[row]) for row in rows)
    width = -(-longest // _LENGTH_STEP) * _LENGTH_STEP
    tokens = np.full((len(rows), width), pad_id, dtype=np.int32)
    mask = np.zeros((len(rows), width), dtype=np.int32)
    for index, row in enumerate(rows):
        tokens[index, : len(ids[row])] = ids[row]
        mask[index, : len(ids[row])] = 1
    return tokens, mask


def write_atomically(path: Path, content: str) -> None:
    """Write a text file so that it is there wholly or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(content, encoding="utf-8")
    partial.replace(path)


def recipe(**settings: object) -> str:
    """Settings as one canonical string."""
    return json.dumps(settings, sort_keys=True, default=str)


def _encode_split(
    split: datasets.Split,
    classes: Sequence[str],
    tokenize: Callable[[Sequence[str]], tuple[list[str], Ids, NDArray[np.int64]]],
    limit: int,
    path: Path,
) -> EncodedSplit:
    frame = datasets.load(split)
    texts, ids, lengths = tokenize(frame["text"].tolist())
    labels = pd.Categorical(frame["label"], categories=list(classes)).codes
    table = pa.table(
        {
            "text": texts,
            "label": pa.array(labels.astype(np.int64)),
            "ids": pa.array(list(ids), type=pa.list_(pa.int32())),
        }
    )
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    pq.write_table(table, partial)
    partial.replace(path)
    return EncodedSplit(
        path=path,
        rows=len(texts),
        lengths=TokenLengths(
            mean=round(float(lengths.mean()), 1),
            median=int(np.percentile(lengths, 50)),
            p90=int(np.percentile(lengths, 90)),
            p99=int(np.percentile(lengths, 99)),
            longest=int(lengths.max()),
            truncated=int((lengths > limit).sum()),
        ),
    )
