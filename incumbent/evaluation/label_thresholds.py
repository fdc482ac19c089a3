"""From which probability on each of several labels is predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    BoolArray = NDArray[np.bool_]
    FloatArray = NDArray[np.floating]

_ENOUGH = 20  # rows below which no threshold is fitted
_WORTH = 20  # rows with a label that count as much for its own threshold as all labels together
_LOWEST, _HIGHEST = 0.05, 0.95


def fit(truth: BoolArray, probabilities: FloatArray) -> FloatArray:
    """Thresholds (k,) with a high F1 on rows that the model was not trained on.

    One threshold has the highest F1 of all labels together, and each label has a best one of its
    own. The more rows have the label, the nearer is its threshold to its own best: few rows
    tell little. F1 is highest at a threshold below a half, wherever labels are rare and the model
    is not sure (Lipton et al. 2014, Optimal Thresholding of Classifiers to Maximize F1 Measure).

    Args:
        truth: Which labels each row has (n, k).
        probabilities: What the model answers (n, k).

    Returns:
        Halves, if there are fewer than 20 rows, or none with a label.
    """
    k = truth.shape[1]
    if len(truth) < _ENOUGH or not truth.any():
        return np.full(k, 0.5)
    common = _best(truth.ravel(), probabilities.ravel())
    with_it = truth.sum(axis=0)
    own = [
        _best(truth[:, label], probabilities[:, label]) if with_it[label] else common
        for label in range(k)
    ]
    shrunk = (with_it * np.array(own) + _WORTH * common) / (with_it + _WORTH)
    found: FloatArray = np.clip(shrunk, _LOWEST, _HIGHEST)
    return found


def _best(truth: BoolArray, probabilities: FloatArray) -> float:
    """The threshold of the highest F1 of some cases (n,), halfway to the next probability."""
    order = np.argsort(-probabilities, kind="stable")
    p, hits = probabilities[order], np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(p) + 1) + hits[-1])
    # Cases of one probability are predicted together.
    last_of_its_kind = np.append(p[1:] < p[:-1], True)
    best = int(np.where(last_of_its_kind, f1, -1).argmax())
    following = p[best + 1] if best + 1 < len(p) else 0.0
    return float((p[best] + following) / 2)
