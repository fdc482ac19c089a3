"""Rulings on stored cases: what becomes of a challenger, by which rule, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.world import World
from incumbent.config import PromotionConfig
from incumbent.decision import error_budget, evidence
from incumbent.decision.error_budget import EVEN, Allowance, PastContest
from incumbent.decision.evidence import Case, Evidence, Reign, Role, Tally
from incumbent.decision.proof_and_ruling import (
    Comparison,
    Ruling,
    decide,
    gain_without_luck,
    prove,
)
from incumbent.errors import RegistryError
from incumbent.evaluation.paired_tests import McNemar, accuracy_difference, mcnemar
from incumbent.evaluation.scored_predictions import Scored
from incumbent.evaluation.wilson_and_bootstrap import Estimate
from incumbent.title.ledger import Entry, entry_of
from tests.evaluation.cases import CHALLENGER, alone, build, counted, drawn, sure, tagged

# Nothing but the proof decides.
PLAIN = {
    f"on_{name}": "off"
    for name in ("min_accuracy", "baseline", "calibration", "negative_flips", "slices")
}
POLICIES: dict[str, dict[str, Any]] = {
    "log_loss": {},
    "accuracy": {"metric": "accuracy"},
    "non_inferiority": {"policy": "non_inferiority"},
}
POLICY = pytest.mark.parametrize("rules", POLICIES.values(), ids=POLICIES)
LEVEL = Allowance(contest=1, critical=1.645, level=0.05, loading=EVEN, spent=0.05)


def models(seed: int, signals: Sequence[float], n: int = 800, k: int = 2, **known: Any) -> Evidence:
    """A case of two models of these strengths."""
    truth, (challenger, champion) = drawn(np.random.default_rng(seed), n, signals, k)
    return build(truth, challenger, champion, **known)


def mixed(
    right: tuple[int, int, int, int], sure_right: float, sure_wrong: float, **known: Any
) -> Evidence:
    """Counted rows, on which the challenger is surer where it is right; the champion is not."""
    ours = np.repeat([True, True, False, False], right)
    return counted(*right, by=(np.where(ours, sure_right, sure_wrong), 0.8), **known)


def failed(ruling: Ruling) -> list[str]:
    return [gate.name for gate in ruling.gates if gate.blocks]


# --- the first champion


def test_a_first_champion_passes_every_gate() -> None:
    ruling = decide(alone(80, baseline_accuracy=0.75))
    assert (ruling.decision, ruling.rule) == ("promoted", "first champion")
    assert (ruling.comparison, ruling.allowance) == (None, None)
    assert ruling.reason == (
        "Its accuracy of 80.00% is at least the required 60.00%; its gain over the baseline "
        "(75.00%) is +5.00 points, above the required +0.00."
    )


@pytest.mark.parametrize(("best", "decision"), [(0.805, "promoted"), (0.85, "kept")])
def test_in_a_vacancy_the_reigns_best_still_counts(best: float, decision: str) -> None:
    """Whoever took the champion away by hand did not lower what the next one must reach."""
    reign = Reign(number=1, test_digest="frozen", best_accuracy=best)
    ruling = decide(alone(80, baseline_accuracy=0.75, reign=reign))
    assert ruling.decision == decision
    assert failed(ruling) == ([] if decision == "promoted" else ["ratchet"])


@pytest.mark.parametrize(
    ("right", "baseline", "names"),
    [
        (55, 0.5, ["min_accuracy"]),
        (75, 0.75, ["baseline"]),
        (55, 0.7, ["min_accuracy", "baseline"]),
    ],
)
def test_a_failed_gate_rejects_and_the_reason_names_only_it(
    right: int, baseline: float, names: list[str]
) -> None:
    ruling = decide(alone(right, baseline_accuracy=baseline, by=0.6))
    assert ruling.decision == "rejected"
    assert failed(ruling) == names
    assert ("baseline" in ruling.reason) == ("baseline" in names)
    assert ("its accuracy" in ruling.reason.lower()) == ("min_accuracy" in names)


def test_a_model_that_does_not_come_back_as_it_was_is_rejected() -> None:
    ruling = decide(alone(80, round_trip="it cannot be loaded from the registry"))
    assert ruling.decision == "rejected"
    assert ruling.reason == "It cannot be loaded from the registry."


@pytest.mark.parametrize(
    ("baseline", "decision", "rest"),
    [
        (0.4, "promoted", "Its gain over the baseline (40.00%) is +10.00 points"),
        (0.6, "rejected", "Its gain over the baseline (60.00%) is -10.00 points, not above"),
    ],
)
def test_the_same_answer_to_all_rows_is_what_the_reason_begins_with(
    baseline: float, decision: str, rest: str
) -> None:
    rules = {"on_min_accuracy": "off"}
    constant = np.tile([0.7, 0.3], (100, 1))
    ruling = decide(build(np.arange(100) % 2, constant, baseline_accuracy=baseline, rules=rules))
    assert ruling.decision == decision
    assert ruling.reason.startswith(
        "Warning: it answers 'a' for all 100 test rows, though their labels differ: it may have "
        f"learned nothing (more rows, more epochs or another model may help). {rest}"
    )
    rules = {"on_min_accuracy": "off", "on_one_answer": "block"}
    ruling = decide(build(np.arange(100) % 2, constant, baseline_accuracy=baseline, rules=rules))
    assert ruling.decision == "rejected"
    assert ruling.reason.startswith("It answers 'a' for all 100 test rows")


def test_no_label_for_any_row_is_one_answer_too_and_one_label_in_all_rows_is_none() -> None:
    truth = np.eye(3)[np.arange(60) % 3] > 0
    nothing = np.full((60, 3), 0.2)
    assert (
        "It answers no label for all 60"
        in decide(build(truth, nothing, rules={"on_one_answer": "block"})).reason
    )
    alike = np.zeros(60, np.int64)
    names = [gate.name for gate in decide(build(alike, np.tile([0.9, 0.1], (60, 1)))).gates]
    assert "one_answer" not in names


def test_each_label_is_predicted_from_the_threshold_of_its_model() -> None:
    truth = np.tile([True, False], (60, 1))
    unsure = np.tile([0.3, 0.1], (60, 1))
    found = build(truth, unsure)
    assert found.scored(Role.CHALLENGER).right.sum() == 0
    lower = found.case.challenger.model_copy(update={"thresholds": {found.case.classes[0]: 0.25}})
    found = Evidence(found.case.model_copy(update={"challenger": lower}), found.rows)
    assert found.scored(Role.CHALLENGER).right.sum() == 60
    stored = Case.model_validate_json(found.case.model_dump_json())
    assert stored.challenger.thresholds == lower.thresholds


def test_what_only_warns_is_said_once_and_last() -> None:
    rules = {"on_min_accuracy": "warn"}
    ruling = decide(alone(55, baseline_accuracy=0.5, by=0.6, rules=rules))
    assert ruling.decision == "promoted"
    assert ruling.reason == (
        "Its gain over the baseline (50.00%) is +5.00 points, above the required +0.00. Warnings: "
        "its accuracy of 55.00% is below the required 60.00%."
    )


def test_without_gates_the_first_takes_the_title_and_the_reason_says_so() -> None:
    ruling = decide(alone(10, rules=PLAIN))
    assert ruling.decision == "promoted"
    assert ruling.reason == "There is no champion to beat, and no gate blocks."


# --- against a champion: superiority on the log loss


def test_better_probabilities_take_the_title_and_the_reason_tells_how() -> None:
    ruling = decide(mixed((1500, 120, 90, 290), 0.9, 0.6, rules={"on_calibration": "off"}))
    assert (ruling.decision, ruling.rule) == ("promoted", "superiority")
    assert ruling.comparison is not None
    assert ruling.allowance is not None
    assert ruling.comparison.z == 8
    assert ruling.reason == (
        "The challenger is proved better: its probabilities are better beyond chance (calibrated "
        f"log loss {-ruling.comparison.gain:+.4f} a row, paired sign-flip test, p = "
        f"{ruling.comparison.p_value:.2g}; needed 0.0071, what contest 1 of this reign may spend), "
        "and its accuracy is higher beyond doubt (exact McNemar test, p = 0.023; needed 0.05): "
        "accuracy 81.00% against the champion's 79.50% on 2,000 rows; the challenger alone is "
        "right on 120, the champion alone on 90; its accuracy of 81.00% is at least the required "
        "60.00%; its gain over the baseline (50.00%) is +31.00 "
        "points, above the required +0.00."
    )


@pytest.mark.parametrize(("gained", "decision"), [(112, "kept"), (114, "promoted")])
def test_better_probabilities_with_an_accuracy_that_may_be_luck_are_not_enough(
    gained: int, decision: str
) -> None:
    """Of 200 rows that one model has right, 112 are p = 0.051 by McNemar's test."""
    ruling = decide(mixed((1500, gained, 200 - gained, 300), 0.9, 0.6))
    assert ruling.decision == decision


