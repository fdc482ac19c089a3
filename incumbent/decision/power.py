"""How small a gain a test set can show: the chance that a better challenger takes the title."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel

from incumbent.decision.proof_and_ruling import ACCURACY_LEVEL

if TYPE_CHECKING:
    from numpy.typing import NDArray

Metric = Literal["log_loss", "accuracy"]

ENOUGH = 0.8
"""The chance that is asked for, as is usual (Cohen 1988, Statistical Power Analysis, 2.4)."""
MOST_ROWS = 10_000_000
"""Of a test set that is thought of."""

_BY_PROBABILITIES = 2.0  # so many rows does one tell as much as: docs/decisions/0008
_SPREAD = 7.0  # standard deviations beyond which a count of rows is not thought of
_FINEST = 1e-4  # of a gain, in accuracy


class Pair(BaseModel, frozen=True):
    """How two models differ: the defaults are those of two real ones, before a contest shows it.

    `disagreement` is the share of the rows that one of them has right and the other wrong, `alike`
    the correlation of their differences in right answers and in log loss, row by row, and
    `design_effect` how many rows in groups tell as much as a single one.
    """

    disagreement: float = 0.18
    alike: float = 0.5
    design_effect: float = 1.0


def chance(gain: float, rows: float, pair: Pair, level: float, metric: Metric) -> float:
    """The chance that a challenger is proved better that is more accurate by a gain.

    By right and wrong it is that of the exact McNemar test, over all numbers of rows on which the
    two may differ (Connor 1987, Biometrics 43, for the exact test). By the log loss two tests must
    be passed: that of the probabilities at the level of the contest, of which one row tells about
    as much as two, and McNemar's at 5 %. Their statistics are taken to be normal, and correlated as
    the rows are.

    Args:
        gain: In accuracy, from 0 to the pair's disagreement.
        rows: How many are compared.
        pair: How the two differ.
        level: The one-sided level of the contest.
        metric: Which test the level is for.
    """
    from scipy.stats import multivariate_normal, norm

    single = int(rows / pair.design_effect)
    if single < 1 or pair.disagreement <= 0:
        return 0.0
    if metric == "accuracy":
        return _mcnemar(gain, single, pair.disagreement, level)
    told = _BY_PROBABILITIES * single
    spread = sqrt(max(pair.disagreement - gain**2, 1e-12) / told)
    short = (float(norm.isf(level)) * sqrt(pair.disagreement / told) - gain) / spread
    accurate = _mcnemar(gain, single, pair.disagreement, ACCURACY_LEVEL)
    both = multivariate_normal(cov=[[1, pair.alike], [pair.alike, 1]], allow_singular=True)
    return float(both.cdf([-short, norm.ppf(accurate)]))


def smallest_gain(rows: float, pair: Pair, level: float, metric: Metric) -> float | None:
    """The smallest gain in accuracy that is found with `ENOUGH` chance; None if there is none."""
    low, high = 0.0, pair.disagreement
    if chance(high, rows, pair, level, metric) < ENOUGH:
        return None
    while high - low > _FINEST:
        middle = (low + high) / 2
        if chance(middle, rows, pair, level, metric) < ENOUGH:
            low = middle
        else:
            high = middle
    return high


def rows_for(gain: float, pair: Pair, level: float, metric: Metric) -> int | None:
    """The fewest rows (of `MOST_ROWS`) with which a gain is found with `ENOUGH` chance, or None."""
    low, high = 0, 100
    while chance(gain, high, pair, level, metric) < ENOUGH:
        low, high = high, 2 * high
        if high > MOST_ROWS:
            return None
    while high - low > max(1, high // 200):  # to half a percent
        middle = (low + high) // 2
        if chance(gain, middle, pair, level, metric) < ENOUGH:
            low = middle
        else:
            high = middle
    return high


def design_effect(values: NDArray[np.float64], groups: NDArray[np.int64] | None) -> float:
    """How many rows (n,) in groups (n,) tell as much as a single one, at least 1.

    It is the variance of their mean by groups, over that by rows (Kish 1965, Survey Sampling,
    section 5.4).
    """
    centred = values - values.mean()
    by_rows = float((centred**2).sum())
    if groups is None or by_rows == 0:
        return 1.0
    return max(1.0, float((np.bincount(groups, centred) ** 2).sum()) / by_rows)


def _mcnemar(gain: float, rows: int, disagreement: float, level: float) -> float:
    from scipy.stats import binom

    width = _SPREAD * sqrt(rows * disagreement * (1 - disagreement)) + 1
    differ = np.arange(
        max(1, int(rows * disagreement - width)), min(rows, int(rows * disagreement + width)) + 1
    )
    needed = binom.isf(level, differ, 0.5) + 1  # P(X >= needed) <= level
    won = binom.sf(needed - 1, differ, (disagreement + gain) / (2 * disagreement))
    return float((binom.pmf(differ, rows, disagreement) * won).sum())
