"""Probabilities of rows by a classifier that was not trained on them, kept by their digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from incumbent import __version__
from incumbent.labelling.quick_classifier import QuickClassifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from incumbent.encoders.frozen_encoder import FrozenEncoder
    from incumbent.labelling.training_rows import TrainingRows

FOLDS = 5
"""Rows that a class needs: of fewer, the rest may say nothing of the one that is held out."""


def kept(
    rows: TrainingRows, encoder: FrozenEncoder, folder: Path, seed: int = 0
) -> NDArray[np.float32]:
    """`probabilities` of training rows (n, n_classes), made once for the same rows.

    Args:
        rows: The training rows.
        encoder: What makes vectors of texts.
        folder: Where they are kept, by digest.
        seed: Of the folds.
    """
    state = hashlib.sha256(f"{__version__} {FOLDS} {seed} {encoder.folder}".encode())
    state.update(f"{encoder.max_length} {list(rows.classes)}".encode())
    for text, label in zip(rows.texts, rows.labels, strict=True):
        state.update(
            hashlib.sha256(text.encode()).digest() + hashlib.sha256(label.encode()).digest()
        )
    file = folder / f"{state.hexdigest()[:32]}.npy"
    if file.is_file():
        found: NDArray[np.float32] = np.load(file, allow_pickle=False)
        return found
    made = probabilities(
        rows.texts, encoder.vectors(rows.texts), rows.truth, len(rows.classes), seed
    ).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}")
    with partial.open("wb") as stream:
        np.save(stream, made)
    partial.replace(file)
    return made


def probabilities(
    texts: Sequence[str],
    vectors: NDArray[np.floating[Any]],
    truth: NDArray[np.int64],
    classes: int,
    seed: int = 0,
) -> NDArray[np.floating[Any]]:
    """Cross-validated probabilities (n, n_classes) of texts (n,), vectors and classes (n,).

    The folds are stratified: the rows of each class are dealt out one by one, in an order that the
    seed gives.
    """
    found = np.zeros((len(texts), classes))
    fold = _folds(truth, seed)
    for number in range(FOLDS):
        out = fold == number
        if not out.any():
            continue
        others, own = ([texts[at] for at in np.flatnonzero(side).tolist()] for side in (~out, out))
        model = QuickClassifier(seed).fit(others, vectors[~out], truth[~out], classes)
        found[out] = model.probabilities(own, vectors[out])
    return found


def _folds(truth: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The fold (n,) of each row."""
    order = np.random.default_rng(seed).permutation(len(truth))
    order = order[np.argsort(truth[order], kind="stable")]
    fold = np.empty(len(truth), np.int64)
    fold[order] = np.arange(len(truth)) % FOLDS
    return fold
