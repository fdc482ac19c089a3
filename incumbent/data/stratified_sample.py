"""Draw a sample of rows that has the labels in the same shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def sample(
    labels: pd.Series[str], rows: int, seed: int, *, sets: bool = False
) -> NDArray[np.int64]:
    """The positions of so many rows, stratified by label, in order; each class keeps one if it can.

    Of `sets` of labels, those that are too rare for a row of their own share a stratum: one row of
    each would make the sample one of oddities.
    """
    if rows >= len(labels):
        return np.arange(len(labels))
    strata = labels
    if sets:
        sizes = strata.groupby(strata).transform("size")
        strata = strata.mask(sizes * rows < len(labels), "")  # which no set is
    counts = strata.value_counts().sort_index()
    random = np.random.default_rng(seed)
    chosen = [
        random.permutation(np.flatnonzero(strata == label))[:share]
        for label, share in zip(
            counts.index, _shares(np.array(counts, dtype=np.int64), rows), strict=True
        )
    ]
    return np.sort(np.concatenate(chosen))


def _shares(counts: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """How many of `rows` each class gets: at least one, then by the largest remainder."""
    exact = rows * counts / counts.sum()
    shares: NDArray[np.int64] = np.maximum(np.floor(exact), 1).astype(np.int64)
    while shares.sum() < rows:
        shares[np.argmax(exact - shares)] += 1
    while shares.sum() > rows:
        spare = shares > (1 if shares.max() > 1 else 0)
        shares[np.argmax(np.where(spare, shares - exact, -np.inf))] -= 1
    return shares
