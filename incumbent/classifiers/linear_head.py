"""The linear head that fits rows best while what is below it stays as it is: a linear probe."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from incumbent.classifiers import class_weights
from incumbent.evaluation.nbsvm_baseline import ALPHA

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""scikit-learn's C, the inverse strength of the ridge, for vectors of a length of 1."""
_FOLDS = 3
_MOST_TRIED, _MOST_LABELS = 2000, 20  # rows, and labels, that choose among them
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
    vectors: NDArray[np.float32],
    truth: NDArray[Any],
    classes: int,
    weights: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A logistic regression's weights (n_units, k) and bias (k,), of vectors (n, n_units).

    The truth is int (n,), for a softmax of `classes` outputs; or bool (n, k), for a sigmoid of each
    label. A label that all rows have, or none, gets its share of the rows as its bias. The ridge is
    the one of `STRENGTHS` with the least log loss in cross-validation: few rows, or classes that
    vectors hardly tell apart, want a strong one, and the probabilities are sure of themselves
    without it. With `weights` (k,) rows of some classes count for more, here and there: see
    `class_weights.of`.
    """
    length = float(np.sqrt((vectors**2).sum(axis=1).mean())) or 1.0
    scaled, counting = vectors / length, class_weights.of_rows(weights, truth)
    strength = _strength(scaled, truth, classes, counting)
    found, bias = _fitted(scaled, truth, classes, strength, counting)
    return (found / length).astype(np.float32), bias.astype(np.float32)


def _fitted(
    vectors: NDArray[np.float32],
    truth: NDArray[Any],
    classes: int,
    strength: float,
    counting: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The weights (n_units, k) and the bias (k,) with one strength of the ridge.

    Rows count as `class_weights.of_rows` says.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    def regression(
        of: NDArray[Any], counts: NDArray[np.float32]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        # Where other work has the cores, the threads of BLAS wait for one another for minutes.
        with threadpool_limits(1):
            model = LogisticRegression(C=strength, max_iter=_MOST_STEPS)
            model.fit(vectors, of, sample_weight=counts)
        return model.coef_.T, model.intercept_

    weights = np.zeros((vectors.shape[1], classes))
    if truth.ndim == 1:
        there = np.unique(truth)
        share = np.bincount(truth, minlength=classes) + ALPHA
        bias = np.log(share / share.sum())
        if len(there) == 1:
            return weights, bias
        own, own_bias = regression(truth, counting)
        if len(there) == 2:  # what speaks for the second speaks against the first
            own, own_bias = np.hstack([-own, own]) / 2, np.hstack([-own_bias, own_bias]) / 2
        weights[:, there], bias[there] = own, own_bias
        return weights, bias
    share = (truth.sum(axis=0) + ALPHA) / (len(truth) + 2 * ALPHA)
    bias = np.log(share / (1 - share))
    for label, has in enumerate(truth.T):
        if has.any() and not has.all():
            own, own_bias = regression(has, counting[:, label])
            weights[:, label], bias[label] = own[:, 0], own_bias[0]
    return weights, bias


def _strength(
    vectors: NDArray[np.float32], truth: NDArray[Any], classes: int, counting: NDArray[np.float32]
) -> float:
    """The strength whose held-out log loss is least, by cross-validation on some of the rows."""
    from scipy.special import log_softmax

    generator = np.random.default_rng(0)
    some = generator.permutation(len(truth))[:_MOST_TRIED]
    if truth.ndim == 1:  # so that each class is in each part
        some = some[np.argsort(truth[some], kind="stable")]
    else:
        labels = generator.permutation(classes)[:_MOST_LABELS]
        truth, counting = truth[:, labels], counting[:, labels]
        classes = truth.shape[1]
    vectors, truth, counting = vectors[some], truth[some], counting[some]
    part = np.arange(len(truth)) % _FOLDS
    losses = dict.fromkeys(STRENGTHS, 0.0)
    for strength in STRENGTHS:
        for fold in range(min(_FOLDS, len(truth))):
            out = part == fold
            weights, bias = _fitted(vectors[~out], truth[~out], classes, strength, counting[~out])
            logits, right = vectors[out] @ weights + bias, truth[out]
            if truth.ndim == 1:
                loss = -log_softmax(logits, axis=1)[np.arange(len(right)), right]
            else:
                loss = np.logaddexp(0, np.where(right, -logits, logits))
            losses[strength] += (loss * counting[out]).sum()
    return min(losses, key=losses.__getitem__)
