import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from incumbent.errors import StageError
from incumbent.evaluation.paired_tests import accuracy_difference, mcnemar, sign_flip
from incumbent.evaluation.scored_predictions import Scored

pairs = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200).map(
    lambda rows: tuple(np.array(rows).T)
)


def right(both, gained, lost, neither):
    """Whether challenger and champion are right, row by row."""
    challenger = [True] * (both + gained) + [False] * (lost + neither)
    champion = [True] * both + [False] * gained + [True] * lost + [False] * neither
    return np.array(challenger), np.array(champion)


def models(counts, rng, signals=(1.6, 1.5)):
    """Challenger and champion, alike in their errors, on so many rows of each class."""
    n, k = sum(counts), len(counts)
    truth = np.repeat(np.arange(k), counts)
    shared = rng.normal(size=(n, k))
    scored = []
    for signal in signals:
        odds = np.exp(shared + rng.normal(0, 0.6, (n, k)) + signal * np.eye(k)[truth])
        scored.append(Scored(truth, odds / odds.sum(axis=1, keepdims=True)))
    return scored


def tagged(n, k, rng, threshold=0.5):
    """Challenger and champion on rows of any of k labels, the later ones rarer."""
    truth = rng.random((n, k)) < 0.5 / np.arange(1, k + 1)
    shared = rng.normal(size=(n, k)) - 1.3
    logits = [shared + rng.normal(0, 0.6, (n, k)) + signal * truth for signal in (2.6, 2.4)]
    return [Scored(truth, 1 / (1 + np.exp(-logit)), threshold) for logit in logits]


def skewed():
    """Challenger and champion on 40 rows of one class, who differ much in a few."""
    rng = np.random.default_rng(0)
    chances = rng.beta(5, 1, 40), rng.beta(5, 2, 40) ** rng.exponential(2, 40)
    return [Scored(np.zeros(40, int), np.stack([p, 1 - p], axis=1)) for p in chances]


def decided(truth, predicted):
    """A model of two classes that predicts so."""
    return Scored(np.asarray(truth), np.eye(2)[predicted])


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


def test_groups_never_make_an_interval_narrower():
    """Where all groups gain alike, theirs alone has no width."""
    rows = accuracy_difference(*right(48, 0, 0, 12))
    assert accuracy_difference(*right(48, 0, 0, 12), groups=np.arange(60) // 20) == rows
    assert rows.low < 0 < rows.high


def test_different_rows_are_refused():
    with pytest.raises(StageError, match=r"shape \(3,\), the champion on \(2,\)"):
        mcnemar(np.ones(3, bool), np.ones(2, bool))
    with pytest.raises(StageError, match="at least one"):
        accuracy_difference(np.ones(0, bool), np.ones(0, bool))


def enumerated(gains):
    """The sign-flip test by all signs there are."""
    signs = np.arange(2 ** len(gains))[:, None] >> np.arange(len(gains)) & 1
    return float(((2 * signs - 1) @ np.abs(gains) >= gains.sum() - 1e-9).mean())


@pytest.mark.parametrize("seed", range(8))
def test_the_sign_flip_test_is_what_all_signs_give(seed):
    rng = np.random.default_rng(seed)
    for rows, near in ((15, 1e-9), (18, 0.15)):
        gains = rng.standard_t(2, rows) + rng.uniform(-0.5, 1.5)  # a few large ones, as log losses
        z, p_value = sign_flip(gains)
        assert p_value == pytest.approx(enumerated(gains), rel=near, abs=near * 2e-4)
        assert z == pytest.approx(norm.isf(p_value))


@pytest.mark.parametrize("seed", range(4))
def test_sums_of_groups_are_tested_exactly(seed):
    """They are whole numbers, and so are their sums: most of them are hit by many signs."""
    gains = np.random.default_rng(seed).integers(-6, 9, 18) * 2.0
    assert sign_flip(gains)[1] == pytest.approx(enumerated(gains), rel=1e-9)


def test_a_handful_of_gains_that_outweigh_all_others_prove_no_more_than_they_are():
    rng = np.random.default_rng(0)
    for _ in range(10):
        gains = np.append(rng.normal(0.01, 0.03, 15), [4, 3.9, 3.5])
        assert sign_flip(gains)[1] >= 0.8 * enumerated(gains)


@pytest.mark.parametrize(
    ("gained", "lost"), [(5, 0), (9, 1), (12, 4), (30, 18), (300, 240), (4, 9), (3, 40)]
)
def test_of_gains_of_one_size_it_is_mcnemars(gained, lost):
    exact = binomtest(gained, gained + lost, alternative="greater").pvalue
    for size in (1.0, 0.3):
        p_value = sign_flip(size * np.repeat([1.0, -1.0, 0.0], [gained, lost, 50]))[1]
        assert p_value == pytest.approx(exact, rel=1e-6)


def test_few_rows_prove_no_more_than_all_signs_alike():
    assert sign_flip(np.array([1.0, 2.0, 3.0]))[1] == 1 / 8
    assert sign_flip(np.array([-1.0, -2.0, -3.0]))[1] > 0.8
    assert sign_flip(np.zeros(5)) == (0.0, 1.0)
    assert sign_flip(np.ones(5000)) == (8.0, 0.5**5000 or 0.0)


def test_in_many_rows_it_is_the_t_test():
    gains = np.random.default_rng(0).normal(0.04, 1, 5000)
    t = gains.mean() / gains.std() * np.sqrt(5000)
    assert sign_flip(gains)[0] == pytest.approx(t, rel=0.005)


def test_mcnemar_takes_rows_of_several_labels():
    truth = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], bool)
    challenger = Scored(truth, np.array([[0.9, 0.1], [0.9, 0.2], [0.1, 0.5], [0.1, 0.9]]))
    champion = Scored(truth, np.array([[0.2, 0.1], [0.9, 0.8], [0.1, 0.6], [0.6, 0.9]]))
    assert challenger.right.tolist() == [True, False, False, True]  # 0.5 reaches the threshold
    test = mcnemar(challenger.right, champion.right)
    assert (test.gained, test.lost) == (2, 1)


@pytest.mark.parametrize(
    ("truth", "probabilities", "says"),
    [
        ([0, 1, 0], [[0.5, 0.5]] * 2, r"shape \(3,\).*shape \(2, 2\)"),
        ([0, 1], [0.5, 0.5], r"probabilities of shape \(2,\)"),
        (np.empty(0, int), np.empty((0, 2)), "at least one row"),
        ([0, 2], [[0.5, 0.5]] * 2, "from 0 to k - 1"),
        ([0, -1], [[0.5, 0.5]] * 2, "from 0 to k - 1"),
        ([0.0, 1.0], [[0.5, 0.5]] * 2, "float64"),
        ([[0, 1], [1, 0]], [[0.5, 0.5]] * 2, "int64 labels"),
        ([[True], [False]], [[0.5, 0.5]] * 2, r"shape \(2, 1\)"),
        ([0, 1], [[0.5, 0.5], [np.nan, 0.5]], "1 of 2 rows hold"),
        ([[True, False]] * 2, [[2.5, 0.5], [-1.5, 0.5]], "2 of 2 rows hold.*logits"),
    ],
)
def test_what_is_no_prediction_is_refused(truth, probabilities, says):
    with pytest.raises(StageError, match=says):
        Scored(np.array(truth), np.array(probabilities))


def test_probabilities_may_be_rounded():
    model = models([60, 40], np.random.default_rng(0))[0]
    rounded = Scored(model.truth, model.probabilities * np.linspace(0.9995, 1.0005, 100)[:, None])
    assert rounded.loss == pytest.approx(model.loss)