def test_so_few_rows_that_differ_that_nothing_could_be_shown_are_told() -> None:
    ruling = decide(mixed((290, 4, 0, 6), 0.99, 0.8))
    assert ruling.decision == "kept"
    assert "the two differ on so few rows that nothing could show a higher accuracy" in (
        ruling.reason
    )
    assert decide(mixed((290, 5, 0, 5), 0.99, 0.8)).decision == "promoted"
    grouped = decide(mixed((280, 15, 0, 5), 0.99, 0.8, groups=np.arange(300) // 15))
    assert "the two differ on so few groups of rows that nothing could show" in grouped.reason


def test_the_first_edition_asks_for_an_accuracy_that_is_no_lower() -> None:
    same = mixed((1500, 90, 90, 320), 0.9, 0.6, edition=1)
    ruling = decide(same)
    assert ruling.decision == "promoted"
    assert "paired t test" in ruling.reason
    assert "and its accuracy is no lower: " in ruling.reason


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (
            mixed((1500, 90, 91, 319), 0.9, 0.6),
            "its probabilities are better beyond chance (*), but its accuracy is not higher ",
        ),
        (
            mixed((1500, 114, 86, 300), 0.8, 0.8),
            "its probabilities are not better beyond chance (*), but its accuracy is higher ",
        ),
        (
            mixed((1500, 90, 110, 300), 0.8, 0.8),
            "its probabilities are not better beyond chance (*), and its accuracy is not higher ",
        ),
    ],
    ids=["less often right", "no better", "worse"],
)
def test_what_is_not_proved_better_leaves_the_champion(evidence: Evidence, said: str) -> None:
    ruling = decide(evidence)
    assert ruling.decision == "kept"
    assert failed(ruling) == ["superiority"]
    before, after = said.split("*")
    assert ruling.reason.startswith(f"The challenger is not proved better: {before}")
    assert after in ruling.reason


