"""The budget of a reign: the chance that any challenger that is no better passes is as planned."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from incumbent.decision.error_budget import EVEN, Allowance, PastContest, allow, loading_of

ALPHA, HALF_LIFE, DRAWS = 0.1, 13.0, 400_000


def reign(
    champions: Sequence[int],
    loading: float = EVEN,
    alpha: float = ALPHA,
    half_life: float = HALF_LIFE,
    passed: Sequence[bool] | None = None,
) -> list[Allowance]:
    """What each contest of a reign may spend, if it is against these champions."""
    past: list[PastContest] = []
    found = []
    for champion, won in zip(champions, passed or [False] * len(champions), strict=True):
        found.append(allow(past, champion, loading, alpha, half_life))
        past.append(
            PastContest(champion=champion, critical=found[-1].critical, loading=loading, passed=won)
        )
    return found


def any_passes(
    contests: Sequence[Allowance], champions: Sequence[int], correlation: float
) -> float:
    """How often a statistic passes, were all nulls true; those of one champion are correlated."""
    rng = np.random.default_rng(0)
    shared = {champion: rng.standard_normal(DRAWS) for champion in sorted(set(champions))}
    passed = np.zeros(DRAWS, bool)
    for contest, champion in zip(contests, champions, strict=True):
        own = rng.standard_normal(DRAWS)
        z = sqrt(correlation) * shared[champion] + sqrt(1 - correlation) * own
        passed |= z > contest.critical
    return float(passed.mean())


def near(chance: float) -> object:
    """The chance, give or take four standard errors of the simulation."""
    return pytest.approx(chance, abs=4 * sqrt(chance * (1 - chance) / DRAWS))


@pytest.mark.parametrize("alpha", [0.05, 0.1])
@pytest.mark.parametrize("loading", [EVEN, 0.0])
def test_thresholds_rise_and_the_plan_is_spent(alpha: float, loading: float) -> None:
    found = reign([1] * 100, loading, alpha)
    assert (np.diff([contest.critical for contest in found]) > 0).all()
    for k, contest in enumerate(found, 1):
        assert contest.contest == k
        assert contest.loading == loading
        assert contest.level == norm.sf(contest.critical)
        assert contest.spent == pytest.approx(alpha * k / (k + HALF_LIFE))
    assert found[12].spent == pytest.approx(alpha / 2)


@pytest.mark.parametrize("contests", [1, 5, 26])
@pytest.mark.parametrize(("alpha", "half_life"), [(0.1, 13.0), (0.3, 2.0)])
def test_a_null_passes_as_often_as_is_planned(
    contests: int, alpha: float, half_life: float
) -> None:
    champions = [1] * contests
    found = reign(champions, alpha=alpha, half_life=half_life)
    planned = alpha * contests / (contests + half_life)
    assert any_passes(found, champions, 1 / 2) == near(planned)


def test_independent_statistics_without_a_loading_pass_as_often_as_is_planned() -> None:
    champions = [1] * 26
    found = reign(champions, loading=0)
    assert any_passes(found, champions, 0) == near(found[-1].spent)
    # What is shared is given back: a loading makes the thresholds lower.
    assert all(
        shared.critical < own.critical
        for shared, own in zip(reign(champions)[1:], found[1:], strict=True)
    )


def test_where_more_is_shared_than_assumed_less_is_spent() -> None:
    champions = [1] * 26
    found = reign(champions)
    assert any_passes(found, champions, 0.8) < 0.9 * found[-1].spent
    assert any_passes(reign(champions, loading=0), champions, 1 / 2) < 0.9 * found[-1].spent


def test_contests_of_several_champions_pass_as_often_as_is_planned() -> None:
    champions = [1, 1, 1, 2, 2, 1, 1, 3, 3, 3, 3, 1]  # with a rollback
    found = reign(champions, alpha=0.3, half_life=3)
    assert any_passes(found, champions, 1 / 2) == near(0.3 * 12 / 15)


def test_a_new_champion_starts_another_block() -> None:
    *_, before, same = reign([1] * 6)
    other = reign([1, 1, 1, 1, 1, 2])[-1]
    assert other.level == pytest.approx(1 - (1 - same.spent) / (1 - before.spent))
    assert other.critical > same.critical  # nothing is shared with those before it
    assert other.spent == same.spent


def test_contests_before_and_after_a_rollback_are_of_one_block() -> None:
    past = [PastContest(champion=c, critical=2.5, loading=EVEN, passed=False) for c in (1, 2, 1, 2)]
    apart = allow(past, 3, EVEN, ALPHA, HALF_LIFE)
    together = allow([past[i] for i in (0, 2, 1, 3)], 3, EVEN, ALPHA, HALF_LIFE)
    assert apart.critical == pytest.approx(together.critical)


@pytest.mark.parametrize("loading", [EVEN, 0.0])
def test_a_contest_that_was_won_gives_its_share_back(loading: float) -> None:
    lost = reign([1, 1, 2], loading)[-1]
    won = reign([1, 1, 2], loading, passed=[False, True, False])[-1]
    assert won.spent == lost.spent
    assert won.critical < lost.critical
    first = reign([1], loading)[0]
    assert won.level == pytest.approx(1 - (1 - won.spent) / (1 - first.spent))


def test_with_recycling_a_null_passes_as_often_as_is_planned() -> None:
    # Two truly better challengers passed: the others share all that may be spent by then.
    champions = [1, 1, 1, 2, 2, 3, 3, 3]
    won = [False, False, True, False, True, False, False, False]
    found = reign(champions, alpha=0.3, half_life=3, passed=won)
    nulls = [i for i, passed in enumerate(won) if not passed]
    chance = any_passes([found[i] for i in nulls], [champions[i] for i in nulls], 1 / 2)
    assert chance == near(0.3 * 8 / 11)


def test_the_first_contest_of_a_reign_may_spend_its_share_whatever_its_loading() -> None:
    for loading in (0.0, 0.3, EVEN):
        assert allow([], 7, loading, ALPHA, HALF_LIFE).level == pytest.approx(ALPHA / 14)


@pytest.mark.slow
def test_hundreds_of_contests_spend_what_they_may_and_no_more() -> None:
    found = reign([1] * 400, loading=0)
    spent = 1 - np.prod([1 - contest.level for contest in found])
    assert spent == pytest.approx(ALPHA * 400 / 413, rel=1e-6)
    blocks = reign([i // 10 for i in range(400)])
    assert all(0 < contest.level < 0.01 for contest in blocks)


@pytest.mark.parametrize(
    ("alpha", "half_life"), [(1e-9, 13), (1e-6, 10_000), (0.1, 10_000), (0.99, 0.01), (1e-300, 1)]
)
@pytest.mark.parametrize("loading", [EVEN, 0.0])
def test_extreme_plans_are_kept(alpha: float, half_life: float, loading: float) -> None:
    found = reign([1] * 30, loading, alpha, half_life)
    assert all(np.isfinite(contest.critical) and 0 < contest.level < 1 for contest in found)
    planned = max(alpha * 30 / (30 + half_life), 1e-14)
    assert sum(contest.level for contest in found) >= min(planned, 0.9) * 0.99
    if loading == 0:
        spent = -np.expm1(np.log1p([-contest.level for contest in found]).sum())
        assert spent == pytest.approx(planned, rel=0.01, abs=5e-14)


def changed(
    plans: Sequence[tuple[float, float, int]], loading: float = EVEN, champions: int = 1
) -> list[Allowance]:
    """A reign whose alpha and half-life change after so many contests each."""
    past: list[PastContest] = []
    found = []
    for alpha, half_life, contests in plans:
        for _ in range(contests):
            champion = len(past) * champions // sum(plan[2] for plan in plans)
            found.append(allow(past, champion, loading, alpha, half_life))
            past.append(
                PastContest(
                    champion=champion, critical=found[-1].critical, loading=loading, passed=False
                )
            )
    return found


@pytest.mark.parametrize("champions", [1, 4])
@pytest.mark.parametrize(
    "plans",
    [
        [(0.1, 13, 30), (0.1, 90, 60)],
        [(0.1, 90, 30), (0.1, 13, 60)],
        [(0.1, 13, 20), (0.08, 13, 40)],
        [(0.1, 5, 10), (0.1, 200, 20), (0.1, 5, 20), (0.1, 50, 20)],
    ],
)
def test_a_plan_that_changes_spends_what_is_left_and_no_more(
    plans: list[tuple[float, float, int]], champions: int
) -> None:
    """Half a year of weeks, and then nights: neither stands still nor spends more than alpha."""
    found = changed(plans, champions=champions)
    against = [i * champions // len(found) for i in range(len(found))]
    chance = any_passes(found, against, 1 / 2)
    bound = plans[0][0]
    assert chance <= bound + 4 * sqrt(bound * (1 - bound) / DRAWS)
    assert chance == near(found[-1].spent)
    assert max(contest.critical for contest in found) < 4.6
    assert not any(contest.hopeless for contest in found)
    assert (np.diff([contest.spent for contest in found]) > 0).all()


def test_a_plan_that_does_not_change_is_as_it_was() -> None:
    champions = [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
    won = [False, False, True, False, True] + [False] * 5
    past: list[PastContest] = []
    for champion, passed in zip(champions, won, strict=True):
        now, then = (
            allow(past, champion, EVEN, ALPHA, HALF_LIFE, renews=new) for new in (True, False)
        )
        assert now.critical == pytest.approx(then.critical, abs=1e-9)
        past.append(
            PastContest(champion=champion, critical=now.critical, loading=EVEN, passed=passed)
        )


def test_nights_after_weeks_go_on_at_once() -> None:
    """Under the rule of release 0.1.0 the next 177 contests asked for 8 standard errors."""
    found = changed([(0.1, 13, 30), (0.1, 90, 1)])[-1]
    left = 0.1 - 0.1 * 30 / 43
    assert found.spent - (found.before or 0) == pytest.approx(left / 121, rel=1e-6)
    assert found.critical < 3.5


def test_a_budget_that_was_lowered_below_what_was_spent_has_nothing_left() -> None:
    found = changed([(0.1, 13, 10), (0.01, 13, 1)])[-1]
    assert found.hopeless
    assert found.critical >= 7
    assert found.before == pytest.approx(0.1 * 10 / 23)


def contest(loading: float) -> PastContest:
    return PastContest(champion=1, critical=2, loading=loading, passed=False)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=8))
def test_a_loading_never_overstates_what_is_shared(correlations: list[float]) -> None:
    past: list[PastContest] = []
    for rho in correlations:  # each new contest has this correlation with all before it
        loading = loading_of([(earlier, rho) for earlier in past])
        assert 0 <= loading <= EVEN
        for earlier in past:
            assert loading * earlier.loading <= max(rho, 0) + 1e-12
        past.append(contest(loading))


def test_equal_challengers_have_the_even_loading() -> None:
    assert loading_of([]) == EVEN
    assert loading_of([(contest(EVEN), 0.5), (contest(EVEN), 0.9)]) == pytest.approx(EVEN)
    assert loading_of([(contest(EVEN), 0.5), (contest(EVEN), 0.25)]) == pytest.approx(EVEN / 2)
    assert loading_of([(contest(0.0), 0.1)]) == EVEN  # it shares nothing, whatever the new one does
    assert loading_of([(contest(EVEN), -0.2)]) == 0
