"""Metrics of a classifier on the test set, each with an interval; and its largest losses.

Accuracy carries Wilson's interval, every other metric a bootstrap interval that resamples the
rows within each class, or each set of labels. A row with several labels is right if all of them
are, and only they, predicted: scikit-learn's accuracy too is that of subsets.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import BaseModel

from incumbent.data.label_arrays import names_of, strata
from incumbent.errors import StageError
from incumbent.evaluation.metric_formulas import Metrics, metrics_of, ranked, terms_of
from incumbent.evaluation.scored_predictions import SUM_TOLERANCE, Scored
from incumbent.evaluation.wilson_and_bootstrap import (
    Estimate,
    percentile,
    resamples,
    reversed_percentile,
    wilson,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from incumbent.config import EvaluationConfig

    BoolArray = NDArray[np.bool_]
    IntArray = NDArray[np.integer[Any]]
    FloatArray = NDArray[np.floating[Any]]


class ClassScores(BaseModel, frozen=True):
    """How one class fares; a ratio with nothing in its denominator is 0, as in scikit-learn."""

    precision: float
    recall: float
    f1: float
    support: int


class Evaluation(BaseModel, frozen=True):
    """What is known of a classifier: headline metrics with intervals, then class by class.

    `accuracy` is the share of rows with the right class, or with exactly the right labels.
    `macro_f1` and `roc_auc` average over the classes that occur in the test rows. `roc_auc` is
    one-vs-rest (with two classes: that of the second), and None where only one class occurs; a
    label that all rows have does not count. `log_loss` is in nats; of labels it is the mean of
    their binary cross-entropies. The `calibration_error` of labels takes each row and label for a
    case of two classes. `confusion[i][j]` counts the rows of class i predicted as class j; sets of
    labels have none.
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

    @property
    def multilabel(self) -> bool:
        """Whether rows may have several labels."""
        return not self.confusion

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
    truth: NDArray[Any],
    probabilities: FloatArray,
    classes: Sequence[str],
    config: EvaluationConfig,
    threshold: float | FloatArray = 0.5,
) -> Evaluation:
    """Measure probabilities (n, n_classes) against the truth, both as `Scored` has them.

    Of several labels, `threshold` is the probability from which one is predicted.

    Raises:
        StageError: if the arrays do not fit one another, or hold no probabilities.
    """
    scored = _checked(truth, probabilities, classes, threshold)
    n, occurring = len(scored.truth), np.asarray(scored.labels.any(axis=0))
    terms = terms_of(scored, config.calibration_bins)
    observed = metrics_of(terms, np.ones((n, 1)), occurring)
    parts = [
        metrics_of(terms, weights, occurring)
        for weights in resamples(strata(scored.truth), config.bootstrap_samples, config.seed)
    ]
    resampled = Metrics(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return Evaluation(
        classes=tuple(classes),
        rows=n,
        accuracy=wilson(int(scored.right.sum()), n, config.confidence),
        macro_f1=percentile(observed.macro_f1, resampled.macro_f1, config.confidence),
        log_loss=percentile(observed.log_loss, resampled.log_loss, config.confidence),
        roc_auc=percentile(observed.roc_auc, resampled.roc_auc, config.confidence)
        if ranked(scored)
        else None,
        calibration_error=reversed_percentile(
            observed.calibration_error, resampled.calibration_error, config.confidence
        ),
        per_class=dict(zip(classes, _class_scores(scored), strict=True)),
        confusion=_confusion(scored),
    )


def top_losses(
    truth: NDArray[Any],
    probabilities: FloatArray,
    texts: Sequence[str],
    classes: Sequence[str],
    n: int,
    rows: IntArray | None = None,
    threshold: float | FloatArray = 0.5,
) -> pd.DataFrame:
    """The `n` texts that surprised the model most, the worst first.

    Args:
        truth: True class indices (n_texts,), or which labels each has (n_texts, n_classes).
        probabilities: Predicted probabilities (n_texts, n_classes).
        texts: The texts (n_texts,).
        classes: Class names (n_classes,).
        n: How many to return; fewer where there are fewer.
        rows: Row numbers to show (n_texts,); 0, 1, … if None.
        threshold: Of several labels, the probability from which one is predicted.

    Returns:
        Columns row, text, label, predicted, probability (of the true label, a fraction; of a set
        of labels, were they independent) and loss (nats).

    Raises:
        StageError: if the arrays do not fit one another, or hold no probabilities.
    """
    scored = _checked(truth, probabilities, classes, threshold)
    if len(texts) != len(truth):
        raise StageError(f"There are {len(texts)} texts and {len(truth)} labels; as many expected.")
    losses, p = scored.loss, scored.probabilities
    worst = np.argsort(-losses, kind="stable")[:n]
    sets = scored.truth.ndim == 2
    predicted = scored.predicted if sets else p.argmax(axis=1)
    own = np.where(scored.labels, p, 1 - p if sets else 1).prod(axis=1)
    return pd.DataFrame(
        {
            "row": worst if rows is None else np.asarray(rows)[worst],
            "text": [texts[i] for i in worst],
            "label": names_of(scored.truth[worst], classes),
            "predicted": names_of(predicted[worst], classes),
            "probability": own[worst],
            "loss": losses[worst],
        }
    )


def _confusion(scored: Scored) -> tuple[tuple[int, ...], ...]:
    if scored.truth.ndim == 2:
        return ()
    k = scored.probabilities.shape[1]
    cells = scored.truth * k + scored.probabilities.argmax(axis=1)
    counts = np.bincount(cells, minlength=k * k).reshape(k, k)
    return tuple(tuple(row) for row in counts.tolist())


def _class_scores(scored: Scored) -> list[ClassScores]:
    labels, predicted = scored.labels, scored.predicted
    hits, support, guesses = (part.sum(axis=0) for part in (labels & predicted, labels, predicted))
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
    truth: NDArray[Any],
    probabilities: FloatArray,
    classes: Sequence[str],
    threshold: float | FloatArray,
) -> Scored:
    """Both arrays as they fit the classes, the probabilities of each row's classes summing to 1."""
    truth, probabilities = np.asarray(truth), np.asarray(probabilities, dtype=np.float64)
    expected, sets = (len(truth), len(classes)), truth.ndim == 2 and truth.dtype == bool
    if truth.shape != expected[: 1 + sets] or probabilities.shape != expected or not len(truth):
        raise StageError(
            f"There are {truth.dtype} labels of shape {truth.shape}, probabilities of shape "
            f"{probabilities.shape} and {len(classes)} classes; labels (n,), or bool "
            f"(n, {len(classes)}), probabilities (n, {len(classes)}) and at least one row are "
            "expected."
        )
    if not sets and (
        not np.issubdtype(truth.dtype, np.integer) or truth.min() < 0 or truth.max() >= len(classes)
    ):
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
    return Scored(truth, probabilities, threshold) if sets else _of_classes(truth, probabilities)


def _of_classes(truth: IntArray, probabilities: FloatArray) -> Scored:
    sums = probabilities.sum(axis=1)
    bad = (np.abs(sums - 1) > SUM_TOLERANCE) | (probabilities < 0).any(axis=1)
    if bad.any():
        raise StageError(
            f"{bad.sum()} of {len(truth)} rows are no probabilities, first row {bad.argmax()}, "
            f"which sums to {sums[bad.argmax()]:.4g}; values from 0 that sum to 1 are expected. "
            "Are they logits?"
        )
    return Scored(truth.astype(np.int64), probabilities / sums[:, None])