def test_a_model_is_no_better_than_itself() -> None:
    truth, [model] = drawn(np.random.default_rng(0), 800, [1.5])
    for rules in ({}, POLICIES["accuracy"]):
        ruling = decide(build(truth, model, model, rules=rules))
        assert ruling.decision == "kept"
        assert ruling.comparison is not None
        assert (ruling.comparison.gain, ruling.comparison.p_value) == (0, 1)
        assert "-0.0" not in ruling.reason


def test_loudness_alone_proves_nothing() -> None:
    # An overconfident copy has the higher log loss, and knows as much.
    truth, [model] = drawn(np.random.default_rng(0), 2000, [1.5])
    loud = model**4 / (model**4).sum(axis=1, keepdims=True)
    for challenger, champion in ((model, loud), (loud, model)):
        ruling = decide(build(truth, challenger, champion, rules=PLAIN))
        assert ruling.decision == "kept"
        assert ruling.comparison is not None
        assert abs(ruling.comparison.gain) < 1e-5


# --- superiority on the accuracy


@pytest.mark.parametrize(("alpha", "decision"), [(0.38, "promoted"), (0.37, "kept")])
def test_the_accuracy_is_tested_by_mcnemar_at_the_level_of_the_contest(
    alpha: float, decision: str
) -> None:
    # P(X >= 4 | 5 tosses) = (5 + 1) / 32 = 0.1875; the first contest may spend half of alpha.
    rules = {**PLAIN, "metric": "accuracy", "alpha": alpha, "half_life": 1}
    ruling = decide(counted(40, 4, 1, 3, rules=rules))
    assert ruling.decision == decision
    assert ruling.comparison is not None
    assert ruling.comparison.p_value == pytest.approx(6 / 32)
    assert ruling.comparison.gain == pytest.approx(3 / 48)


