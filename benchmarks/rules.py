"""Rules of promotion: incumbent's, as it runs, and those that others ship.

A rule judges the challengers of a year, one a week, on one test set; it gives who is champion after
each week, as an index into the models (0 is the first champion).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.world import Drawn
from incumbent.config import PromotionConfig
from incumbent.decision import error_budget, proof_and_ruling
from incumbent.decision.error_budget import PastContest
from incumbent.evaluation.paired_tests import mcnemar
from incumbent.evaluation.scored_predictions import Scored

Year = Callable[[Drawn, NDArray[np.float64]], list[int]]
"""From the models on the frozen test set, and each one's accuracy on a set drawn anew in its week
(n_models,), to the champion after each week."""


def latest(drawn: Drawn, _: NDArray[np.float64]) -> list[int]:
    """Whatever was trained last."""
    return list(range(1, len(drawn.probability)))


def threshold(least: float) -> Year:
    """Every model whose accuracy is at least so high."""

    def year(drawn: Drawn, _: NDArray[np.float64]) -> list[int]:
        return _walk(drawn.right().mean(axis=1), lambda new, _: new >= least)

    return year


def tolerance(drop: float) -> Year:
    """No more than `drop` below the champion on the same rows (TFX's evaluator, so set)."""

    def year(drawn: Drawn, _: NDArray[np.float64]) -> list[int]:
        return _walk(drawn.right().mean(axis=1), lambda new, old: new >= old - drop)

    return year


def stored(_: Drawn, redrawn: NDArray[np.float64]) -> list[int]:
    """At least the champion's stored score, though the two were measured on other rows."""
    return _walk(redrawn, lambda new, old: new >= old)


def same_rows(drawn: Drawn, _: NDArray[np.float64]) -> list[int]:
    """At least the champion's accuracy on the same rows."""
    return _walk(drawn.right().mean(axis=1), lambda new, old: new >= old)


def weekly_mcnemar(alpha: float) -> Year:
    """McNemar's exact test at one level every week."""

    def year(drawn: Drawn, _: NDArray[np.float64]) -> list[int]:
        right, champion, held = drawn.right(), 0, []
        for week in range(1, len(right)):
            if mcnemar(right[week], right[champion]).p_value <= alpha:
                champion = week
            held.append(champion)
        return held

    return year


@dataclass
class Incumbent:
    """incumbent's own decision: its test, its spending and its ratchet, called as the flow does."""

    config: PromotionConfig = field(default_factory=PromotionConfig)

    def __call__(self, drawn: Drawn, _: NDArray[np.float64]) -> list[int]:
        """The champion after each week."""
        past: list[PastContest] = []
        against: list[tuple[PastContest, NDArray[np.float64]]] = []
        champion, held = 0, []
        holder: Scored = drawn.scored(0)
        accuracies = drawn.right().mean(axis=1)
        best = accuracies[0]
        for week in range(1, len(drawn.probability)):
            challenger = drawn.scored(week)
            improvement = proof_and_ruling.improvement(challenger, holder, self.config)
            shared = [(contest, float(np.corrcoef(improvement, b)[0, 1])) for contest, b in against]
            allowance = error_budget.allow(
                past, champion, error_budget.loading_of(shared), self.config.alpha,
                self.config.half_life,
            )  # fmt: skip
            enough = proof_and_ruling.prove(challenger, holder, allowance, self.config).enough
            passed = enough and accuracies[week] >= best - self.config.ratchet_margin
            contest = PastContest(
                champion=champion, critical=allowance.critical, loading=allowance.loading,
                passed=passed,
            )  # fmt: skip
            past.append(contest)
            against.append((contest, improvement))
            if passed:
                champion, holder, against = week, challenger, []
                best = max(best, accuracies[week])
            held.append(champion)
        return held


def _walk(score: NDArray[np.float64], wins: Callable[[float, float], bool]) -> list[int]:
    champion, held = 0, []
    for week in range(1, len(score)):
        if wins(float(score[week]), float(score[champion])):
            champion = week
        held.append(champion)
    return held
