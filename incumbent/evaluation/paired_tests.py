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
_FEW = 16  # gains whose signs are all tried
_ROUNDING = 1e-9  # relative; sums closer than this are equal
_LEAST_SUMMED = 1e-9  # below it, rounding shows in a sum of chances


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
        return McNemar(gained=gained, lost=lost, p_value=sign_flip(gains)[1])
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


def sign_flip(gains: FloatArray) -> tuple[float, float]:
    """The paired test that the sum of gains (n,) is above 0, which holds in few rows too.

    Were neither model better, either could have given either answer, row by row: each gain is as
    likely to have the other sign. The chance of a sum so large is that of random signs, whatever
    the gains are distributed like (Fisher 1935; Yeh 2000, COLING). It is exact where few gains are
    not 0, and where all are whole numbers or of one size. Elsewhere it is computed by its
    saddlepoint approximation (Robinson 1982, Journal of the Royal Statistical Society B 44;
    Barndorff-Nielsen 1986, Biometrika 73), to a few percent of itself far into the tail, and is
    never below that of all signs alike; where a handful of gains outweigh all others, it is too
    large by a factor of up to 5.

    Args:
        gains: Of each row, or summed over rows that belong together.

    Returns:
        The p-value as a normal quantile, at most 8 either side, and the p-value.
    """
    from scipy.stats import norm

    signed = gains[gains != 0].astype(np.float64)
    if not len(signed):
        return 0.0, 1.0
    sizes = np.abs(signed)
    if len(signed) <= _FEW:
        p_value = _of_all_signs(signed)
    elif np.ptp(sizes) <= _ROUNDING * sizes.max():
        p_value = _of_whole_numbers(np.sign(signed))
    elif (signed == np.rint(signed)).all():
        p_value = _of_whole_numbers(signed)
    else:
        p_value = _by_saddlepoint(signed)
    p_value = min(max(p_value, 0.5 ** len(signed)), 1.0)
    return float(np.clip(norm.isf(p_value), -_FURTHEST, _FURTHEST)), p_value


def _of_all_signs(gains: FloatArray) -> float:
    """The share of all sums of gains (n,) with other signs that are at least theirs."""
    scale = np.abs(gains).max()
    sums = np.zeros(1)
    for size in np.abs(gains / scale):
        sums = np.concatenate([sums + size, sums - size])
    return float((sums >= (gains / scale).sum() - _ROUNDING * len(gains)).mean())


def _of_whole_numbers(gains: FloatArray) -> float:
    """The same of whole numbers, from the characteristic function of the sum of those above 0."""
    counts = np.bincount(np.abs(gains).astype(np.int64))
    most = int(np.abs(gains).sum())
    turns = np.arange((most + 1) // 2 + 1)
    transform = np.ones(len(turns), np.complex128)
    for size in np.flatnonzero(counts):
        angle = -2j * np.pi * ((turns * size) % (most + 1)) / (most + 1)
        transform *= ((1 + np.exp(angle)) / 2) ** counts[size]
    chances = np.fft.irfft(transform, most + 1)
    p_value = float(chances[(most + int(gains.sum())) // 2 :].sum())
    return p_value if p_value > _LEAST_SUMMED else _by_saddlepoint(gains)


def _by_saddlepoint(gains: FloatArray) -> float:
    """The same of any numbers (n,), nearly."""
    from scipy.optimize import brentq
    from scipy.stats import norm

    scaled = gains / np.abs(gains).max()
    sizes, total = np.abs(scaled), float(scaled.sum())
    if total >= (1 - _ROUNDING) * sizes.sum():
        return 0.0
    return float(norm.sf(_signed_root(sizes, total, brentq)))


def _signed_root(sizes: FloatArray, total: float, solve: Any) -> float:
    """r* of the sum of sizes (n,) with random signs at a total: almost a standard normal."""
    if abs(total) < _ROUNDING * sizes.sum():
        return 0.0
    x, sign = abs(total), float(np.sign(total))
    if x >= (1 - _ROUNDING) * sizes.sum():  # all signs alike, on the side where nothing is proved
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
    groups (n,) it is stretched to the t interval of a ratio of group sums (Cochran 1977, "Sampling
    Techniques", section 6.3), which allows for rows of a group that err together; that alone would
    have no width where all groups gain alike, as where the models never differ.

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
    if groups is not None:
        gains = challenger_right.astype(np.float64) - champion_right
        off = _half_by_groups(gains, groups, confidence)
        below, above = max(below, off), max(above, off)
    return Estimate(
        value=difference, low=max(difference - below, -1.0), high=min(difference + above, 1.0)
    )


def _half_by_groups(gains: FloatArray, groups: NDArray[Any], confidence: float) -> float:
    """Half the interval of the mean gain of rows (n,), by groups."""
    from scipy.stats import t

    sums, sizes = summed(gains, groups), summed(np.ones(len(gains)), groups)
    count = len(sums)
    if count < 2:  # one group tells nothing of others
        return 2.0
    variance = count / (count - 1) * float(((sums - sizes * gains.mean()) ** 2).sum())
    return float(t.isf((1 - confidence) / 2, count - 1)) * float(np.sqrt(variance)) / len(gains)


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