def test_a_higher_accuracy_takes_the_title_and_the_reason_tells_how() -> None:
    rules = {"metric": "accuracy", "on_negative_flips": "off"}
    ruling = decide(counted(1900, 160, 100, 400, rules=rules))
    assert ruling.decision == "promoted"
    assert ruling.reason == (
        "The challenger's accuracy is proved better (exact McNemar test, p = 0.00012; needed "
        "0.0071, what contest 1 of this reign may spend): accuracy 80.47% against the champion's "
        "78.12% on 2,560 rows; the challenger alone is right on 160, the champion alone on 100; "
        "its accuracy of 80.47% is at least the required 60.00%; its gain over the baseline "
        "(50.00%) is +30.47 points, above the required +0.00."
    )
    kept = decide(counted(1900, 100, 160, 400, rules=rules))
    assert kept.decision == "kept"
    assert kept.reason.startswith("The challenger's accuracy is not proved better (exact McNemar")


# --- non-inferiority


def test_a_loss_that_is_ruled_out_is_enough() -> None:
    rules = {"policy": "non_inferiority", "on_negative_flips": "off"}
    ruling = decide(counted(2000, 50, 50, 400, rules=rules))
    assert (ruling.decision, ruling.rule) == ("promoted", "non_inferiority")
    assert ruling.reason.startswith(
        "A loss of 1.00 points of accuracy is ruled out (p = 0.0069; needed 0.0071, what contest 1 "
        "of this reign may spend): accuracy 82.00% against the champion's 82.00% on 2,500 rows; "
        "the challenger alone is right on 50, the champion alone on 50; its accuracy of 82.00%"
    )
    kept = decide(counted(2000, 50, 55, 395, rules=rules))
    assert kept.decision == "kept"
    assert kept.reason.startswith("A loss of 1.00 points of accuracy is not ruled out (p = 0.0")


def test_models_of_the_same_answers_rule_a_loss_out() -> None:
    ruling = decide(counted(2000, 0, 0, 500, rules=POLICIES["non_inferiority"]))
    assert ruling.decision == "promoted"
    assert ruling.comparison is not None
    assert ruling.comparison.p_value < 1e-6


def test_few_groups_that_never_differ_rule_nothing_out() -> None:
    """Their gains have no variance, which is no proof that those of others would have none."""
    rules = POLICIES["non_inferiority"]
    rows, groups = (48, 0, 0, 12), np.arange(60) // 20
    assert decide(counted(*rows, rules=rules)).decision == "kept"
    assert decide(counted(*rows, rules=rules, groups=groups)).decision == "kept"


counts = st.integers(0, 60)


@given(st.integers(30, 400), counts, counts, st.integers(0, 100), st.floats(0.001, 0.3))
@settings(max_examples=60)
def test_a_loss_is_ruled_out_where_the_interval_says_so(
    both: int, gained: int, lost: int, neither: int, margin: float
) -> None:
    evidence = counted(both, gained, lost, neither)
    challenger, champion = evidence.scored(Role.CHALLENGER), evidence.scored(Role.CHAMPION)
    rules = PromotionConfig(policy="non_inferiority", margin=margin)
    for level in (0.001, 0.007, 0.05, 0.3):
        proof = prove(challenger, champion, LEVEL.model_copy(update={"level": level}), rules)
        interval = accuracy_difference(challenger.right, champion.right, 1 - 2 * level)
        assert proof.enough == (proof.p_value <= level)
        if abs(interval.low + margin) > 1e-9:
            assert proof.enough == (interval.low > -margin)
    assert (proof.p_value < 0.5) == (proof.z > 0)


# --- what decides beside the proof


BETTER = {"both": 1900, "gained": 160, "lost": 60, "neither": 440}
LED = Reign(number=1, test_digest="", lead=0.1)
"""A reign whose best champion is above the present one."""


@pytest.mark.parametrize(
    ("known", "decision", "names"),
    [
        ({}, "promoted", []),
        ({"rules": {"mode": "manual"}}, "waiting", []),
        ({"reign": LED}, "kept", ["ratchet"]),
        (
            {"reign": LED, "rules": {"mode": "manual"}},
            "kept",
            ["ratchet"],
        ),
        ({"baseline_accuracy": 0.9}, "rejected", ["baseline"]),
        ({"baseline_accuracy": 0.9, "rules": {"mode": "manual"}}, "rejected", ["baseline"]),
        (
            {"baseline_accuracy": 0.9, "reign": LED},
            "rejected",
            ["ratchet", "baseline"],
        ),
    ],
)
@POLICY
def test_a_proof_is_not_all(
    rules: dict[str, Any], known: dict[str, Any], decision: str, names: list[str]
) -> None:
    ruling = decide(counted(**BETTER, **{**known, "rules": rules | known.get("rules", {})}))
    assert ruling.decision == decision
    assert failed(ruling) == names
    if decision == "rejected":
        assert ruling.reason.startswith("Its gain over the baseline (90.00%) is -9.53 points")
        assert "proved" not in ruling.reason
        assert "ratchet" not in ruling.reason
    elif decision == "kept":
        assert ruling.reason.startswith("Its accuracy of 80.47% is more than 1.00 points below")


