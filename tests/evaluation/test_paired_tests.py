from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap
from sklearn.metrics import accuracy_score, f1_score, log_loss

from incumbent.config import EvaluationConfig
from incumbent.errors import StageError
from incumbent.evaluation import paired_tests
from incumbent.evaluation.paired_tests import (
    Scored,
    accuracy_difference,
    log_loss_difference,
    macro_f1_difference,
    mcnemar,
)
from incumbent.evaluation.wilson_and_bootstrap import resamples

CONFIG = EvaluationConfig(bootstrap_samples=400)

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


def test_different_rows_are_refused():
    with pytest.raises(StageError, match=r"shape \(3,\), the champion on \(2,\)"):
        mcnemar(np.ones(3, bool), np.ones(2, bool))
    with pytest.raises(StageError, match="at least one"):
        accuracy_difference(np.ones(0, bool), np.ones(0, bool))
    rng = np.random.default_rng(0)
    challenger, champion = models([5, 4], rng)[0], models([4, 5], rng)[1]
    for difference in (macro_f1_difference, log_loss_difference):
        with pytest.raises(StageError, match="the same rows"):
            difference(challenger, champion, CONFIG)


@pytest.mark.parametrize("k", [2, 3, 20])
def test_values_equal_scikit_learns(k):
    challenger, champion = models([200, *[9] * (k - 1)], np.random.default_rng(k))
    f1s, losses = [], []
    for model in (challenger, champion):
        predicted = model.probabilities.argmax(axis=1)
        f1s.append(f1_score(model.truth, predicted, average="macro"))
        losses.append(log_loss(model.truth, model.probabilities))
        assert model.right.mean() == accuracy_score(model.truth, predicted)
        assert model.loss.mean() == pytest.approx(losses[-1])
    assert macro_f1_difference(challenger, champion, CONFIG).value == pytest.approx(f1s[0] - f1s[1])
    difference = log_loss_difference(challenger, champion, CONFIG)
    assert difference.value == pytest.approx(losses[0] - losses[1])


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_values_of_several_labels_equal_scikit_learns(threshold):
    challenger, champion = tagged(300, 5, np.random.default_rng(0), threshold)
    f1s, losses = [], []
    for model in (challenger, champion):
        predicted = model.probabilities >= threshold
        f1s.append(f1_score(model.truth, predicted, average="macro"))
        columns = zip(model.truth.T, model.probabilities.T, strict=True)
        losses.append(np.mean([log_loss(truth, p) for truth, p in columns]))
        assert model.right.mean() == accuracy_score(model.truth, predicted)
        assert model.loss.mean() == pytest.approx(losses[-1])
    assert macro_f1_difference(challenger, champion, CONFIG).value == pytest.approx(f1s[0] - f1s[1])
    difference = log_loss_difference(challenger, champion, CONFIG)
    assert difference.value == pytest.approx(losses[0] - losses[1])


def test_labels_that_never_occur_do_not_count():
    narrow = models([60, 30], np.random.default_rng(0))
    wide = [
        Scored(m.truth, np.hstack([m.probabilities * 0.99, np.full((90, 1), 0.01)])) for m in narrow
    ]
    assert macro_f1_difference(*wide, CONFIG) == macro_f1_difference(*narrow, CONFIG)


def test_mcnemar_takes_rows_of_several_labels():
    truth = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], bool)
    challenger = Scored(truth, np.array([[0.9, 0.1], [0.9, 0.2], [0.1, 0.5], [0.1, 0.9]]))
    champion = Scored(truth, np.array([[0.2, 0.1], [0.9, 0.8], [0.1, 0.6], [0.6, 0.9]]))
    assert challenger.right.tolist() == [True, False, False, True]  # 0.5 reaches the threshold
    test = mcnemar(challenger.right, champion.right)
    assert (test.gained, test.lost) == (2, 1)


