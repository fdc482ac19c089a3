"""How good a classifier is on the frozen test set: arrays in, numbers out.

Accuracy carries Wilson's interval, every other metric a bootstrap interval that resamples the
rows within each class.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from incumbent.errors import StageError
from incumbent.intervals import Estimate, percentile, resamples, reversed_percentile, wilson
from incumbent.metrics import Metrics, losses_of, metrics_of, terms_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from incumbent.config import EvaluationConfig

    IntArray = NDArray[np.integer[Any]]
    FloatArray = NDArray[np.floating[Any]]

SUM_TOLERANCE = 1e-3
"""How far from 1 a row of probabilities may sum: half precision and quantization round."""


class ClassScores(BaseModel, frozen=True):
    """How one class fares; a ratio with nothing in its denominator is 0, as in scikit-learn."""

    precision: float
    recall: float
    f1: float
    support: int


class Evidence(BaseModel, frozen=True):
    """What is known of a classifier: headline metrics with intervals, then class by class.

    `macro_f1` and `roc_auc` average over the classes that occur in the test rows. `roc_auc` is
    one-vs-rest (with two classes: that of the second), and None where only one class occurs.
    `log_loss` is in nats. `confusion[i][j]` counts the rows of class i predicted as class j.
    """

    classes: tuple[str, ...]
    rows: int
    accuracy: Estimate
    macro_f1: Estimate
    log_loss: Estimate
    roc_auc: Estimate | None
    calibration_error: Estimate
    per_class: dict[str, ClassScores]
    confusion: tuple[tuple[int, ...], ...]

    def metrics(self) -> dict[str, float]:
        """Flat names and values for MLflow: `accuracy`, `accuracy_low`, and so on.

        Those of a class are `precision_<class>`, `recall_<class>` and `f1_<class>`; characters
        that MLflow refuses in a name, or reads as a path, become `_`. A metric that does not
        exist is left out.
        """
        flat: dict[str, float] = {}
        for name in ("accuracy", "macro_f1", "log_loss", "roc_auc", "calibration_error"):
            estimate: Estimate | None = getattr(self, name)
            if estimate is not None:
                flat[name] = estimate.value
                flat[f"{name}_low"] = estimate.low
                flat[f"{name}_high"] = estimate.high
        for index, (label, scores) in enumerate(self.per_class.items()):
            suffix = re.sub(r"[^\w.-]", "_", label)[:200]  # MLflow's names end at 250 characters
            if f"precision_{suffix}" in flat:
                suffix = f"{suffix}_{index}"
            for score in ("precision", "recall", "f1"):
                flat[f"{score}_{suffix}"] = getattr(scores, score)
        return flat


def evaluate(
    truth: IntArray,
    probabilities: FloatArray,
    classes: Sequence[str],
    config: EvaluationConfig,
) -> Evidence:
    """Measure probabilities (n, n_classes) against true class indices (n,).

    Raises:
        StageError: if the arrays do not fit one another, or hold no probabilities.
    """
    truth, probabilities = _checked(truth, probabilities, classes)
    n, k = probabilities.shape
    predicted = probabilities.argmax(axis=1)
    confusion = np.bincount(truth * k + predicted, minlength=k * k).reshape(k, k)
    support = confusion.sum(axis=1)
    terms = terms_of(truth, probabilities, config.calibration_bins)
    observed = metrics_of(terms, np.ones((n, 1)), support)
    parts = [
        metrics_of(terms, weights, support)
        for weights in resamples(truth, config.bootstrap_samples, config.seed)
    ]
    resampled = Metrics(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return Evidence(
        classes=tuple(classes),
        rows=n,
        accuracy=wilson(int(confusion.trace()), n, config.confidence),
        macro_f1=percentile(observed.macro_f1, resampled.macro_f1, config.confidence),
        log_loss=percentile(observed.log_loss, resampled.log_loss, config.confidence),
        roc_auc=percentile(observed.roc_auc, resampled.roc_auc, config.confidence)
        if np.count_nonzero(support) > 1
        else None,
        calibration_error=reversed_percentile(
            observed.calibration_error, resampled.calibration_error, config.confidence
        ),
        per_class=dict(zip(classes, _class_scores(confusion), strict=True)),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def top_losses(
    truth: IntArray,
    probabilities: FloatArray,
    texts: Sequence[str],
    classes: Sequence[str],
    n: int,
    rows: IntArray | None = None,
) -> pd.DataFrame:
    """The `n` texts that surprised the model most, the worst first.

    Args:
        truth: True class indices (n_texts,).
        probabilities: Predicted probabilities (n_texts, n_classes).
        texts: The texts (n_texts,).
        classes: Class names (n_classes,).
        n: How many to return; fewer where there are fewer.
        rows: Row numbers to show (n_texts,); 0, 1, … if None.

    Returns:
        Columns row, text, label, predicted, probability (of the true label, a fraction) and
        loss (nats).

    Raises:
        StageError: if the arrays do not fit one another, or hold no probabilities.
    """
    truth, probabilities = _checked(truth, probabilities, classes)
    if len(texts) != len(truth):
        raise StageError(f"There are {len(texts)} texts and {len(truth)} labels; as many expected.")
    losses = losses_of(truth, probabilities)
    worst = np.argsort(-losses, kind="stable")[:n]
    return pd.DataFrame(
        {
            "row": worst if rows is None else np.asarray(rows)[worst],
            "text": [texts[i] for i in worst],
            "label": [classes[i] for i in truth[worst]],
            "predicted": [classes[i] for i in probabilities[worst].argmax(axis=1)],
            "probability": probabilities[worst, truth[worst]],
            "loss": losses[worst],
        }
    )


def _class_scores(confusion: IntArray) -> list[ClassScores]:
    hits, support, guesses = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    return [
        ClassScores(
            precision=hit / max(guessed, 1),
            recall=hit / max(true, 1),
            f1=2 * hit / max(true + guessed, 1),
            support=true,
        )
        for hit, true, guessed in zip(
            hits.tolist(), support.tolist(), guesses.tolist(), strict=True
        )
    ]


def _checked(
    truth: IntArray, probabilities: FloatArray, classes: Sequence[str]
) -> tuple[IntArray, FloatArray]:
    """Both arrays, as int64 and float64 and each row summing to exactly 1."""
    truth, probabilities = np.asarray(truth), np.asarray(probabilities, dtype=np.float64)
    expected = (len(truth), len(classes))
    if truth.ndim != 1 or probabilities.shape != expected or not len(truth):
        raise StageError(
            f"There are labels of shape {truth.shape}, probabilities of shape "
            f"{probabilities.shape} and {len(classes)} classes; (n,), (n, {len(classes)}) and at "
            "least one row are expected."
        )
    if not np.issubdtype(truth.dtype, np.integer) or truth.min() < 0 or truth.max() >= len(classes):
        raise StageError(
            f"The labels are {truth.dtype} from {truth.min()} to {truth.max()}; integers from 0 to "
            f"{len(classes) - 1} are expected, one for each of the {len(classes)} classes."
        )
    bad = ~np.isfinite(probabilities).all(axis=1)
    if bad.any():
        raise StageError(
            f"The model's probabilities are not finite in {bad.sum()} of {len(truth)} rows, first "
            f"in row {bad.argmax()}: {probabilities[bad.argmax()].tolist()}. Has training diverged?"
        )
    sums = probabilities.sum(axis=1)
    bad = (np.abs(sums - 1) > SUM_TOLERANCE) | (probabilities < 0).any(axis=1)
    if bad.any():
        raise StageError(
            f"{bad.sum()} of {len(truth)} rows are no probabilities, first row {bad.argmax()}, "
            f"which sums to {sums[bad.argmax()]:.4g}; values from 0 that sum to 1 are expected. "
            "Are they logits?"
        )
    return truth.astype(np.int64), probabilities / sums[:, None]