def test_warnings_are_told_beside_a_promotion() -> None:
    tallies = {"negation": Tally(cases=20, failures=9)}
    about = CHALLENGER.model_copy(update={"behaviour": tallies})
    ruling = decide(counted(**BETTER, challenger=about, rules={"max_negative_flips": 0.01}))
    assert ruling.decision == "promoted"
    assert ruling.reason.endswith(
        " points, above the required +0.00. Warnings: of 2,560 rows it breaks 60 that the champion "
        "has right (2.34%), more than 1.00%; it fails more than 25.00% of the cases in 1 of 1 "
        "behaviour test: negation (9 of 20)."
    )


def test_later_contests_must_bring_more_proof() -> None:
    past: list[PastContest] = []
    for _ in range(40):
        spent = error_budget.allow(past, 1, EVEN, 0.1, 13)
        past.append(PastContest(champion=1, critical=spent.critical, loading=EVEN, passed=False))
    rules = {"metric": "accuracy"}
    first = decide(counted(1900, 140, 100, 420, rules=rules))
    reign = Reign(number=1, test_digest="", contests=tuple(past))
    later = decide(counted(1900, 140, 100, 420, rules=rules, reign=reign))
    assert (first.decision, later.decision) == ("promoted", "kept")
    assert later.allowance is not None
    assert later.allowance.contest == 41
    assert "what contest 41 of this reign may spend" in later.reason
    # Had they been against another champion, nothing would be shared: less may be spent.
    others = tuple(contest.model_copy(update={"champion": 7}) for contest in past)
    reign = reign.model_copy(update={"contests": others})
    other = decide(counted(1900, 140, 100, 420, rules=rules, reign=reign))
    assert other.allowance is not None
    assert other.allowance.critical > later.allowance.critical


def test_a_level_that_hardly_anything_could_reach_is_said() -> None:
    past = [PastContest(champion=1, critical=2, loading=EVEN, passed=False)] * 10
    reign = Reign(number=1, test_digest="", contests=tuple(past))
    ruling = decide(counted(1900, 100, 60, 440, reign=reign, rules={"alpha": 0.01}))
    assert ruling.decision == "kept"
    assert (
        "which hardly any challenger could reach: of alpha, 0.01, the reign has spent 0.13 "
        "already; only a higher promotion.alpha, or a new reign with another test set, lets a "
        "challenger win again"
    ) in ruling.reason
    assert "could reach" not in decide(counted(**BETTER)).reason


def test_the_loading_of_the_case_is_used() -> None:
    contest = PastContest(champion=1, critical=2.45, loading=EVEN, passed=False)
    reign = Reign(number=1, test_digest="", contests=(contest,))
    shared, own = (decide(counted(**BETTER, reign=reign, loading=x)) for x in (EVEN, 0.0))
    assert shared.allowance is not None
    assert own.allowance is not None
    assert (shared.allowance.loading, own.allowance.loading) == (EVEN, 0)
    assert shared.allowance.critical < own.allowance.critical


# --- rows that a model has trained on


@POLICY
def test_rows_that_were_seen_in_training_are_left_out_and_counted(rules: dict[str, Any]) -> None:
    truth, (challenger, champion) = drawn(np.random.default_rng(3), 900, (1.8, 1.5))
    seen = np.array(["", "challenger", "champion", "both"])[np.arange(900) % 9 % 4]
    # On what it has seen the challenger is always right.
    challenger = np.where((seen == "")[:, None], challenger, sure(truth, True, 0.99))
    rules = PLAIN | rules
    ruling = decide(build(truth, challenger, champion, seen=list(seen), rules=rules))
    left = seen == ""
    alone = decide(build(truth[left], challenger[left], champion[left], rules=rules))
    assert ruling.comparison is not None
    assert alone.comparison is not None
    n, out = int(left.sum()), int((~left).sum())
    assert (ruling.comparison.rows, ruling.comparison.seen_exactly_or_nearly) == (n, out)
    kept = ruling.comparison.model_copy(update={"seen_exactly_or_nearly": 0})
    assert kept == alone.comparison
    assert (
        f"on {n} rows ({out} left out: a model has trained on them or near copies); the challenger"
        in ruling.reason
    )


