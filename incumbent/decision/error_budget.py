"""The error budget of a reign: how much of `alpha` each contest may spend.

One test set judges many challengers, so a fixed level promotes a lucky one in the end. Over a reign
(the life of one frozen test set) the chance that any challenger no better than its champion takes
the title is held at `alpha`, however many challenge, by three means:

- **A plan without an end** (Lan and DeMets 1983, Biometrika 70: alpha spending): after `k` contests
  `alpha * k / (k + half_life)` may be spent, half of it in the first `half_life`. That is: contest
  `k` may spend `1 / (k + half_life)` of what is left. Where more was spent than the plan says, as
  after a change of `alpha` or `half_life` or a rollback, this goes on with what is left.
- **What challengers share.** All are compared with one champion on the same rows, so their
  statistics rise and fall together, as in Dunnett's comparisons with a control (1955, JASA 50):
  equal differences have correlation 1/2. The chance that any of them passes is then less than the
  sum, and the next threshold is the one at which it meets the plan. It is computed with one common
  factor for each champion; where measured correlations are higher, it errs on the safe side
  (Slepian 1962, Bell System Technical Journal 41).
- **Recycling.** A contest that was won was no error against the null of all that follow, so its
  share returns to the budget (as in the fallback procedure: Wiens and Dmitrienko 2005, Journal of
  Biopharmaceutical Statistics 15; online: Tian and Ramdas 2021, Statistical Methods in Medical
  Research 30).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVEN = sqrt(0.5)
"""Loading of equal challengers on the factor they share: any two then correlate at 1/2."""
_HIGHEST = 8.0  # standard errors; beyond it nothing is left to spend
_LEAST = 1e-9  # of a level that is worth trying: 6 standard errors
_NODES: NDArray[np.float64] = np.linspace(-8, 8, 321)
_DENSITY: NDArray[np.float64] = np.exp(-(_NODES**2) / 2)
_DENSITY = _DENSITY / _DENSITY.sum()


class PastContest(BaseModel, frozen=True):
    """One contest of a reign, as the budget sees it.

    `champion` is whom it was against, `critical` the threshold in standard errors, `loading` that
    of its statistic on the factor shared by all contests against this champion, and `passed`
    whether the challenger proved better.
    """

    champion: int
    critical: float
    loading: float
    passed: bool


class Allowance(BaseModel, frozen=True):
    """What one contest may spend.

    `contest` is its number in the reign, from 1; `critical` the threshold in standard errors, and
    `level` the one-sided level that it means for this contest alone; `spent` is how much of
    `alpha`, a probability, the reign will have spent with it, and `before` how much it had.
    """

    contest: int
    critical: float
    level: float
    loading: float
    spent: float
    before: float | None = None
    """None in decisions of release 0.1.0."""

    @property
    def hopeless(self) -> bool:
        """Whether so little is left that hardly anything could win with it."""
        return self.level < _LEAST


def allow(
    past: Sequence[PastContest], champion: int, loading: float, alpha: float, half_life: float,
    *, renews: bool = True,
) -> Allowance:  # fmt: skip
    """What the next contest of a reign may spend.

    Args:
        past: The contests before it, in order.
        champion: Whom it is against.
        loading: From `loading_of`.
        alpha: The budget of the reign, a probability.
        half_life: After how many contests half of it may be spent.
        renews: Whether a plan that was exceeded goes on with what is left; in release 0.1.0 nothing
            could be spent until it said more than was.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    number = len(past) + 1
    lost = [contest for contest in past if not contest.passed]
    others = [contest for contest in lost if contest.champion != champion]
    others.sort(key=lambda contest: contest.champion)
    elsewhere = 1.0
    for _, block in groupby(others, lambda contest: contest.champion):
        elsewhere *= float(_DENSITY @ _stays(block))
    here = _stays([contest for contest in lost if contest.champion == champion]) * _DENSITY
    before = max(0.0, 1 - elsewhere * float(here.sum()))
    spent = alpha * number / (number + half_life)
    if renews:
        spent = max(spent, before + max(0.0, alpha - before) / (number + half_life))

    def excess(critical: float) -> float:
        """Chance that no null of the reign was rejected yet, less what it must be."""
        return elsewhere * float(here @ _below(critical, loading)) - (1 - spent)

    some = excess(_HIGHEST) > 0 and (spent > before or not renews)
    critical = float(brentq(excess, -_HIGHEST, _HIGHEST)) if some else _HIGHEST
    return Allowance(
        contest=number, critical=critical, level=float(norm.sf(critical)), loading=loading,
        spent=spent, before=before,
    )  # fmt: skip


def loading_of(correlations: Sequence[tuple[PastContest, float]]) -> float:
    """The loading of a new statistic that does not overstate what it shares.

    Args:
        correlations: The earlier contests against the same champion, each with the correlation
            of its row-by-row differences with the new ones.

    Returns:
        At most `EVEN`, and such that the product of any two loadings is at most the correlation
        measured; 0 where that is negative, which costs no more than the product of two levels.
    """
    ceilings = [rho / contest.loading for contest, rho in correlations if contest.loading > 0]
    return max(0.0, min([EVEN, *ceilings]))


def _stays(past: Iterable[PastContest]) -> NDArray[np.float64]:
    """Chance that none of these passes under the null, at each value of their common factor."""
    chance = np.ones_like(_NODES)
    for contest in past:
        chance = chance * _below(contest.critical, contest.loading)
    return chance


def _below(critical: float, loading: float) -> NDArray[np.float64]:
    """Chance that one statistic stays below its threshold, at each value of the factor."""
    from scipy.special import ndtr

    below: NDArray[np.float64] = ndtr((critical - loading * _NODES) / sqrt(1 - loading**2))
    return below