def test_without_strata_the_intervals_are_scipys():
    # Rows of one class are one stratum. Skewed, so that BCa is far from the percentile interval.
    challenger, champion = skewed()
    config = EvaluationConfig(bootstrap_samples=20_000)

    def f1(ours, theirs, axis=-1):
        hits = np.stack([ours.sum(axis), theirs.sum(axis)])
        return np.subtract(*(2 * hits / (40 + hits)))

    def gap(ours, theirs, axis=-1):
        return (ours - theirs).mean(axis)

    for difference, samples, statistic in (
        (macro_f1_difference, (challenger.right, champion.right), f1),
        (log_loss_difference, (challenger.loss, champion.loss), gap),
    ):
        found = difference(challenger, champion, config)
        bca, percentile = (
            bootstrap(
                samples, statistic, paired=True, n_resamples=20_000, method=method, random_state=1
            ).confidence_interval
            for method in ("BCa", "percentile")
        )
        close = (bca.high - bca.low) / 30
        assert (found.low, found.high) == pytest.approx(tuple(bca), abs=close)
        assert (found.low, found.high) != pytest.approx(tuple(percentile), abs=close)


def scores(model, weights):
    """Macro F1 and log loss of weighted rows, by scikit-learn."""
    if model.truth.ndim == 1:
        loss = log_loss(model.truth, model.probabilities, sample_weight=weights)
        guess = model.probabilities.argmax(axis=1)
    else:
        columns = zip(model.truth.T, model.probabilities.T, strict=True)
        loss = np.mean(
            [log_loss(t, p, sample_weight=weights, labels=[False, True]) for t, p in columns]
        )
        guess = model.predicted
    f1 = f1_score(model.truth, guess, average="macro", sample_weight=weights, zero_division=0)
    return np.array([f1, loss])


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.slow
def test_stratified_intervals_are_those_of_leaving_out_one_row_after_another(several, monkeypatch):
    # The textbook's interval from the same draws, its acceleration by the jackknife: rows of the
    # stratum that one is left out of make up for it.
    # Seeds of skewed samples: were the acceleration left out, the ends would be further off.
    monkeypatch.setattr("incumbent.data.label_arrays.SMALLEST_STRATUM", 1)
    if several:
        challenger, champion = tagged(40, 2, np.random.default_rng(52))
    else:
        challenger, champion = models([48, 9], np.random.default_rng(9), (1.9, 1.0))
    strata = np.unique(challenger.truth, axis=0, return_inverse=True)[1]
    config = EvaluationConfig(bootstrap_samples=200, confidence=0.9)

    def differences(weights):
        return np.array([scores(challenger, w) - scores(champion, w) for w in weights])

    weights = np.concatenate(list(resamples(strata, 200, config.seed)), axis=1).T
    without = np.ones((len(strata), len(strata)))
    for row, stratum in enumerate(strata):
        others = (strata == stratum) & (np.arange(len(strata)) != row)
        without[row, row], without[row, others] = 0, 1 + 1 / others.sum()
    observed = differences(np.ones((1, len(strata))))[0]
    resampled, left_out = differences(weights), differences(without)
    normal = NormalDist()
    for index, difference in enumerate((macro_f1_difference, log_loss_difference)):
        draws, value = resampled[:, index], observed[index]
        ties = np.isclose(draws, value)
        bias = normal.inv_cdf(np.mean((draws < value) & ~ties) + np.mean(ties) / 2)
        pull = np.empty(len(strata))
        for stratum in np.unique(strata):
            own, size = left_out[strata == stratum, index], np.sum(strata == stratum)
            pull[strata == stratum] = (own.mean() - own) * (size - 1) / size
        acceleration = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
        assert abs(acceleration) > 0.02
        ends = [bias + z for z in (-normal.inv_cdf(0.95), normal.inv_cdf(0.95))]
        levels = [normal.cdf(bias + end / (1 - acceleration * end)) for end in ends]
        low, high = np.quantile(draws, levels)
        found = difference(challenger, champion, config)
        assert found.value == pytest.approx(value)
        assert (found.low, found.high) == pytest.approx((low, high), abs=(high - low) / 400)


