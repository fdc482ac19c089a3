import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from incumbent.config import EvaluationConfig, PromotionConfig
from incumbent.errors import StageError
from incumbent.evaluation import evaluate
from incumbent.promotion import accuracy_difference, mcnemar, rule_challenge, rule_first

pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200).map(
    lambda rows: tuple(np.array(rows).T)
)


def right(both, gained, lost, neither):
    """Whether challenger and champion are right, row by row."""
    challenger = [True] * (both + gained) + [False] * (lost + neither)
    champion = [True] * both + [False] * gained + [True] * lost + [False] * neither
    return np.array(challenger), np.array(champion)


def evidence(n_right, n=100):
    truth = np.arange(n) % 2
    predicted = np.where(np.arange(n) < n_right, truth, 1 - truth)
    config = EvaluationConfig(bootstrap_samples=100)
    return evaluate(truth, np.eye(2)[predicted], ["neg", "pos"], config)


def test_mcnemar_by_hand():
    # P(X >= 4 | 5 tosses) = (5 + 1) / 32
    test = mcnemar(*right(both=10, gained=4, lost=1, neither=3))
    assert (test.gained, test.lost, test.p_value) == (4, 1, pytest.approx(6 / 32))


def test_without_discordant_rows_nothing_is_proved():
    assert mcnemar(*right(5, 0, 0, 5)).p_value == 1


@given(pairs)
def test_swapping_the_models_swaps_gained_and_lost(rows):
    challenger, champion = rows
    test, swapped = mcnemar(challenger, champion), mcnemar(champion, challenger)
    assert (test.gained, test.lost) == (swapped.lost, swapped.gained)
    assert 0 <= test.p_value <= 1
    # Both tails hold the observed value, so that together they pass 1.
    assert test.p_value + swapped.p_value >= 1
    if test.gained + test.lost:
        reference = binomtest(test.lost, test.gained + test.lost, alternative="less")
        assert test.p_value == pytest.approx(reference.pvalue)


@given(pairs)
def test_the_difference_is_antisymmetric_and_lies_in_its_interval(rows):
    challenger, champion = rows
    estimate = accuracy_difference(challenger, champion)
    mirrored = accuracy_difference(champion, challenger)
    assert estimate.value == pytest.approx(np.mean(challenger) - np.mean(champion))
    assert -1 <= estimate.low <= estimate.value <= estimate.high <= 1
    assert (mirrored.low, mirrored.high) == pytest.approx((-estimate.high, -estimate.low))


def test_the_difference_of_a_worked_example():
    # Newcombe's method 10 worked through on the airway data of Bentur et al. 2009.
    estimate = accuracy_difference(*right(both=1, gained=1, lost=7, neither=12))
    assert estimate.value == pytest.approx(-0.286, abs=5e-4)
    assert (estimate.low, estimate.high) == pytest.approx((-0.507, -0.026), abs=5e-4)


def test_the_difference_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        difficulty = rng.random(300)
        estimate = accuracy_difference(difficulty < 0.8, difficulty + rng.normal(0, 0.1, 300) < 0.8)
        # P(U + N(0, 0.1) < 0.8) is 0.8 less what the normal carries over the edge at 1.
        covered += estimate.low <= 0.0008 <= estimate.high
    assert 0.91 <= covered / 300 <= 1


def test_the_test_holds_its_level():
    # Two equally good models: a promotion is a mistake, allowed in 5 % of cases.
    rng = np.random.default_rng(1)
    rulings = [
        rule_challenge(rng.random(400) < 0.8, rng.random(400) < 0.8, PromotionConfig())
        for _ in range(300)
    ]
    assert np.mean([ruling.decision == "promoted" for ruling in rulings]) <= 0.07


def test_a_better_challenger_is_promoted_and_told_why():
    ruling = rule_challenge(*right(1900, 160, 100, 400), PromotionConfig())
    assert ruling.decision == "promoted"
    assert ruling.rule == "superiority"
    assert ruling.reason == (
        "The challenger's accuracy of 80.47% is proved better than the champion's 78.12%: of 2,560 "
        "rows the challenger alone is right on 160, the champion alone on 100 (one-sided exact "
        "McNemar test, p = 0.000119, at most 0.05)."
    )


@pytest.mark.parametrize("counts", [(100, 6, 5, 9), (100, 0, 50, 9), (10, 0, 0, 0)])
def test_what_is_not_proved_better_leaves_the_champion(counts):
    ruling = rule_challenge(*right(*counts), PromotionConfig())
    assert ruling.decision == "kept"
    assert "not proved better" in ruling.reason
    assert [gate.passed for gate in ruling.gates] == [False]


def test_alpha_is_the_level():
    rows = right(both=10, gained=4, lost=1, neither=3)
    assert rule_challenge(*rows, PromotionConfig(alpha=6 / 32)).decision == "promoted"
    assert rule_challenge(*rows, PromotionConfig(alpha=0.18)).decision == "kept"


def test_different_rows_are_refused():
    with pytest.raises(StageError, match=r"shape \(3,\), the champion on \(2,\)"):
        mcnemar(np.ones(3, bool), np.ones(2, bool))
    with pytest.raises(StageError, match="at least one"):
        accuracy_difference(np.ones(0, bool), np.ones(0, bool))


def test_a_first_champion_passes_every_gate():
    ruling = rule_first(evidence(80), 0.75, PromotionConfig())
    assert ruling.decision == "promoted"
    assert ruling.rule == "first champion"
    assert ruling.reason == (
        "Its accuracy of 80.00% is at least the required 60.00%; its gain over the baseline "
        "(75.00%) is +5.00 points, above the required +0.00."
    )


@pytest.mark.parametrize(
    ("n_right", "baseline", "failed"),
    [
        (55, 0.5, ["min_accuracy"]),
        (75, 0.75, ["min_gain_over_baseline"]),
        (55, 0.7, ["min_accuracy", "min_gain_over_baseline"]),
    ],
)
def test_a_failed_gate_rejects_and_the_reason_names_only_it(n_right, baseline, failed):
    ruling = rule_first(evidence(n_right), baseline, PromotionConfig())
    assert ruling.decision == "rejected"
    assert [gate.name for gate in ruling.gates if not gate.passed] == failed
    assert ("baseline" in ruling.reason) == ("min_gain_over_baseline" in failed)


def test_min_accuracy_may_just_be_met():
    assert rule_first(evidence(60), 0.5, PromotionConfig()).decision == "promoted"


def test_min_gain_is_to_be_exceeded():
    config = PromotionConfig(min_gain_over_baseline=0.25)
    assert rule_first(evidence(75), 0.5, config).decision == "rejected"
    assert rule_first(evidence(76), 0.5, config).decision == "promoted"