def test_too_few_rows_prove_nothing() -> None:
    seen = ["champion"] * 71 + [""] * 29
    ruling = decide(counted(0, 100, 0, 0, seen=seen, by=(0.95, 0.6)))
    assert ruling.decision == "kept"
    assert failed(ruling) == ["proof"]
    assert (ruling.comparison, ruling.allowance) == (None, None)
    assert ruling.reason == (
        "Only 29 test rows are in neither model's training data; at least 30 are needed to compare "
        "them."
    )
    enough = decide(counted(0, 100, 0, 0, seen=["champion"] * 70 + [""] * 30, by=(0.95, 0.6)))
    assert enough.decision == "promoted"


def test_no_row_at_all_proves_nothing() -> None:
    ruling = decide(counted(40, 10, 0, 0, by=(0.95, 0.8), seen=["champion"] * 50))
    assert ruling.decision == "kept"
    assert ruling.reason.startswith("Only 0 test rows")
    ruling = decide(counted(40, 10, 0, 0, by=(0.95, 0.8), seen=["both"] * 50))
    assert ruling.decision == "rejected"
    assert ruling.reason.startswith("All 50 test rows are in its training data")


# --- many classes


@POLICY
def test_many_classes(rules: dict[str, Any]) -> None:
    better = decide(models(0, (2.6, 1.6), 800, k=5, rules=PLAIN | rules))
    worse = decide(models(0, (1.6, 2.6), 800, k=5, rules=PLAIN | rules))
    assert (better.decision, worse.decision) == ("promoted", "kept")


@POLICY
def test_a_champion_that_lacks_a_class_can_be_beaten(rules: dict[str, Any]) -> None:
    truth, (challenger, champion) = drawn(np.random.default_rng(0), 600, (2.0, 2.0), k=3)
    champion[:, 2] = 0
    champion /= champion.sum(axis=1, keepdims=True)
    rules = PLAIN | rules
    ruling = decide(build(truth, challenger, champion, rules=rules))
    assert ruling.decision == "promoted"
    assert ruling.comparison is not None
    assert ruling.comparison.mcnemar.lost < ruling.comparison.mcnemar.gained
    assert decide(build(truth, champion, challenger, rules=rules)).decision == "kept"


# --- how often


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
@pytest.mark.slow
def test_an_equal_challenger_is_promoted_as_rarely_as_it_says(metric: Any) -> None:
    rules = PromotionConfig(metric=metric)
    passed, first = 0, error_budget.allow([], 1, EVEN, rules.alpha, rules.half_life)
    rarely = 0
    for seed in range(300):
        truth, pair = drawn(np.random.default_rng(seed), 400, (1.5, 1.5))
        challenger, champion = (Scored(truth, p) for p in pair)
        passed += prove(challenger, champion, LEVEL, rules).enough
        rarely += prove(challenger, champion, first, rules).enough
    # 5 % of 300 are 15; the accuracy must be no lower, too, and McNemar's test is discrete.
    assert 3 <= passed <= 25
    assert rarely <= 7


@pytest.mark.slow
def test_a_loss_of_just_the_margin_is_ruled_out_as_rarely_as_it_says() -> None:
    rng, rules = np.random.default_rng(0), PromotionConfig(policy="non_inferiority", margin=0.02)
    passed = 0
    for _ in range(200):
        kinds = rng.multinomial(1000, [0.75, 0.06, 0.08, 0.11])
        evidence = counted(*kinds)
        passed += prove(
            evidence.scored(Role.CHALLENGER), evidence.scored(Role.CHAMPION), LEVEL, rules
        ).enough
    assert 2 <= passed <= 18  # 5 % are 10; the interval is somewhat wide


@POLICY
def test_a_better_challenger_is_promoted_often_and_a_worse_one_never(rules: dict[str, Any]) -> None:
    better = [decide(models(seed, (2.0, 1.5), rules=rules)).decision for seed in range(6)]
    worse = [decide(models(seed, (1.5, 2.0), rules=rules)).decision for seed in range(6)]
    assert better.count("promoted") >= 5
    assert worse == ["kept"] * 6


