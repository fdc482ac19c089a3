"""Log losses after temperature scaling: they compare what models know, not how sure they sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from incumbent.evaluation.scored_predictions import Scored

    FloatArray = NDArray[np.float64]

DOUBT = 0.02
"""Share of a uniform guess mixed into each prediction: no single row then costs more than
log(n_classes / DOUBT) nats, so that a few confident mistakes cannot decide a test."""
_SHARPEST = 1e-12  # probabilities below it are taken for it: their logarithm must exist
_HIGHEST = 700.0  # whose exponential is still a number
_FURTHEST = 8  # log sharpness: there the surest model is all doubt, and the least sure one none


def calibrated_losses(scored: Scored) -> FloatArray:
    """The log loss of each row (n,), in nats, after temperature scaling on these rows.

    One temperature for a model, the one of the least loss (Guo et al. 2017, "On Calibration of
    Modern Neural Networks", section 4.2): it leaves every label as it is, and an overconfident
    model is compared by what it can tell apart. One parameter on n rows costs about 1/(2n) nats,
    the same for both models. With several labels it is the mean over them of their binary losses.
    """
    from scipy.optimize import minimize_scalar

    margins, k = _margins(scored)

    def losses(log_sharpness: float) -> FloatArray:
        odds_against = np.exp(np.minimum(np.exp(log_sharpness) * margins, _HIGHEST)).sum(axis=1)
        mixed: FloatArray = -np.log((1 - DOUBT) / (1 + odds_against) + DOUBT / k)
        return mixed

    def mean(log_sharpness: float) -> float:
        return float(losses(log_sharpness).mean())

    # Where a model is sure of everything the mean is flat, and may dip twice: look all along first.
    near = min(range(-_FURTHEST, _FURTHEST + 1), key=mean)
    best = minimize_scalar(
        mean, bounds=(near - 1, near + 1), method="bounded", options={"xatol": 1e-3}
    )
    rows = losses(float(best.x))
    means: FloatArray = rows.reshape(len(scored.truth), -1).mean(axis=1)
    return means


def _margins(scored: Scored) -> tuple[FloatArray, int]:
    """Log odds of each other class against the true one (m, k - 1), and k.

    With several labels each row and label is a case of two classes: (n * n_labels, 1).
    """
    p = np.clip(scored.probabilities.astype(np.float64), _SHARPEST, 1)
    if scored.truth.ndim == 2:
        truth = scored.truth.astype(bool).ravel()
        odds = np.log(np.clip(1 - p, _SHARPEST, 1) / p).ravel()
        return np.where(truth, odds, -odds)[:, None], 2
    n, k = p.shape
    own = np.arange(k) == scored.truth[:, None]
    logits = np.log(p)
    return logits[~own].reshape(n, k - 1) - logits[own][:, None], k
