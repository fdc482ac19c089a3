"""Paired tests: by how much the challenger is better than the champion, and how surely."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from incumbent.data.label_arrays import strata as strata_of
from incumbent.errors import StageError
from incumbent.evaluation.scored_predictions import Scored
from incumbent.evaluation.wilson_and_bootstrap import Estimate, resamples, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from incumbent.config import EvaluationConfig

    BoolArray = NDArray[np.bool_]
    IntArray = NDArray[np.integer[Any]]
    FloatArray = NDArray[np.floating[Any]]

DECIMALS = 12
"""To which resamples are compared: those of the same rows, summed in another order, are ties."""


class McNemar(BaseModel, frozen=True):
    """Rows on which challenger and champion differ, and how likely chance explains it.

    `gained` counts rows that only the challenger gets right, `lost` those that only the
    champion does. `p_value` is one-sided: the chance of gaining so many or more of them, were
    neither model better.
    """

    gained: int
    lost: int
    p_value: float


class Difference(Estimate, frozen=True):
    """Challenger less champion, with its interval; `p_value`, one-sided, is small if it is better.

    Better is higher for macro F1, lower for the log loss. Rows are resampled within each class,
    or with several labels within each set of them: the interval is for test sets of the same mix.
    In simulations at 95 % it held the truth in 92 to 97 %, in 90 to 94 % where the models
    predicted 4 to 20 rows differently; p-values were at most 0.05 by chance in up to 7 %.
    """

    p_value: float


def mcnemar(challenger_right: BoolArray, champion_right: BoolArray) -> McNemar:
    """The exact one-sided test that the challenger is right more often, on paired rows (n,).

    Rows where both are right or both wrong tell nothing; of the others, half would be gained
    were neither better (McNemar 1947, Psychometrika 12): P(X >= gained), X binomial. The
    exact conditional test holds its level whatever the number of rows (Fagerland, Lydersen and
    Laake 2013, BMC Medical Research Methodology 13:91). Without such rows it is 1.

    Raises:
        StageError: if the arrays are not of one length, or empty.
    """
    from scipy.stats import binomtest

    challenger_right, champion_right = _paired(challenger_right, champion_right)
    gained = int(np.count_nonzero(challenger_right & ~champion_right))
    lost = int(np.count_nonzero(champion_right & ~challenger_right))
    if gained + lost == 0:
        return McNemar(gained=0, lost=0, p_value=1.0)
    p_value = binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue
    return McNemar(gained=gained, lost=lost, p_value=float(p_value))


def accuracy_difference(
    challenger_right: BoolArray, champion_right: BoolArray, confidence: float = 0.95
) -> Estimate:
    """Challenger's accuracy less the champion's on paired rows (n,), with its interval.

    Method 10 of Newcombe 1998, "Improved confidence intervals for the difference between
    binomial proportions based on paired data", Statistics in Medicine 17: Wilson's intervals
    of both accuracies, joined by their correlation, corrected for continuity.

    Raises:
        StageError: if the arrays are not of one length, or empty.
    """
    challenger_right, champion_right = _paired(challenger_right, champion_right)
    n = len(challenger_right)
    both = int(np.count_nonzero(challenger_right & champion_right))
    gained = int(np.count_nonzero(challenger_right & ~champion_right))
    lost = int(np.count_nonzero(champion_right & ~challenger_right))
    neither = n - both - gained - lost
    ours, theirs = wilson(both + gained, n, confidence), wilson(both + lost, n, confidence)
    phi = _phi(both, gained, lost, neither)

    def distance(a: float, b: float) -> float:
        return float(np.sqrt(max(a**2 - 2 * phi * a * b + b**2, 0.0)))

    difference = (gained - lost) / n
    below = distance(ours.value - ours.low, theirs.high - theirs.value)
    above = distance(ours.high - ours.value, theirs.value - theirs.low)
    return Estimate(
        value=difference, low=max(difference - below, -1.0), high=min(difference + above, 1.0)
    )


def log_loss_difference(
    challenger: Scored, champion: Scored, config: EvaluationConfig
) -> Difference:
    """Challenger's log loss less the champion's, in nats: below 0, the challenger is better.

    Raises:
        StageError: if the models were not scored on the same rows.
    """
    strata = _strata(challenger, champion)
    gain = (champion.loss - challenger.loss) / len(strata)
    draws = resamples(strata, config.bootstrap_samples, config.seed)
    resampled = np.concatenate([gain @ weights for weights in draws])
    differing = int(np.count_nonzero(gain))
    found = _bca(float(gain.sum()), resampled, gain, strata, differing, config.confidence)
    # From 0, as the negative of 0 is -0.
    value, low, high = (0 - end for end in (found.value, found.high, found.low))
    return Difference(value=value, low=low, high=high, p_value=found.p_value)


def macro_f1_difference(
    challenger: Scored, champion: Scored, config: EvaluationConfig
) -> Difference:
    """Challenger's macro F1 less the champion's, averaged over the labels that occur in the rows.

    Raises:
        StageError: if the models were not scored on the same rows.
    """
    strata = _strata(challenger, champion)
    ours, theirs = _F1(challenger), _F1(champion)
    draws = resamples(strata, config.bootstrap_samples, config.seed)
    resampled = np.concatenate([ours.macro(weights) - theirs.macro(weights) for weights in draws])
    gain = float((ours.f1 - theirs.f1).mean())
    influence = ours.influence() - theirs.influence()
    differing = int(np.count_nonzero((challenger.predicted != champion.predicted).any(axis=1)))
    return _bca(gain, resampled, influence, strata, differing, config.confidence)


class _F1:
    """F1 of the labels that occur, 2 hits / (true + predicted), of weighted rows."""

    def __init__(self, scored: Scored) -> None:
        from scipy.sparse import csr_array

        labels, predicted = scored.labels.T, scored.predicted.T
        occurs = labels.any(axis=1)
        labels, predicted = labels[occurs], predicted[occurs]
        self._hit = csr_array((labels & predicted).astype(float))  # (n_occurring, n)
        self._count = csr_array(labels.astype(float) + predicted)
        self._counts = self._count.sum(axis=1)
        self.f1 = 2 * self._hit.sum(axis=1) / self._counts  # (n_occurring,)

    def macro(self, weights: FloatArray) -> FloatArray:
        """Macro F1 (n_resamples,) of rows weighted (n, n_resamples); a label not drawn has 0."""
        f1 = 2 * (self._hit @ weights) / np.maximum(self._count @ weights, 1)
        return np.asarray(f1.mean(axis=0))

    def influence(self) -> FloatArray:
        """Derivative of macro F1 by the weight of each row (n,)."""
        slopes = self._hit.T @ (2 / self._counts) - self._count.T @ (self.f1 / self._counts)
        return np.asarray(slopes / len(self.f1))


def _bca(
    gain: float,
    resampled: FloatArray,
    influence: FloatArray,
    strata: IntArray,
    differing: int,
    confidence: float,
) -> Difference:
    """Efron's interval, corrected for bias and acceleration (1987, JASA 82), and its test.

    The acceleration is a sixth of the skewness of the rows' influence (n,) within strata
    (DiCiccio and Efron 1996, Statistical Science 11; Davison and Hinkley 1997, section 5.3).
    The p-value is the level whose interval ends at 0 (Efron and Tibshirani 1993, section 15.4).
    It alone finds too much in few rows: were 4 to differ by chance, it is below 5 % in 10 % of
    cases. So it is never below that of all `differing` rows on one side, 1 / 2^differing, the
    least that swapping the models row by row can give (Yeh 2000, COLING).

    If all resamples are on one side of the gain they tell no bias: the interval is the
    percentile one. It is made to hold the gain.
    """
    resampled, observed, normal = np.round(resampled, DECIMALS), round(gain, DECIMALS), NormalDist()
    below = float(np.mean(resampled < observed) + np.mean(resampled == observed) / 2)
    bias = acceleration = 0.0
    if 0 < below < 1:
        bias, acceleration = normal.inv_cdf(below), _acceleration(influence, strata)

    def bent(z: float, acceleration: float) -> float:
        # Past the pole the end does not exist: it has gone to the last of the resamples.
        scale = 1 - acceleration * z
        return z / scale if scale > 0 else float(np.copysign(np.inf, z))

    z = normal.inv_cdf((1 + confidence) / 2)
    levels = [normal.cdf(bias + bent(bias + side, acceleration)) for side in (-z, z)]
    low, high = np.quantile(resampled, levels)
    # The rows themselves count as a resample without a gain (Davison and Hinkley, section 4.2).
    useless = (np.count_nonzero(resampled <= 0) + 1) / (len(resampled) + 1)
    p_value = 1.0
    if useless < 1:
        p_value = normal.cdf(bent(normal.inv_cdf(useless) - bias, -acceleration) - bias)
    least = max(0.5**differing, 1 / (len(resampled) + 1))
    return Difference(
        value=gain,
        low=min(float(low), gain),
        high=max(float(high), gain),
        p_value=max(p_value, least),
    )


def _acceleration(influence: FloatArray, strata: IntArray) -> float:
    _, stratum, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    centred = influence - (np.bincount(stratum, influence) / sizes)[stratum]
    spread = float((centred**2).sum())
    return float((centred**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0


def _strata(challenger: Scored, champion: Scored) -> IntArray:
    """The stratum (n,) of each row: its class, or its set of labels; rare sets share one."""
    truth = challenger.truth
    if not np.array_equal(truth, champion.truth):
        raise StageError(
            f"The challenger was scored on labels of shape {truth.shape}, the champion on others, "
            f"of shape {champion.truth.shape}; both must be scored on the same rows."
        )
    return strata_of(truth)


def _phi(both: int, gained: int, lost: int, neither: int) -> float:
    """Correlation of two models being right, corrected for continuity as method 10 has it."""
    n = both + gained + lost + neither
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    if margins == 0:
        return 0.0
    product = both * neither - gained * lost
    return float((max(product - n / 2, 0.0) if product > 0 else product) / np.sqrt(float(margins)))


def _paired(challenger_right: BoolArray, champion_right: BoolArray) -> tuple[BoolArray, BoolArray]:
    challenger, champion = np.asarray(challenger_right, bool), np.asarray(champion_right, bool)
    if challenger.shape != champion.shape or challenger.ndim != 1 or not challenger.size:
        raise StageError(
            f"The challenger was scored on rows of shape {challenger.shape}, the champion on "
            f"{champion.shape}; both must be scored on the same rows, at least one."
        )
    return challenger, champion
