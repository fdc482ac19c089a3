"""The rule: what a challenger must prove to take the title, and the ruling that follows.

Pure functions of the stored evidence: the same case gives the same ruling, in a year as today.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel

from incumbent.decision import error_budget, gates
from incumbent.decision.error_budget import Allowance
from incumbent.decision.evidence import EDITION, Case, Evidence, Role
from incumbent.decision.gates import Gate
from incumbent.evaluation.calibrated_loss import calibrated_losses
from incumbent.evaluation.paired_tests import (
    McNemar,
    accuracy_difference,
    mcnemar,
    sign_flip,
    summed,
)
from incumbent.evaluation.scored_predictions import Scored
from incumbent.evaluation.wilson_and_bootstrap import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from incumbent.config import PromotionConfig

Decision = Literal["promoted", "kept", "rejected", "waiting"]
Rule = Literal["first champion", "superiority", "non_inferiority"]

MIN_COMPARED = 30
"""Rows that neither model has seen, below which nothing can be proved."""
ACCURACY_LEVEL = 0.05
"""Of the test that the accuracy is higher, beside that of the probabilities: see docs/decisions/
0025-probabilities-and-accuracy.md."""
_FURTHEST = 8.0  # standard errors


class Difference(Estimate, frozen=True):
    """Challenger less champion, with a bootstrap interval and a one-sided test."""

    p_value: float


class Comparison(BaseModel, frozen=True):
    """Challenger less champion on the rows that neither has trained on.

    `gain` is the mean improvement a row of what the policy tests (calibrated log loss in nats, or
    accuracy), `z` the same in standard errors, or of McNemar's test the normal quantile of its
    p-value. `log_loss` is that of the probabilities as they are served.
    """

    rows: int
    seen_exactly_or_nearly: int
    mcnemar: McNemar
    accuracy: Estimate
    macro_f1: Difference | None = None
    log_loss: Difference | None = None
    """Both of release 0.1.0; they decided nothing."""
    gain: float
    z: float
    p_value: float


class Ruling(BaseModel, frozen=True):
    """What becomes of a challenger, why, and by which rule.

    `promoted`: it takes the title. `waiting`: it may, once someone approves. `kept`: it has not
    proved better, and the champion stays. `rejected`: whoever is champion, it is not fit to be.
    """

    decision: Decision
    reason: str
    gates: tuple[Gate, ...]
    rule: Rule
    comparison: Comparison | None = None
    allowance: Allowance | None = None


class Proof(NamedTuple):
    """The test of one challenger: its gain, in standard errors too, and whether it suffices.

    `accurate` says of superiority by the log loss whether the accuracy is higher too.
    """

    gain: float
    z: float
    p_value: float
    enough: bool
    accurate: bool = True


def decide(evidence: Evidence) -> Ruling:
    """Rule on a challenger.

    Raises:
        StageError: if the evidence does not hold together.
    """
    fitness = gates.fitness(evidence)
    if not evidence.has_champion:
        return _rule(
            fitness, gates.vacancy(evidence), rule="first champion",
            mode=evidence.case.promotion.mode,
        )  # fmt: skip
    rules, case = evidence.case.promotion, evidence.case
    assert case.champion is not None  # noqa: S101  has_champion says so
    if evidence.compared < MIN_COMPARED:
        gate = Gate(
            name="proof", action="block", passed=False, value=evidence.compared,
            threshold=MIN_COMPARED,
            message=f"only {evidence.compared} test rows are in neither model's training data; "
            f"at least {MIN_COMPARED} are needed to compare them",
        )  # fmt: skip
        return _rule(fitness, [gate], rule=rules.policy, mode=rules.mode)
    allowance = error_budget.allow(
        case.reign.contests, case.champion.version, case.loading, rules.alpha, rules.half_life,
        renews=case.edition > 1,
    )  # fmt: skip
    challenger, champion = evidence.scored(Role.CHALLENGER), evidence.scored(Role.CHAMPION)
    groups = evidence.groups
    found = prove(challenger, champion, allowance, rules, case.edition, groups)
    comparison = Comparison(
        rows=evidence.compared,
        seen_exactly_or_nearly=len(evidence.rows) - evidence.compared,
        mcnemar=mcnemar(challenger.right, champion.right, groups),
        accuracy=accuracy_difference(
            challenger.right, champion.right, case.evaluation.confidence, groups
        ),
        gain=found.gain,
        z=found.z,
        p_value=found.p_value,
    )  # fmt: skip
    proof = _proof(found, comparison, challenger, champion, groups, allowance, case)
    comparative = [*proof, *gates.comparison(evidence)]
    ruling = _rule(fitness, comparative, rule=rules.policy, mode=rules.mode)
    return ruling.model_copy(update={"comparison": comparison, "allowance": allowance})


def prove(
    challenger: Scored, champion: Scored, allowance: Allowance, rules: PromotionConfig,
    edition: int = EDITION, groups: NDArray[np.int64] | None = None,
) -> Proof:  # fmt: skip
    """Test the hypothesis that the challenger is no better, or worse by the margin.

    Superiority is tested on the calibrated log loss, row by row, by the signs of the differences.
    The probabilities tell about twice as much per row as right and wrong do. But they can be better
    where the answers are worse, so McNemar's exact test must find the accuracy higher too, at
    `ACCURACY_LEVEL`. By the metric `accuracy` it is that test alone, at the level of the contest.
    Non-inferiority is tested on the accuracy: the lower end of its interval must be above minus the
    margin. Where rows come in groups (n,), all tests are of groups.
    """
    from scipy.stats import norm

    better = improvement(challenger, champion, rules)
    gain = float(better.mean())
    if rules.policy == "non_inferiority":
        z = _loss_ruled_out(challenger, champion, rules.margin, groups)
        p_value = float(norm.sf(z))
        return Proof(gain, z, p_value, p_value <= allowance.level)
    more_often = mcnemar(challenger.right, champion.right, groups).p_value
    if rules.metric == "accuracy":
        # The quantile of 1 is minus infinity, which JSON does not know.
        z = float(np.clip(norm.isf(more_often), -_FURTHEST, _FURTHEST))
        return Proof(gain, z, more_often, more_often <= allowance.level)
    if edition == 1:
        z, p_value = _t(better)
        accurate = bool(challenger.right.sum() >= champion.right.sum())
    else:
        z, p_value = sign_flip(summed(better, groups))
        accurate = more_often <= ACCURACY_LEVEL
    return Proof(gain, z, p_value, p_value <= allowance.level and accurate, accurate)


def gain_without_luck(comparison: Comparison, allowance: Allowance) -> float:
    """The gain in accuracy of a challenger that won, were it not known only because it won.

    Who passes a test was more often lucky on its rows than not: the gain that is seen is too high
    on average. This is the likeliest gain, given that McNemar's test was passed at the level of the
    contest where it was the proof, else at `ACCURACY_LEVEL` (Zhong and Prentice 2008, Biostatistics
    9), and at least 0.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    gain = comparison.accuracy.value
    z = float(norm.isf(max(comparison.mcnemar.p_value, 1e-15)))
    alone = comparison.p_value == comparison.mcnemar.p_value
    least = float(norm.isf(allowance.level if alone else ACCURACY_LEVEL))
    if gain <= 0 or z <= 0:
        return 0.0

    def seen(mean: float) -> float:
        """The mean of what is seen of such a gain, given that it passes, less what was."""
        return mean + float(np.exp(norm.logpdf(least - mean) - norm.logsf(least - mean))) - z

    return gain * float(brentq(seen, 0.0, z)) / z if seen(0.0) < 0 else 0.0


