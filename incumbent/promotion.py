"""Who holds the title: the gates of a first champion, the proof a challenger owes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel

from incumbent.errors import StageError
from incumbent.intervals import Estimate, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from incumbent.config import PromotionConfig
    from incumbent.evaluation import Evidence

    BoolArray = NDArray[np.bool_]

Decision = Literal["promoted", "kept", "rejected"]
Rule = Literal["first champion", "superiority"]


class Gate(BaseModel, frozen=True):
    """One condition of a promotion; `message` says in plain words how it went."""

    name: str
    passed: bool
    value: float
    threshold: float
    message: str


class Ruling(BaseModel, frozen=True):
    """What becomes of a challenger, why, and by which rule.

    `difference` is its accuracy less the champion's, where there is one to compare with.
    `promoted`: it takes the title. `kept`: the champion stays. `rejected`: it may not be the
    first champion.
    """

    decision: Decision
    reason: str
    gates: tuple[Gate, ...]
    rule: Rule
    difference: Estimate | None = None


class McNemar(BaseModel, frozen=True):
    """Rows on which challenger and champion differ, and how likely chance explains it.

    `gained` counts rows that only the challenger gets right, `lost` those that only the
    champion does. `p_value` is one-sided: the chance of gaining so many or more of them, were
    neither model better.
    """

    gained: int
    lost: int
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


def rule_first(evidence: Evidence, baseline_accuracy: float, config: PromotionConfig) -> Ruling:
    """Whether a model may be the first champion of its name.

    Its gain over the baseline must exceed `min_gain_over_baseline`: at 0, a tie is refused.
    """
    accuracy = evidence.accuracy.value
    gain = accuracy - baseline_accuracy
    enough, better = accuracy >= config.min_accuracy, gain > config.min_gain_over_baseline
    gates = [
        Gate(
            name="min_accuracy",
            passed=enough,
            value=accuracy,
            threshold=config.min_accuracy,
            message=f"its accuracy of {accuracy:.2%} is {'at least' if enough else 'below'} the "
            f"required {config.min_accuracy:.2%}",
        ),
        Gate(
            name="min_gain_over_baseline",
            passed=better,
            value=gain,
            threshold=config.min_gain_over_baseline,
            message=f"its gain over the baseline ({baseline_accuracy:.2%}) is {100 * gain:+.2f} "
            f"points, {'above' if better else 'not above'} the required "
            f"{100 * config.min_gain_over_baseline:+.2f}",
        ),
    ]
    return _rule(gates, rule="first champion", otherwise="rejected")


def rule_challenge(
    challenger_right: BoolArray, champion_right: BoolArray, config: PromotionConfig
) -> Ruling:
    """Whether a challenger takes the title: only if it is better, at the level `alpha`.

    Args:
        challenger_right: Which test rows (n,) the challenger predicts rightly.
        champion_right: Which of the same rows (n,) the champion does.
        config: The level of the test.

    Raises:
        StageError: if the arrays are not of one length, or empty.
    """
    test = mcnemar(challenger_right, champion_right)
    better = test.p_value <= config.alpha
    gate = Gate(
        name="superiority",
        passed=better,
        value=test.p_value,
        threshold=config.alpha,
        message=f"the challenger's accuracy of {np.mean(challenger_right):.2%} is "
        f"{'proved' if better else 'not proved'} better than the champion's "
        f"{np.mean(champion_right):.2%}: of {len(champion_right):,} rows the challenger alone is "
        f"right on {test.gained:,}, the champion alone on {test.lost:,} (one-sided exact McNemar "
        f"test, p = {test.p_value:.3g}, {'at most' if better else 'above'} {config.alpha:g})",
    )
    difference = accuracy_difference(challenger_right, champion_right)
    ruling = _rule([gate], rule="superiority", otherwise="kept")
    return ruling.model_copy(update={"difference": difference})


def _rule(gates: Sequence[Gate], rule: Rule, otherwise: Decision) -> Ruling:
    """`promoted` if every gate is passed; the reason names the failed gates, or else all."""
    failed = [gate for gate in gates if not gate.passed]
    reason = "; ".join(gate.message for gate in failed or gates)
    return Ruling(
        decision=otherwise if failed else "promoted",
        reason=f"{reason[:1].upper()}{reason[1:]}.",
        gates=tuple(gates),
        rule=rule,
    )


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
