"""The simulated world has the accuracy and disagreement that its formulas say; its rules rule."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from benchmarks import frontier, promotion, rules
from benchmarks.promotion import OURS, RULES, WEEKS, Scenario, year
from benchmarks.world import World

ROWS = 200_000  # a standard error of 0.08 points of accuracy


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def test_models_are_as_accurate_as_they_should_be(random: np.random.Generator) -> None:
    wanted = np.array([0.85, 0.83, 0.87])
    drawn = World().draw(random, ROWS, wanted)
    assert drawn.right().mean(axis=1) == pytest.approx(wanted, abs=0.003)


def test_two_models_disagree_as_often_as_they_should(random: np.random.Generator) -> None:
    drawn = World(disagreement=0.10).draw(random, ROWS, np.array([0.85, 0.85]))
    labels = drawn.probability > 0.5
    assert (labels[0] != labels[1]).mean() == pytest.approx(0.10, abs=0.003)


def test_their_probabilities_are_calibrated(random: np.random.Generator) -> None:
    drawn = World().draw(random, ROWS, np.array([0.86]))
    probability = drawn.probability[0]
    for low in (0.1, 0.3, 0.5, 0.7, 0.9):
        near = (probability > low - 0.05) & (probability < low + 0.05)
        assert drawn.truth[near].mean() == pytest.approx(probability[near].mean(), abs=0.02)


def test_the_rules_walk_as_they_say(random: np.random.Generator) -> None:
    accuracies = np.array([0.85, 0.80, 0.90, 0.90])
    drawn = World().draw(random, 5000, np.array([0.85, 0.80, 0.865, 0.85]))
    assert rules.latest(drawn, accuracies) == [1, 2, 3]
    assert rules.stored(drawn, accuracies) == [0, 2, 3]
    assert rules.threshold(0.99)(drawn, accuracies) == [0, 0, 0]
    assert rules.Incumbent()(drawn, accuracies)[0] == 0  # five points worse


@pytest.mark.slow
def test_sums_over_rows_choose_the_champions_that_the_rows_do() -> None:
    """But for a challenger so near the threshold that a normal and a sign-flip test part."""
    scenario = Scenario(0.005, promotion.SCATTER, 10, 3000)
    same = 0
    for seed in range(6):
        rng = np.random.default_rng([seed, scenario.rows])
        drawn = World().draw(rng, scenario.rows, scenario.accuracies(rng, 0.85))
        found = frontier.sums(seed, scenario)
        held = frontier.year(found, scenario.rows, frontier.ASKINGS["McNemar at 5 %"])
        same += held[1:] == RULES[OURS](drawn, np.empty(0))
    assert same >= 5
    assert max(held) > 0


def test_rows_of_a_group_err_together(random: np.random.Generator) -> None:
    """Standard errors that take 1,000 rows for independent are 1.4 times too small."""
    gains = []
    for _ in range(200):
        right = World().draw(random, 1000, np.full(2, 0.85), group=10, alike=0.9).right()
        gains.append(right[0].astype(float) - right[1])
    taken = np.mean([gain.std() / np.sqrt(1000) for gain in gains])
    assert np.std([gain.mean() for gain in gains]) / taken == pytest.approx(1.4, abs=0.2)


def test_an_overconfident_model_answers_as_before(random: np.random.Generator) -> None:
    drawn = World().draw(random, 300, np.full(2, 0.85))
    bent = drawn.overconfident(0, np.arange(300) < 100, 3.0)
    assert (bent.right() == drawn.right()).all()
    assert (bent.probability[0, 100:] == drawn.probability[0, 100:]).all()
    assert (bent.scored(0).confidence[:100] >= drawn.scored(0).confidence[:100]).all()


def test_the_ledger_of_a_year_is_the_flows(random: np.random.Generator) -> None:
    drawn = World().draw(random, 5000, np.array([0.85, 0.83, 0.87, 0.83]))
    entries = rules.Incumbent().year(drawn)
    assert [entry.champion for entry in entries] == [1, 3, 3]
    assert [entry.decision for entry in entries] == ["kept", "promoted", "kept"]
    assert all(entry.comparison and entry.allowance for entry in entries)
    assert [entry.allowance.contest for entry in entries if entry.allowance] == [1, 2, 3]


def test_a_lost_class_is_noticed_and_every_finding_says_how_surely() -> None:
    with ProcessPoolExecutor(1) as pool:
        (found,) = promotion.findings(promotion.CLASS, 4, pool)
    assert set(found) == {"world", "rule", "figure", "value", "low", "high", "target", "met"}
    assert (found["rule"], found["value"], found["target"], found["met"]) == (OURS, 1, 1, True)
    assert 0 < found["low"] < found["high"] <= 1


@pytest.mark.slow
def test_a_year_is_the_same_for_the_same_seed_and_judged_by_every_rule() -> None:
    scenario = Scenario(0.0, 0.006, WEEKS, 1000)
    found = year(3, scenario, tuple(RULES))
    assert found == year(3, scenario, tuple(RULES))
    assert set(found) == set(RULES)
    assert found["always the latest"]["took"]
    assert found["incumbent (default)"]["gain"] >= 0
