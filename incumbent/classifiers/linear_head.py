"""The linear head that fits rows best while what is below it stays as it is: a linear probe."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from incumbent.evaluation.nbsvm_baseline import ALPHA

C = 30.0
"""scikit-learn's inverse strength of the ridge, for vectors of a length of 1."""
_MOST_ROWS = 10_000  # more hardly change so few numbers, and of many labels each takes a fit
_MOST_STEPS = 1000  # of L-BFGS, which takes some tens


def some_rows(truth: NDArray[Any], most: int, seed: int) -> NDArray[np.int64]:
    """Indices of rows to fit a head on: about `most` at random, at most 10,000.

    Each class has one among them; of several labels, each has one with it and one without, if there
    is any. The truth is int (n,) or bool (n, k).
    """
    drawn = np.random.default_rng(seed).permutation(len(truth))[: min(most, _MOST_ROWS)]
    if truth.ndim == 1:
        first = np.unique(truth, return_index=True)[1]
    else:
        first = np.array([side.argmax() for side in np.hstack([truth, ~truth]).T])
    return np.union1d(drawn, first)


def fit_head(
    vectors: NDArray[np.float32], truth: NDArray[Any], classes: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A logistic regression's weights (n_units, k) and bias (k,), of vectors (n, n_units).

    The truth is int (n,), for a softmax of `classes` outputs; or bool (n, k), for a sigmoid of each
    label. A label that all rows have, or none, gets its share of the rows as its bias. The ridge is
    that for vectors of a length of 1, whatever length these have.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    length = float(np.sqrt((vectors**2).sum(axis=1).mean())) or 1.0
    scaled = vectors / length

    def fitted(of: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        # Where other work has the cores, the threads of BLAS wait for one another for minutes.
        with threadpool_limits(1):
            model = LogisticRegression(C=C, max_iter=_MOST_STEPS).fit(scaled, of)
        return model.coef_ / length, model.intercept_

    if truth.ndim == 1:
        weights, bias = fitted(truth)
        if classes == 2:  # what speaks for the second speaks against the first
            weights, bias = np.vstack([-weights, weights]) / 2, np.hstack([-bias, bias]) / 2
        return weights.T.astype(np.float32), bias.astype(np.float32)
    share = (truth.sum(axis=0) + ALPHA) / (len(truth) + 2 * ALPHA)
    weights = np.zeros((vectors.shape[1], classes), np.float32)
    bias = np.log(share / (1 - share)).astype(np.float32)
    for label, has in enumerate(truth.T):
        if has.any() and not has.all():
            own, own_bias = fitted(has)
            weights[:, label], bias[label] = own[0], own_bias[0]
    return weights, bias
