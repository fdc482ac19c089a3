"""The simulated world has the accuracy and disagreement that its formulas say; its rules rule."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import rules
from benchmarks.promotion import RULES, WEEKS, Scenario, year
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
def test_a_year_is_the_same_for_the_same_seed_and_judged_by_every_rule() -> None:
    scenario = Scenario(0.0, 0.006, WEEKS, 1000)
    found = year(3, scenario, World(), tuple(RULES))
    assert found == year(3, scenario, World(), tuple(RULES))
    assert set(found) == set(RULES)
    assert found["always the latest"]["took"]
    assert found["incumbent (default)"]["gain"] >= 0