def improvement(
    challenger: Scored, champion: Scored, rules: PromotionConfig
) -> NDArray[np.float64]:
    """By how much the challenger is better on each row (n,), as the policy measures it."""
    if rules.policy == "superiority" and rules.metric == "log_loss":
        return calibrated_losses(champion) - calibrated_losses(challenger)
    return challenger.right.astype(float) - champion.right


def _loss_ruled_out(
    challenger: Scored, champion: Scored, margin: float, groups: NDArray[np.int64] | None
) -> float:
    """How many standard errors either side an interval of the accuracy has that ends at -margin.

    Its lower end; where the loss is above the margin, the upper one, and they count below 0.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    def above(z: float) -> float:
        confidence = 1 - 2 * float(norm.sf(abs(z)))
        found = accuracy_difference(challenger.right, champion.right, confidence, groups)
        return (found.low if z > 0 else found.high) + margin

    if above(_FURTHEST) >= 0:
        return _FURTHEST
    return -_FURTHEST if above(-_FURTHEST) <= 0 else float(brentq(above, -_FURTHEST, _FURTHEST))


def _t(improvements: NDArray[np.float64]) -> tuple[float, float]:
    """Student's t for a mean above 0 of (n,), and its one-sided p-value: of the first edition."""
    from scipy.stats import t

    n, mean = len(improvements), float(improvements.mean())
    if mean == 0:
        return 0.0, 1.0
    error = float(improvements.std(ddof=1)) / sqrt(n)
    z = mean / error if error > 0 else float(np.copysign(_FURTHEST, mean))
    return z, float(t.sf(z, n - 1))