def test_rare_sets_of_labels_share_a_stratum():
    sets = np.array([[1, 0], [0, 1], [0, 0], [1, 1]], bool)
    truth = np.repeat(sets, [20, 19, 3, 25], axis=0)
    model = Scored(truth, truth.astype(float))
    _, sizes = np.unique(paired_tests._strata(model, model), return_counts=True)
    assert sorted(sizes) == [20, 19 + 3, 25]


@pytest.mark.slow
def test_intervals_cover_the_truth_and_the_tests_hold_their_level():
    # Equally good models on skewed classes: the truth is 0.
    rng = np.random.default_rng(0)
    covered, promoted = np.zeros(2), np.zeros(2)
    for seed in range(200):
        pair = models([400, 75, 25], rng, signals=(1.5, 1.5))
        config = EvaluationConfig(bootstrap_samples=400, seed=seed)
        found = [
            difference(*pair, config) for difference in (macro_f1_difference, log_loss_difference)
        ]
        covered += [d.low <= 0 <= d.high for d in found]
        promoted += [d.p_value <= 0.05 for d in found]
    assert (covered / 200 >= 0.91).all()
    assert (covered / 200 <= 0.985).all()
    assert (promoted / 200 <= 0.08).all()
    assert (promoted / 200 >= 0.015).all()


