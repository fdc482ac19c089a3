"""Paired tests: by how much the challenger is better than the champion, and how surely."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from incumbent.errors import StageError
from incumbent.evaluation.wilson_and_bootstrap import Estimate, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    BoolArray = NDArray[np.bool_]
    FloatArray = NDArray[np.floating[Any]]

DECIMALS = 12
"""To which differences of accuracies are compared: fractions of rows are no decimal numbers."""
_FURTHEST = 8.0  # standard errors


class McNemar(BaseModel, frozen=True):
    """Rows on which challenger and champion differ, and how likely chance explains it.

    `gained` counts rows that only the challenger gets right, `lost` those that only the
    champion does. `p_value` is one-sided: the chance of gaining so many or more of them, were
    neither model better.
    """

    gained: int
    lost: int
    p_value: float


def mcnemar(
    challenger_right: BoolArray, champion_right: BoolArray, groups: NDArray[Any] | None = None
) -> McNemar:
    """The exact one-sided test that the challenger is right more often, on paired rows (n,).

    Rows where both are right or both wrong tell nothing; of the others, half would be gained
    were neither better (McNemar 1947, Psychometrika 12): P(X >= gained), X binomial. The
    exact conditional test holds its level whatever the number of rows (Fagerland, Lydersen and
    Laake 2013, BMC Medical Research Methodology 13:91). Without such rows it is 1. Where rows come
    in groups (n,), whole groups are swapped instead of rows.

    Raises:
        StageError: if the arrays are not of one length, or empty.
    """
    from scipy.stats import binomtest

    challenger_right, champion_right = _paired(challenger_right, champion_right)
    gained = int(np.count_nonzero(challenger_right & ~champion_right))
    lost = int(np.count_nonzero(champion_right & ~challenger_right))
    if gained + lost == 0:
        return McNemar(gained=0, lost=0, p_value=1.0)
    if groups is not None:
        gains = summed(challenger_right.astype(np.float64) - champion_right, groups)
        return McNemar(gained=gained, lost=lost, p_value=sign_flip(gains, step=1)[1])
    p_value = binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue
    return McNemar(gained=gained, lost=lost, p_value=float(p_value))


def summed(gains: FloatArray, groups: NDArray[Any] | None) -> FloatArray:
    """The sum of gains (n,) in each group (n,) of rows; each row's own where there are none."""
    if groups is None:
        return gains
    sums: FloatArray = np.bincount(np.unique(groups, return_inverse=True)[1], weights=gains).astype(
        np.float64
    )
    return sums


def sign_flip(gains: FloatArray, step: float = 0.0) -> tuple[float, float]:
    """The paired test that the sum of gains (n,) is above 0, which holds in few rows too.

    Were neither model better, either could have given either answer, row by row: each gain is as
    likely to have the other sign. The chance of a sum so large is that of random signs, whatever
    the gains are distributed like (Fisher 1935; Yeh 2000, COLING). It is computed by its
    saddlepoint approximation (Robinson 1982, Journal of the Royal Statistical Society B 44;
    Barndorff-Nielsen 1986, Biometrika 73), to a few percent of itself far into the tail, and is
    never below that of all signs alike.

    Args:
        gains: Of each row, or summed over rows that belong together.
        step: Half the distance of possible sums, where they are whole numbers: 1.

    Returns:
        The p-value as a normal quantile, at most 8 either side, and the p-value.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    sizes = np.abs(gains[gains != 0]).astype(np.float64)
    if not len(sizes):
        return 0.0, 1.0
    scale = float(sizes.max())
    sizes, total = sizes / scale, (float(gains.sum()) - step) / scale
    least = 0.5 ** len(sizes)
    if total >= (1 - 1e-9) * sizes.sum() - step / scale:
        p_value = least
    else:
        p_value = float(norm.sf(_signed_root(sizes, total, brentq)))
    p_value = min(max(p_value, least), 1.0)
    return float(np.clip(norm.isf(p_value), -_FURTHEST, _FURTHEST)), p_value


def _signed_root(sizes: FloatArray, total: float, solve: Any) -> float:
    """r* of the sum of sizes (n,) with random signs at a total: almost a standard normal."""
    if abs(total) < 1e-9 * sizes.sum():
        return 0.0
    x, sign = abs(total), float(np.sign(total))
    if x >= sizes.sum():  # beyond the least sum, on the side where nothing is proved
        return sign * _FURTHEST
    end = 1.0
    while float((sizes * np.tanh(end * sizes)).sum()) < x:
        end *= 2
    at = float(solve(lambda s: float((sizes * np.tanh(s * sizes)).sum()) - x, 0.0, end))
    cumulants = float((np.logaddexp(at * sizes, -at * sizes) - np.log(2)).sum())
    w = float(np.sqrt(max(2 * (at * x - cumulants), 0.0)))
    u = at * float(np.sqrt((sizes**2 / np.cosh(np.minimum(at * sizes, 300)) ** 2).sum()))
    return sign * (w + np.log(u / w) / w if w > 1e-4 and u > 0 else w)


def accuracy_difference(
    challenger_right: BoolArray, champion_right: BoolArray, confidence: float = 0.95,
    groups: NDArray[Any] | None = None,
) -> Estimate:  # fmt: skip
    """Challenger's accuracy less the champion's on paired rows (n,), with its interval.

    Method 10 of Newcombe 1998, "Improved confidence intervals for the difference between
    binomial proportions based on paired data", Statistics in Medicine 17: Wilson's intervals
    of both accuracies, joined by their correlation, corrected for continuity. Where rows come in
    groups (n,) it is the t interval of a ratio of group sums (Cochran 1977, "Sampling Techniques",
    section 6.3), which allows for rows of a group that err together.

    Raises:
        StageError: if the arrays are not of one length, or empty.
    """
    challenger_right, champion_right = _paired(challenger_right, champion_right)
    n = len(challenger_right)
    if groups is not None:
        return _of_groups(challenger_right.astype(np.float64) - champion_right, groups, confidence)
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


def _of_groups(gains: FloatArray, groups: NDArray[Any], confidence: float) -> Estimate:
    """The mean gain of rows (n,), with its interval by groups."""
    from scipy.stats import t

    sums, sizes = summed(gains, groups), summed(np.ones(len(gains)), groups)
    mean, count = float(gains.mean()), len(sums)
    if count < 2:  # one group tells nothing of others
        return Estimate(value=mean, low=-1.0, high=1.0)
    variance = count / (count - 1) * float(((sums - sizes * mean) ** 2).sum())
    off = float(t.isf((1 - confidence) / 2, count - 1)) * float(np.sqrt(variance)) / len(gains)
    return Estimate(value=mean, low=max(mean - off, -1.0), high=min(mean + off, 1.0))


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