@pytest.mark.slow
def test_equal_models_on_rows_in_groups_pass_as_rarely_as_on_others() -> None:
    """Standard errors that take such rows for independent are 1.4 times too small."""
    rng, level = np.random.default_rng(0), 0.05
    by_groups, by_rows = [], []
    for _ in range(400):
        drawn = World().draw(rng, 1000, np.full(2, 0.85), group=10, alike=0.9)
        challenger, champion = drawn.right()
        by_groups.append(mcnemar(challenger, champion, drawn.groups).p_value <= level)
        by_rows.append(mcnemar(challenger, champion).p_value <= level)
    assert np.mean(by_groups) <= 0.075
    assert np.mean(by_rows) > 0.085


@POLICY
def test_a_case_with_groups_asks_for_more_proof(rules: dict[str, Any]) -> None:
    """The same rows ten times over, each ten a group, prove what the rows prove once."""
    truth, (challenger, champion) = drawn(np.random.default_rng(2), 300, (1.75, 1.5))
    once = decide(build(truth, challenger, champion, rules=PLAIN | rules))
    copies = [np.repeat(part, 10, axis=0) for part in (truth, challenger, champion)]
    groups = np.repeat(np.arange(300), 10)
    grouped = decide(build(*copies, rules=PLAIN | rules, groups=groups))
    single = decide(build(*copies, rules=PLAIN | rules))
    assert once.comparison is not None
    assert grouped.comparison is not None
    assert single.comparison is not None
    assert grouped.comparison.z == pytest.approx(once.comparison.z, abs=0.25)
    assert abs(single.comparison.z) > 2 * abs(grouped.comparison.z)
    interval = grouped.comparison.accuracy
    assert interval.high - interval.low == pytest.approx(
        once.comparison.accuracy.high - once.comparison.accuracy.low, rel=0.1
    )


@pytest.mark.slow
def test_the_gain_of_a_winner_is_told_without_its_luck() -> None:
    """Of models better by 0.7 points on 1,000 rows those that win look better by far more."""
    rng, true = np.random.default_rng(0), 0.007
    seen, told = [], []
    for _ in range(3000):
        gained, lost = rng.multinomial(1000, [0.05 + true / 2, 0.05 - true / 2, 0.9])[:2]
        right = np.repeat([True, False, True], [gained, lost, 1000 - gained - lost])
        test = mcnemar(right, np.repeat([False, True, True], [gained, lost, 1000 - gained - lost]))
        if test.p_value > 0.05:
            continue
        gain = float(gained - lost) / 1000
        comparison = Comparison(
            rows=1000, seen_exactly_or_nearly=0, mcnemar=test,
            accuracy=Estimate(value=gain, low=gain, high=gain), gain=0, z=0, p_value=0,
        )  # fmt: skip
        seen.append(gain)
        told.append(gain_without_luck(comparison, LEVEL))
    assert np.mean(seen) > 0.02
    assert abs(np.mean(told) - true) < 0.005
    strong = comparison.model_copy(
        update={
            "accuracy": Estimate(value=0.05, low=0.03, high=0.07),
            "mcnemar": McNemar(gained=90, lost=40, p_value=1e-5),
        }
    )
    assert gain_without_luck(strong, LEVEL) == pytest.approx(0.05, rel=0.06)


def test_who_had_to_win_by_accuracy_alone_had_more_luck() -> None:
    """The level of a contest is stricter than the accuracy's beside the probabilities."""
    test = McNemar(gained=90, lost=55, p_value=0.002)
    beside = Comparison(
        rows=1000, seen_exactly_or_nearly=0, mcnemar=test, gain=0, z=0, p_value=1e-6,
        accuracy=Estimate(value=0.035, low=0.01, high=0.06),
    )  # fmt: skip
    alone = beside.model_copy(update={"p_value": test.p_value})
    strict = LEVEL.model_copy(update={"level": 0.003})
    assert gain_without_luck(alone, strict) < 0.5 * gain_without_luck(beside, strict)


# --- what is kept