def test_models_that_hardly_differ_are_rarely_called_better():
    # Each is wrong in some two rows of its own: without a bound it is one draw in ten.
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], [80, 20])
    p_values = [
        macro_f1_difference(
            *(decided(truth, truth ^ (rng.random(100) < 0.02)) for _ in range(2)), CONFIG
        ).p_value
        for _ in range(300)
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.06


@pytest.mark.parametrize("difference", [macro_f1_difference, log_loss_difference])
def test_swapping_the_models_mirrors_the_difference(difference):
    challenger, champion = models([150, 40, 10], np.random.default_rng(2))
    found = difference(challenger, champion, CONFIG)
    mirrored = difference(champion, challenger, CONFIG)
    ends = (-mirrored.value, -mirrored.high, -mirrored.low)
    assert (found.value, found.low, found.high) == pytest.approx(ends)
    assert found.low < found.value < found.high
    # Each counts the rows themselves as a resample against it.
    assert found.p_value + mirrored.p_value == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("difference", [macro_f1_difference, log_loss_difference])
def test_the_p_value_is_the_level_whose_interval_ends_at_0(difference):
    if difference is macro_f1_difference:
        pair = models([300, 60, 20], np.random.default_rng(2), (1.7, 1.6))
    else:  # much better in five rows, a little worse in the rest: bias and skewness count
        chances = np.hstack([np.linspace(0.97, 0.99, 5), np.linspace(0.78, 0.8, 35)])
        pair = [
            Scored(np.zeros(40, int), np.stack([p, 1 - p], 1)) for p in (chances, np.full(40, 0.8))
        ]
    config = EvaluationConfig(bootstrap_samples=20_000)
    p_value = difference(*pair, config).p_value
    assert 0.0005 < p_value < 0.2
    found = difference(*pair, config.model_copy(update={"confidence": 1 - 2 * p_value}))
    end = found.low if difference is macro_f1_difference else found.high
    assert end == pytest.approx(0, abs=(found.high - found.low) / 200)


@pytest.mark.parametrize("several", [False, True])
def test_a_model_is_no_better_than_itself(several):
    rng = np.random.default_rng(0)
    model = tagged(100, 3, rng)[0] if several else models([80, 20], rng)[0]
    for difference in (macro_f1_difference, log_loss_difference):
        found = difference(model, model, CONFIG)
        assert str(found) == "value=0.0 low=0.0 high=0.0 p_value=1.0"


@pytest.mark.parametrize(("gained", "p_value"), [(1, 0.5), (3, 0.125), (4, 0.0625)])
def test_few_rows_prove_no_more_than_swapping_them_would(gained, p_value):
    truth = np.repeat([0, 1], [150, 50])
    champion = truth.copy()
    champion[-gained:] = 0
    found = macro_f1_difference(decided(truth, truth), decided(truth, champion), CONFIG)
    assert found.p_value == p_value


def test_rows_on_which_both_are_wrong_can_prove_something():
    # Macro F1 sees the labels got right in rows that are never wholly right.
    truth = np.ones((60, 2), bool)
    truth[::3, 0] = False
    champion = np.zeros((60, 2))
    challenger = np.stack([truth[:, 0], np.zeros(60)], axis=1)
    found = macro_f1_difference(Scored(truth, challenger), Scored(truth, champion), CONFIG)
    assert found.p_value == pytest.approx(1 / 401)


def test_no_gain_proves_nothing():
    # Five rows gained and five lost: resamples without a gain count as no better.
    truth = np.repeat([0, 1], [50, 50])
    ours, theirs = truth.copy(), truth.copy()
    ours[:5], theirs[5:10] = 1, 1
    found = macro_f1_difference(decided(truth, ours), decided(truth, theirs), CONFIG)
    assert found.value == 0
    assert found.low == pytest.approx(-found.high, rel=0.2)
    assert found.p_value > 0.5


def test_a_label_that_resamples_miss_scores_nothing_in_them():
    truth = np.stack([np.arange(30) < 12, np.arange(30) == 0], axis=1)
    champion = np.where(np.arange(30) % 4 == 0, ~truth[:, 0], truth[:, 0])
    found = macro_f1_difference(
        Scored(truth, truth.astype(float)),
        Scored(truth, np.stack([champion, np.zeros(30)], axis=1)),
        CONFIG,
    )
    assert 0 < found.low < found.value < found.high < 1


def test_resamples_that_do_not_vary_give_the_value_and_what_the_rows_prove():
    # One row of each class: every resample is the test set.
    challenger, champion = decided([0, 1], [0, 1]), decided([0, 1], [1, 0])
    found = macro_f1_difference(challenger, champion, CONFIG)
    assert (found.value, found.low, found.high, found.p_value) == (1, 1, 1, 0.25)
    assert macro_f1_difference(champion, challenger, CONFIG).p_value == 1


def test_an_end_that_does_not_exist_is_the_last_resample():
    # One row differs: a = 1/6, whose pole at 6 standard errors is short of this interval's 7.
    p = np.full(50, 0.8)
    champion = Scored(np.zeros(50, int), np.stack([p, 1 - p], 1))
    p = np.where(np.arange(50) == 3, 0.1, p)
    challenger = Scored(np.zeros(50, int), np.stack([p, 1 - p], 1))
    config = EvaluationConfig(bootstrap_samples=400, confidence=1 - 1e-12)
    found = log_loss_difference(challenger, champion, config)
    most = max(weights[3].max() for weights in resamples(np.zeros(50, int), 400, config.seed))
    assert most > 1
    assert found.value == pytest.approx(np.log(0.8 / 0.1) / 50)
    assert found.high == pytest.approx(most * found.value)


def test_resamples_that_only_rounding_tells_from_the_value_are_ties():
    resampled = np.repeat([0.0, 0.1 + 0.2, 0.5], [100, 200, 100])
    found = paired_tests._bca(0.3, resampled, np.zeros(50), np.zeros(50, int), 50, confidence=0.3)
    assert (found.low, found.high) == pytest.approx((0.3, 0.3))


def test_resamples_all_on_one_side_give_the_percentile_interval_stretched_to_the_value():
    resampled = np.linspace(1, 2, 401)
    influence, strata = np.arange(50.0) ** 3, np.zeros(50, int)
    found = paired_tests._bca(0.5, resampled, influence, strata, 50, confidence=0.95)
    assert (found.low, found.high) == pytest.approx((0.5, 1.975))


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
