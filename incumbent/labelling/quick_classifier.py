"""A classifier that trains in seconds: a linear head on frozen vectors, beside an NBSVM.

The two are right about different rows, one by meaning and one by words. On the embedded reviews
with 5 % of the labels flipped, 70 of the first 100 suspects of both together are flipped ones, 59
of the head's alone and 51 of the NBSVM's (docs/decisions/0027-labels.md).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from incumbent.errors import StageError
from incumbent.evaluation.nbsvm_baseline import NBSVM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.floating[Any]]

_C = 10.0  # scikit-learn's inverse strength of the ridge, for vectors of a length of 1
_MOST_STEPS = 1000
_MOST_CLASSES = 10  # with more, an NBSVM, which fits each class by itself, is not quick
_LEAST = 1e-6  # no class is less likely: one word may not decide alone


class QuickClassifier:
    """Two linear models whose probabilities are averaged in log space.

    Args:
        seed: Orders the steps of the NBSVM's solver.
        words: Whether the NBSVM takes part, if the classes are few.
    """

    def __init__(self, seed: int = 0, *, words: bool = True) -> None:
        self._seed, self._words = seed, words
        self._nbsvm: NBSVM | None = None

    def fit(
        self, texts: Sequence[str], vectors: FloatArray, truth: NDArray[np.int64], classes: int
    ) -> QuickClassifier:
        """Fit on texts (n,), their vectors (n, n_units) and their classes (n,)."""
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        self._classes, self._there = classes, np.unique(truth)
        if len(self._there) < 2:
            return self
        # Where other work has the cores, the threads of BLAS wait for one another.
        with threadpool_limits(1):
            self._head = LogisticRegression(C=_C, max_iter=_MOST_STEPS, tol=1e-3)
            self._head.fit(vectors, truth)
        if self._words and len(self._there) <= _MOST_CLASSES:
            # Texts without a single word have vectors all the same.
            with contextlib.suppress(StageError):
                names = [f"{index:09d}" for index in truth]
                self._nbsvm = NBSVM().fit(texts, names, self._seed)
        return self

    def probabilities(self, texts: Sequence[str], vectors: FloatArray) -> FloatArray:
        """Probabilities (n, n_classes) of texts (n,) and their vectors (n, n_units)."""
        found: FloatArray = np.full((len(texts), self._classes), _LEAST)
        if len(self._there) < 2:
            found[:, self._there] = 1.0
            return _normalized(found)
        own = np.maximum(self._head.predict_proba(vectors), _LEAST)
        if self._nbsvm is not None:
            own = np.sqrt(own * np.maximum(self._nbsvm.predict_proba(texts), _LEAST))
        found[:, self._there] = own
        return _normalized(found)


def _normalized(found: FloatArray) -> FloatArray:
    found /= found.sum(axis=1, keepdims=True)
    return found
