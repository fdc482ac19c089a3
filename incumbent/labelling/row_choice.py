"""Which unlabelled rows to label next: unsure ones that differ from each other, and some at random.

The method is Cluster-Margin (Citovsky et al. 2021, "Batch Active Learning at Scale", NeurIPS,
algorithm 1): somewhat more rows than are wanted, those of the smallest margins between the two
likeliest classes, are clustered, and taken from the clusters by turns, the smallest first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.floating[Any]]

AT_RANDOM = 0.1
"""Share of the chosen rows that is drawn at random, and fit to measure with."""
NEAR = 0.95
"""Cosine of two vectors from which on one text is a near copy of the other: a word more or less."""
_CANDIDATES = 1.25  # times as many as are wanted, as in section 4.1 of the paper
_CLUSTER = 10  # rows of a cluster, in the mean; section 4.1 too
_AT_ONCE = 2_000  # rows that are compared with all others


@dataclass(frozen=True, eq=False)
class Chosen:
    """Positions of the chosen rows (m,), and which of them (m,) were drawn at random."""

    rows: NDArray[np.int64]
    at_random: NDArray[np.bool_]


def choose(
    probabilities: FloatArray, vectors: FloatArray, known: FloatArray, count: int, seed: int = 0
) -> Chosen:
    """Choose rows of a pool, none a near copy of another or of a row that is known.

    There are fewer than `count` if the pool has no more that differ.

    Args:
        probabilities: Of the classes, for each row of the pool (n, n_classes).
        vectors: Of the rows of the pool (n, n_units), each of a length of 1.
        known: Vectors of the rows that are labelled (m, n_units), which may be none.
        count: How many to choose.
        seed: Of the draws.
    """
    free = ~_near_any(vectors, known)
    order = np.random.default_rng(seed).permutation(len(vectors))
    drawn = _apart(order, vectors, free, round(AT_RANDOM * min(count, free.sum())))
    two = -np.partition(-probabilities, 1, axis=1)[:, :2]
    unsure = np.argsort(two[:, 0] - two[:, 1], kind="stable")
    wanted = count - len(drawn)
    candidates = _apart(unsure, vectors, free, int(np.ceil(_CANDIDATES * wanted)))
    rows = [*drawn, *_by_turns(candidates, vectors, wanted)]
    return Chosen(np.array(rows, dtype=np.int64), np.arange(len(rows)) < len(drawn))


def _apart(
    order: NDArray[np.int64], vectors: FloatArray, free: NDArray[np.bool_], most: int
) -> list[int]:
    """The first rows that are free and no near copies; they and their copies are free no more."""
    found: list[int] = []
    for row in order:
        if len(found) == most:
            break
        if free[row]:
            found.append(int(row))
            free[vectors @ vectors[row] >= NEAR] = False
            free[row] = False
    return found


def _by_turns(candidates: list[int], vectors: FloatArray, wanted: int) -> list[int]:
    """So many of the candidates, from their clusters by turns, in the order that they have."""
    if len(candidates) <= wanted:
        return candidates
    from sklearn.cluster import AgglomerativeClustering

    model = AgglomerativeClustering(
        max(len(candidates) // _CLUSTER, 1), metric="cosine", linkage="average"
    )
    cluster = model.fit_predict(vectors[candidates])
    size = np.bincount(cluster)
    turn = np.zeros(len(candidates), np.int64)  # of how many in its cluster a candidate comes after
    for number in range(len(size)):
        own = cluster == number
        turn[own] = np.arange(own.sum())
    kept = np.lexsort((size[cluster], turn))[:wanted]
    return [candidates[at] for at in sorted(kept)]


def _near_any(vectors: FloatArray, known: FloatArray) -> NDArray[np.bool_]:
    """Which vectors (n,) are near copies of any known one."""
    found = np.zeros(len(vectors), dtype=bool)
    for start in range(0, len(known), _AT_ONCE):
        left = np.flatnonzero(~found)
        for begin in range(0, len(left), _AT_ONCE):
            part = left[begin : begin + _AT_ONCE]
            cosines = vectors[part] @ known[start : start + _AT_ONCE].T
            found[part] = (cosines >= NEAR).any(axis=1)
    return found