@POLICY
@pytest.mark.parametrize("champion", [True, False])
def test_a_stored_case_gives_the_same_ruling(
    tmp_path: Path, rules: dict[str, Any], champion: bool
) -> None:
    truth, (ours, theirs) = drawn(np.random.default_rng(5), 500, (1.8, 1.5), k=3)
    made = build(
        truth, ours, theirs if champion else None,
        rules=rules | {"alpha": 0.1 + 0.2},
        seen=list(np.array(["", "", "", "both", "champion"])[np.arange(500) % 5]),
        parts={"length: 1 to 3 words": truth == 0, "language: ü, “x”": np.arange(500) < 7},
        seed_accuracies=(1 / 3, 2 / 3),
        reign=Reign(
            number=3, test_digest="frozen", best_accuracy=0.1, lead=1 / 7,
            contests=(PastContest(champion=1, critical=1 / 0.3, loading=EVEN, passed=True),),
        ),
    )  # fmt: skip
    evidence.save(made, tmp_path / "decision")
    again = evidence.load(tmp_path / "decision")
    assert again.case == made.case
    assert again.rows.equals(made.rows)
    ruling, replayed = decide(made), decide(again)
    assert replayed.model_dump_json() == ruling.model_dump_json()
    assert replayed == ruling


def test_a_gate_that_is_newer_than_a_stored_case_has_no_part_in_it(tmp_path: Path) -> None:
    evidence.save(alone(80), tmp_path)
    stored = json.loads((tmp_path / "case.json").read_text(encoding="utf-8"))
    del stored["promotion"]["on_calibration"]
    assert stored.pop("edition") == evidence.EDITION
    (tmp_path / "case.json").write_text(json.dumps(stored), encoding="utf-8")
    then, now = (decide(case) for case in (evidence.load(tmp_path), alone(80)))
    assert {gate.name for gate in now.gates} - {gate.name for gate in then.gates} == {"calibration"}
    assert evidence.load(tmp_path).case.edition == 1


def test_a_damaged_case_is_an_error_that_names_its_place(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=f"evidence in {tmp_path}/gone cannot be read"):
        evidence.load(tmp_path / "gone")
    evidence.save(alone(80), tmp_path)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(RegistryError, match="cannot be read"):
        evidence.load(tmp_path)
    evidence.save(alone(80), tmp_path)
    for other in ("{}", "null"):
        (tmp_path / "case.json").write_text(other, encoding="utf-8")
        with pytest.raises(RegistryError, match="cannot be read"):
            evidence.load(tmp_path)


def never(n: int) -> NDArray[np.float64]:
    return sure(np.arange(n) % 2, False, 1.0)


@POLICY
@pytest.mark.parametrize("hopeless", [True, False])
def test_a_ruling_survives_the_ledger_even_if_one_model_is_never_right(
    rules: dict[str, Any], hopeless: bool
) -> None:
    truth = np.arange(2000) % 2
    pair = [never(2000), sure(truth, True, 1.0)]
    ruling = decide(build(truth, *(pair if hopeless else pair[::-1]), rules=rules))
    assert ruling.decision == ("rejected" if hopeless else "promoted")
    entry = entry_of(
        ruling, after=0, version=2, previous_champion=1, champion=1, time="2026-01-05T06:00:00",
        who="someone", reign=1,
    )  # fmt: skip
    assert Entry.model_validate_json(entry.model_dump_json()) == entry


# --- rows with any of the labels


@POLICY
def test_a_better_model_of_sets_takes_the_title_and_its_mirror_image_does_not(
    rules: dict[str, Any],
) -> None:
    truth, (better, worse) = tagged(np.random.default_rng(4), 1500, (2.6, 1.8))
    ruling = decide(build(truth, better, worse, rules=PLAIN | rules))
    assert ruling.decision == "promoted", ruling.reason
    assert ruling.comparison is not None
    assert ruling.comparison.accuracy.value == pytest.approx(
        ((better >= 0.5) == truth).all(axis=1).mean() - ((worse >= 0.5) == truth).all(axis=1).mean()
    )
    assert decide(build(truth, worse, better, rules=PLAIN | rules)).decision == "kept"


def test_a_case_of_sets_is_replayed(tmp_path: Path) -> None:
    truth, (challenger, champion) = tagged(np.random.default_rng(5), 200)
    made = build(truth, challenger, champion, seen=["both"] * 20 + [""] * 180)
    evidence.save(made, tmp_path)
    again = evidence.load(tmp_path)
    scored = again.scored(Role.CHALLENGER)
    assert scored.truth.dtype == bool
    assert np.array_equal(scored.truth, truth[20:])
    assert np.array_equal(scored.probabilities, challenger[20:])
    assert decide(again) == decide(made)
    assert set(again.rows.columns) >= {"truth:a", "truth:b", "truth:c"}