def _proof(
    found: Proof, comparison: Comparison, challenger: Scored, champion: Scored,
    groups: NDArray[np.int64] | None, allowance: Allowance, case: Case,
) -> list[Gate]:  # fmt: skip
    """The gate of the policy, in words."""
    rules = case.promotion
    test, ours, theirs = comparison.mcnemar, challenger.right.mean(), champion.right.mean()
    left_out = comparison.seen_exactly_or_nearly
    rows = f"on {comparison.rows:,} rows" + (
        f" ({left_out:,} left out: a model has trained on them or near copies)" if left_out else ""
    )
    accuracies = (
        f"accuracy {ours:.2%} against the champion's {theirs:.2%} {rows}; the challenger alone is "
        f"right on {test.gained:,}, the champion alone on {test.lost:,}"
    )
    level = f"{allowance.level:.2g}, what contest {allowance.contest} of this reign may spend"
    if allowance.hopeless:
        level += (
            f", which hardly any challenger could reach: of alpha, {rules.alpha:g}, the reign has "
            f"spent {allowance.before:.2g} already; only a higher promotion.alpha, or a new reign "
            "with another test set, lets a challenger win again"
        )
    if rules.policy == "non_inferiority":
        said = (
            f"a loss of {100 * rules.margin:.2f} points of accuracy is "
            f"{'ruled out' if found.enough else 'not ruled out'} (p = {found.p_value:.2g}; needed "
            f"{level}): {accuracies}"
        )
    elif rules.metric == "accuracy":
        said = (
            f"the challenger's accuracy is {'proved' if found.enough else 'not proved'} better "
            f"(exact McNemar test, p = {found.p_value:.2g}; needed {level}): {accuracies}"
        )
    else:
        lower = found.p_value <= allowance.level
        said = (
            f"the challenger is {'proved' if found.enough else 'not proved'} better: its "
            f"probabilities are {'' if lower else 'not '}better beyond chance (calibrated log "
            f"loss {-found.gain:+z.4f} a row, paired {'t' if case.edition == 1 else 'sign-flip'} "
            f"test, p = {found.p_value:.2g}; needed {level}), "
            f"{'and' if lower == found.accurate else 'but'} "
        )
        if case.edition == 1:
            said += f"its accuracy is {'no ' * found.accurate}lower: {accuracies}"
        else:
            said += (
                f"its accuracy is {'' if found.accurate else 'not '}higher beyond doubt (exact "
                f"McNemar test, p = {test.p_value:.2g}; needed {ACCURACY_LEVEL:g}): {accuracies}"
            )
            differ = summed(challenger.right.astype(float) - champion.right, groups)
            if not found.accurate and 0.5 ** np.count_nonzero(differ) > ACCURACY_LEVEL:
                unit = "rows" if groups is None else "groups of rows"
                said += (
                    f"; the two differ on so few {unit} that nothing could show a higher accuracy "
                    f"there: more test {unit} are needed"
                )
    gate = Gate(
        name=rules.policy, action="block", passed=found.enough, value=found.p_value,
        threshold=allowance.level, message=said,
    )  # fmt: skip
    return [gate]


def _rule(fitness: Sequence[Gate], comparative: Sequence[Gate], rule: Rule, mode: str) -> Ruling:
    """`promoted` if no gate blocks; the reason names those that do, or else the main ones."""
    every = [*comparative, *fitness]
    unfit = [gate for gate in fitness if gate.blocks]
    unproved = [gate for gate in comparative if gate.blocks]
    decision: Decision
    if unfit:
        decision = "rejected"
    elif unproved:
        decision = "kept"
    else:
        decision = "waiting" if mode == "manual" else "promoted"
    main = [g for g in every if g.name in (rule, "min_accuracy", "baseline") and g.passed]
    doubted = [gate for gate in every if not gate.passed and not gate.blocks]
    first = [gate.message for gate in doubted if gate.name == gates.ONE_ANSWER]
    warned = [gate.message for gate in doubted if gate.name != gates.ONE_ANSWER]
    reason = "; ".join(gate.message for gate in unfit or unproved or main)
    reason = reason or "there is no champion to beat, and no gate blocks"
    if first:
        reason = f"warning: {first[0]}. {reason[:1].upper()}{reason[1:]}"
    if warned:
        reason += f". Warnings: {'; '.join(warned)}"
    return Ruling(
        decision=decision, reason=f"{reason[:1].upper()}{reason[1:]}.", gates=tuple(every),
        rule=rule,
    )  # fmt: skip
