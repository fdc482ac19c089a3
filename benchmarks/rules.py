"""Rules of promotion: incumbent's, as it runs, and those that others ship.

A rule judges the challengers of a year, one a week, on one test set; it gives who is champion after
each week, as an index into the models (0 is the first champion).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.world import Drawn
from incumbent.config import EvaluationConfig, PromotionConfig
from incumbent.decision import error_budget, proof_and_ruling, shared_luck
from incumbent.decision import evidence as evidence_of
from incumbent.decision.error_budget import PastContest
from incumbent.decision.evidence import Case, Contender, Evidence, Reign
from incumbent.evaluation.paired_tests import mcnemar
from incumbent.title.ledger import Entry, entry_of, reign_of

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
    """incumbent's own decision: its ruling, the ledger's reign and the budget, as in the flow."""

    config: PromotionConfig = field(default_factory=PromotionConfig)

    def __call__(self, drawn: Drawn, _: NDArray[np.float64]) -> list[int]:
        """The champion after each week."""
        return [(entry.champion or 1) - 1 for entry in self.year(drawn)]

    def year(self, drawn: Drawn) -> list[Entry]:
        """The ledger's entries, one for each challenger. Model 0 is version 1, the champion."""
        entries = [_entry(1, None, 1, decision="promoted", reason="", rule="first champion")]
        against: list[tuple[PastContest, pd.Series[float]]] = []
        for week in range(1, len(drawn.probability)):
            champion = entries[-1].champion or 1
            reign = reign_of(entries)
            assert reign is not None  # noqa: S101  the first entry begins it
            evidence = self._evidence(drawn, week, champion - 1, reign)
            improvement = shared_luck.improvement(evidence)
            shared = [(past, shared_luck.correlation(improvement, b)) for past, b in against]
            loading = error_budget.loading_of(shared)
            case = evidence.case.model_copy(update={"loading": loading})
            ruling = proof_and_ruling.decide(Evidence(case, evidence.rows))
            won = ruling.decision == "promoted"
            entries.append(
                entry_of(
                    ruling, **_about(week + 1, champion, week + 1 if won else champion),
                    accuracy=_estimate(float(drawn.right()[week].mean())),
                )
            )  # fmt: skip
            if won or ruling.allowance is None:
                against = []
                continue
            past = PastContest(
                champion=champion, critical=ruling.allowance.critical, loading=loading,
                passed=False,
            )  # fmt: skip
            against.append((past, improvement))
        return entries[1:]

    def _evidence(self, drawn: Drawn, challenger: int, champion: int, reign: Reign) -> Evidence:
        ours, theirs = (drawn.scored(model) for model in (challenger, champion))
        rows = len(drawn.truth)
        case = Case(
            model_name="simulated",
            classes=("0", "1"),
            challenger=_contender(challenger),
            champion=_contender(champion),
            baseline_accuracy=None,
            reign=reign,
            promotion=self.config,
            evaluation=EvaluationConfig(),
        )
        return evidence_of.assemble(
            case, rows=np.arange(rows), truth=ours.truth, challenger=ours.probabilities,
            champion=theirs.probabilities, seen=np.full(rows, ""), slices=[], groups=drawn.groups,
        )  # fmt: skip


def _contender(model: int) -> Contender:
    return Contender(version=model + 1, run_id=None, train_digest="")


def _estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value, "high": value}


def _about(version: int, before: int | None, after: int) -> dict[str, Any]:
    return {
        "after": version - 1, "number": version, "version": version, "previous_champion": before,
        "champion": after, "time": "", "who": "", "reign": 1, "test_digest": "frozen",
    }  # fmt: skip


def _entry(version: int, before: int | None, after: int, **known: Any) -> Entry:
    return Entry(**_about(version, before, after), **known)


def _walk(score: NDArray[np.float64], wins: Callable[[float, float], bool]) -> list[int]:
    champion, held = 0, []
    for week in range(1, len(score)):
        if wins(float(score[week]), float(score[champion])):
            champion = week
        held.append(champion)
    return held
