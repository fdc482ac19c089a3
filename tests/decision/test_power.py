"""What a test set can see: held against simulated contests."""

import numpy as np
import pytest
from scipy.stats import binom

from incumbent.decision import power
from incumbent.decision.power import Pair


def proved_share(rows: int, gain: float, disagreement: float, level: float) -> float:
    """How many of 20,000 simulated challengers pass the exact McNemar test."""
    rng = np.random.default_rng(0)
    won, lost = (disagreement + gain) / 2, (disagreement - gain) / 2
    gained, other, _ = rng.multinomial(rows, [won, lost, 1 - disagreement], 20_000).T
    return float((binom.sf(gained - 1, gained + other, 0.5) <= level).mean())


@pytest.mark.parametrize(
    ("rows", "gain", "level"),
    [(60, 0.1, 0.05), (500, 0.0, 0.05), (500, 0.04, 0.0071), (5000, 0.01, 0.002)],
)
def test_the_chance_is_that_of_simulated_contests(rows: int, gain: float, level: float) -> None:
    found = power.chance(gain, rows, Pair(), level, "accuracy")
    assert found == pytest.approx(proved_share(rows, gain, 0.18, level), abs=0.012)


def test_without_a_gain_the_level_is_kept() -> None:
    for rows in (1, 2, 10, 100, 1000):
        assert power.chance(0.0, rows, Pair(), 0.05, "accuracy") <= 0.05


def test_both_tests_must_be_passed() -> None:
    one = power.chance(0.03, 1000, Pair(), power.ACCURACY_LEVEL, "accuracy")
    apart, alike = (
        power.chance(0.03, 1000, Pair(alike=alike), 0.0071, "log_loss") for alike in (0.0, 1.0)
    )
    assert apart < alike <= one + 1e-9


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_rows_and_gain_are_two_sides_of_one(metric: power.Metric) -> None:
    rows = power.rows_for(0.03, Pair(), 0.0071, metric)
    assert rows is not None
    assert power.chance(0.03, rows, Pair(), 0.0071, metric) >= power.ENOUGH
    assert power.chance(0.03, 0.97 * rows, Pair(), 0.0071, metric) < power.ENOUGH
    assert power.smallest_gain(rows, Pair(), 0.0071, metric) == pytest.approx(0.03, rel=0.02)


def test_what_no_number_of_rows_finds() -> None:
    assert power.smallest_gain(16, Pair(), 0.0071, "log_loss") is None
    assert power.rows_for(1e-5, Pair(), 0.0071, "accuracy") is None


def test_rows_in_groups_tell_less() -> None:
    rng = np.random.default_rng(1)
    single = rng.integers(-1, 2, 400).astype(float)
    repeated, groups = np.repeat(single, 5), np.repeat(np.arange(400), 5)
    effect = power.design_effect(repeated, groups)
    assert effect == pytest.approx(5)
    assert power.design_effect(repeated, None) == 1
    grouped = Pair(design_effect=5)
    assert power.chance(0.03, 2000, grouped, 0.01, "log_loss") == power.chance(
        0.03, 400, Pair(), 0.01, "log_loss"
    )
