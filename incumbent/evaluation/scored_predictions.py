"""One model's probabilities for the test rows beside the true labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from incumbent.errors import StageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    BoolArray = NDArray[np.bool_]
    IntArray = NDArray[np.integer[Any]]
    FloatArray = NDArray[np.floating[Any]]

SUM_TOLERANCE = 1e-3
"""How far from 1 a row of probabilities may sum: half precision and quantization round."""


@dataclass(frozen=True, eq=False)
class Scored:
    """What one model makes of the test rows, each of one class or, multi-label, of any labels.

    Attributes:
        truth: True class indices (n,), or which labels each row has: bool (n, k).
        probabilities: Of the classes or the labels (n, k).
        threshold: Probability from which a label is predicted, one for all or (k,); of classes it
            is the likeliest.

    Raises:
        StageError: if the arrays do not fit one another, or hold no probabilities.
    """

    truth: NDArray[Any]
    probabilities: FloatArray
    threshold: float | FloatArray = 0.5

    def __post_init__(self) -> None:
        truth, shape = self.truth, self.probabilities.shape
        n, k = shape if len(shape) == 2 else (0, 0)
        fits = truth.shape == shape and truth.dtype == bool
        if truth.shape == (n,) and np.issubdtype(truth.dtype, np.integer):
            fits = bool(((truth >= 0) & (truth < k)).all())
        if not fits or not n:
            raise StageError(
                f"There are {truth.dtype} labels of shape {truth.shape} and probabilities of shape "
                f"{shape}; integers (n,) from 0 to k - 1 or bools (n, k), probabilities (n, k) and "
                "at least one row are expected."
            )
        # Not a number is neither.
        some = (self.probabilities >= 0) & (self.probabilities <= 1 + SUM_TOLERANCE)
        if not some.all():
            raise StageError(
                f"{n - some.all(axis=1).sum()} of {n} rows hold values that are no probabilities, "
                "from 0 to 1. Are they logits, or has training diverged?"
            )

    @property
    def labels(self) -> BoolArray:
        """The true labels (n, k); a class is one of its row's own."""
        k = self.probabilities.shape[1]
        return self.truth if self.truth.ndim == 2 else self.truth[:, None] == np.arange(k)

    @property
    def predicted(self) -> BoolArray:
        """The predicted labels (n, k)."""
        p = self.probabilities
        likeliest: BoolArray = p.argmax(axis=1)[:, None] == np.arange(p.shape[1])
        return p >= self.threshold if self.truth.ndim == 2 else likeliest

    @property
    def right(self) -> BoolArray:
        """Which rows (n,) are predicted rightly: with several labels, all of them."""
        right: BoolArray = (self.labels == self.predicted).all(axis=1)
        return right

    @property
    def loss(self) -> FloatArray:
        """Loss of each row (n,), in nats: with several labels, their mean binary cross entropy."""
        p = self.probabilities.astype(np.float64)
        if self.truth.ndim == 1:
            return _surprise((p / p.sum(axis=1, keepdims=True))[self.labels])
        return np.asarray(_surprise(np.where(self.truth, p, 1 - p)).mean(axis=1))

    @property
    def confidence(self) -> FloatArray:
        """How likely the model thinks each case to be what it predicts (m,).

        A case is a row, m = n; with several labels it is a row and label of two classes, m = n * k.
        """
        p = self.probabilities
        said = np.where(self.predicted, p, 1 - p).ravel() if self.truth.ndim == 2 else p.max(axis=1)
        return np.asarray(said)

    @property
    def right_cases(self) -> BoolArray:
        """Which of the cases (m,) of `confidence` are predicted rightly."""
        return self.right if self.truth.ndim == 1 else (self.truth == self.predicted).ravel()


def _surprise(probabilities: FloatArray) -> FloatArray:
    """Nats of what came about; probabilities are clipped as scikit-learn's log_loss does."""
    eps = np.finfo(float).eps
    losses: FloatArray = -np.log(np.clip(probabilities, eps, 1 - eps))
    return losses
