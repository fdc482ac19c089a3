import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from incumbent.config import EvaluationConfig
from incumbent.data.label_arrays import strata
from incumbent.errors import StageError
from incumbent.evaluation.evaluation_summary import Evaluation, evaluate, top_losses
from incumbent.evaluation.wilson_and_bootstrap import percentile, resamples, wilson
from tests.evaluation.cases import tagged

CONFIG = EvaluationConfig(bootstrap_samples=200)


def predictions(n, k, seed=0, signal=1.5):
    """Labels (n,) and the probabilities (n, k) of a model that is often right."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), truth] += signal
    odds = np.exp(logits)
    return truth, odds / odds.sum(axis=1, keepdims=True)


def names(k):
    return [f"class {i}" for i in range(k)]


@pytest.mark.parametrize("k", [2, 3, 20])
def test_metrics_equal_scikit_learns(k):
    truth, probabilities = predictions(600, k)
    evidence = evaluate(truth, probabilities, names(k), CONFIG)
    predicted = probabilities.argmax(axis=1)
    auc = (
        roc_auc_score(truth, probabilities[:, 1])
        if k == 2
        else roc_auc_score(truth, probabilities, multi_class="ovr", average="macro")
    )
    assert evidence.accuracy.value == np.mean(predicted == truth)
    assert evidence.macro_f1.value == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert evidence.log_loss.value == pytest.approx(log_loss(truth, probabilities))
    assert evidence.roc_auc is not None
    assert evidence.roc_auc.value == pytest.approx(auc)
    assert np.array_equal(evidence.confusion, confusion_matrix(truth, predicted))
    reference = np.transpose(precision_recall_fscore_support(truth, predicted, zero_division=0))
    scores = [list(score.model_dump().values()) for score in evidence.per_class.values()]
    assert np.allclose(scores, reference)


def test_tied_scores_count_half_in_the_auc():
    truth, probabilities = predictions(500, 2)
    coarse = np.round(probabilities, 1)
    evidence = evaluate(truth, coarse, names(2), CONFIG)
    assert evidence.roc_auc is not None
    assert evidence.roc_auc.value == pytest.approx(roc_auc_score(truth, coarse[:, 1]))


def test_calibration_error_by_hand():
    # Bins [0.5, 0.75) and [0.75, 1]: |1/2 - 0.6| and |2/2 - 0.9|, half of the rows in each.
    probabilities = np.array([[0.6, 0.4], [0.6, 0.4], [0.9, 0.1], [0.1, 0.9]])
    config = EvaluationConfig(calibration_bins=4, bootstrap_samples=100)
    evidence = evaluate(np.array([0, 1, 0, 1]), probabilities, names(2), config)
    assert evidence.calibration_error.value == pytest.approx(0.5 * 0.1 + 0.5 * 0.1)


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.slow
def test_bootstrap_intervals_agree_with_resampling_the_rows(k):
    truth, probabilities = predictions(400, k, seed=3)
    config = EvaluationConfig(bootstrap_samples=2000)
    evidence = evaluate(truth, probabilities, names(k), config)
    rng = np.random.default_rng(9)
    rows = [np.flatnonzero(truth == label) for label in range(k)]
    draws = []
    for _ in range(120):
        drawn = np.concatenate([rng.choice(r, len(r)) for r in rows])
        t, p = truth[drawn], probabilities[drawn]
        draws.append(
            (
                log_loss(t, p),
                roc_auc_score(t, p[:, 1] if k == 2 else p, multi_class="ovr"),
                f1_score(t, p.argmax(axis=1), average="macro"),
            )
        )
    estimates = (evidence.log_loss, evidence.roc_auc, evidence.macro_f1)
    widths = [estimate.high - estimate.low for estimate in estimates if estimate]
    assert widths == pytest.approx(2 * 1.96 * np.std(draws, axis=0), rel=0.15)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # Fixed seeds: of 120 samples, 95 % should hold the value of a very large one.
    truth, probabilities = predictions(200_000, 2, seed=100)
    true_auc = roc_auc_score(truth, probabilities[:, 1])
    true_loss = log_loss(truth, probabilities)
    covered = np.zeros(2)
    for seed in range(120):
        evidence = evaluate(*predictions(200, 2, seed=seed), names(2), CONFIG)
        assert evidence.roc_auc is not None
        covered += [
            evidence.roc_auc.low <= true_auc <= evidence.roc_auc.high,
            evidence.log_loss.low <= true_loss <= evidence.log_loss.high,
        ]
    assert (covered / 120 > 0.88).all()


def test_the_calibration_interval_of_a_calibrated_model_reaches_down():
    rng = np.random.default_rng(4)
    chance = rng.uniform(0.01, 0.99, 3000)
    truth = (rng.random(3000) < chance).astype(int)
    evidence = evaluate(truth, np.stack([1 - chance, chance], axis=1), names(2), CONFIG)
    error = evidence.calibration_error
    assert error.low < 0.01
    assert error.low <= error.value <= error.high


def test_the_same_seed_gives_the_same_evidence():
    truth, probabilities = predictions(300, 3)
    first = evaluate(truth, probabilities, names(3), CONFIG)
    assert first == evaluate(truth, probabilities, names(3), CONFIG)
    other = evaluate(truth, probabilities, names(3), CONFIG.model_copy(update={"seed": 1}))
    assert first.log_loss != other.log_loss


def test_blocks_of_resamples_come_to_as_many_as_asked_for(monkeypatch):
    monkeypatch.setattr("incumbent.evaluation.wilson_and_bootstrap.WEIGHTS_AT_ONCE", 70)
    strata = np.array([0, 0, 0, 1, 1, 5, 5, 5, 5, 5])
    blocks = list(resamples(strata, 25, seed=0))
    weights = np.concatenate(blocks, axis=1)
    assert len(blocks) == 4
    assert weights.shape == (10, 25)
    for stratum, size in ((0, 3), (1, 2), (5, 5)):
        assert (weights[strata == stratum].sum(axis=0) == size).all()


def test_classes_without_test_rows_do_not_count_in_the_averages():
    truth, probabilities = predictions(300, 3)
    widened = np.hstack([probabilities * 0.99, np.full((300, 1), 0.01)])
    evidence = evaluate(truth, widened, names(4), CONFIG)
    narrow = evaluate(truth, probabilities, names(3), CONFIG)
    assert evidence.macro_f1 == narrow.macro_f1
    assert evidence.roc_auc is not None
    assert evidence.roc_auc.value == pytest.approx(narrow.roc_auc.value)
    assert evidence.per_class["class 3"].support == 0
    assert evidence.per_class["class 3"].f1 == 0


def test_one_class_has_no_auc_and_its_evidence_survives_json():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6]])
    evidence = evaluate(np.array([0, 0]), probabilities, names(2), CONFIG)
    assert evidence.roc_auc is None
    assert not [name for name in evidence.metrics() if name.startswith("roc_auc")]
    assert Evaluation.model_validate_json(evidence.model_dump_json()) == evidence


@pytest.mark.parametrize("k", [2, 5])
def test_perfect_predictions(k):
    truth = np.arange(40) % k
    evidence = evaluate(truth, np.eye(k)[truth], names(k), CONFIG)
    assert evidence.accuracy.value == evidence.accuracy.high == 1
    assert evidence.accuracy.low == pytest.approx(wilson(40, 40, 0.95).low)
    assert evidence.macro_f1.low == 1
    assert evidence.roc_auc is not None
    assert evidence.roc_auc.value == pytest.approx(1)
    assert evidence.log_loss.value == pytest.approx(0, abs=1e-9)
    assert evidence.calibration_error.high == 0


@given(st.integers(1, 500), st.data())
def test_wilson_is_scipys(n, data):
    successes = data.draw(st.integers(0, n))
    estimate = wilson(successes, n, 0.9)
    reference = binomtest(successes, n).proportion_ci(0.9, method="wilson")
    assert (estimate.low, estimate.high) == pytest.approx((reference.low, reference.high), abs=1e-9)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_percentile_is_that_of_the_resamples():
    estimate = percentile(np.array([5.0]), np.arange(101.0), 0.9)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((5, 5, 95))


def test_metric_names_are_ones_mlflow_allows_and_distinct():
    truth, probabilities = predictions(60, 4)
    classes = ["a b", "a/b", "très bien?", "x" * 400]
    metrics = evaluate(truth, probabilities, classes, CONFIG).metrics()
    assert len(metrics) == 5 * 3 + 4 * 3
    assert "accuracy_low" in metrics
    assert {"f1_a_b", "f1_a_b_1", "f1_très_bien_"} <= metrics.keys()
    assert max(map(len, metrics)) <= 250


@pytest.mark.parametrize(
    ("truth", "probabilities", "says"),
    [
        ([0, 1, 0], [[0.5, 0.5]] * 2, r"shape \(3,\).*shape \(2, 2\)"),
        ([0, 1], [[1.0]] * 2, "2 classes"),
        ([], np.empty((0, 2)), "at least one row"),
        ([0, 2], [[0.5, 0.5]] * 2, "from 0 to 2"),
        ([0.0, 1.0], [[0.5, 0.5]] * 2, "float64"),
        ([0, 1], [[0.5, 0.5], [np.nan, 0.5]], "not finite in 1 of 2 rows, first in row 1"),
        ([0, 1], [[0.5, 0.5], [2.5, -1.5]], "logits"),
        ([0, 1], [[0.5, 0.5], [0.5, 0.6]], "sums to 1.1"),
    ],
)
def test_what_is_no_prediction_is_refused(truth, probabilities, says):
    with pytest.raises(StageError, match=says):
        evaluate(np.array(truth), np.array(probabilities), names(2), CONFIG)


def test_probabilities_may_be_rounded():
    truth, probabilities = predictions(100, 3)
    rounded = probabilities.astype(np.float16)
    assert evaluate(truth, rounded, names(3), CONFIG).log_loss.value == pytest.approx(
        log_loss(truth, probabilities), rel=1e-2
    )


def test_top_losses_are_sorted_and_say_where():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    frame = top_losses(
        np.array([0, 0, 1]), probabilities, ["a", "b", "c"], ["neg", "pos"], 2, np.array([7, 8, 9])
    )
    expected = pd.DataFrame(
        {
            "row": [8, 9],
            "text": ["b", "c"],
            "label": ["neg", "pos"],
            "predicted": ["pos", "neg"],
            "probability": [0.2, 0.4],
            "loss": -np.log([0.2, 0.4]),
        }
    )
    pd.testing.assert_frame_equal(frame, expected)


def test_top_losses_are_as_many_as_there_are_and_need_a_text_each():
    truth, probabilities = predictions(3, 2)
    frame = top_losses(truth, probabilities, ["a", "b", "c"], names(2), 20)
    assert sorted(frame["row"]) == [0, 1, 2]
    with pytest.raises(StageError, match="2 texts and 3 labels"):
        top_losses(truth, probabilities, ["a", "b"], names(2), 20)


# --- rows with any of the labels


@pytest.mark.parametrize("k", [2, 3, 12])
def test_metrics_of_sets_equal_scikit_learns(k):
    truth, [p] = tagged(np.random.default_rng(k), 500, [1.0], k)
    evidence = evaluate(truth, p, names(k), CONFIG)
    predicted = p >= 0.5
    assert evidence.multilabel
    assert evidence.confusion == ()
    assert evidence.accuracy.value == pytest.approx(accuracy_score(truth, predicted))
    assert evidence.macro_f1.value == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert evidence.roc_auc.value == pytest.approx(roc_auc_score(truth, p, average="macro"))
    losses = [log_loss(own, said) for own, said in zip(truth.T, p.T, strict=True)]
    assert evidence.log_loss.value == pytest.approx(np.mean(losses))
    reference = np.transpose(precision_recall_fscore_support(truth, predicted, zero_division=0))
    scores = [list(score.model_dump().values()) for score in evidence.per_class.values()]
    assert np.allclose(scores, reference)
    for name in ("accuracy", "macro_f1", "log_loss", "roc_auc", "calibration_error"):
        estimate = getattr(evidence, name)
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.high > estimate.low
    assert Evaluation.model_validate_json(evidence.model_dump_json()) == evidence


def test_the_calibration_error_of_sets_is_that_of_their_answers_one_by_one():
    truth, [p] = tagged(np.random.default_rng(1), 400, [1.0])
    answers = np.stack([1 - p.ravel(), p.ravel()], axis=1)
    one_by_one = evaluate(truth.ravel().astype(int), answers, names(2), CONFIG)
    found = evaluate(truth, p, names(3), CONFIG)
    assert found.calibration_error.value == pytest.approx(one_by_one.calibration_error.value)


@pytest.mark.slow
def test_intervals_of_sets_agree_with_resampling_the_rows():
    truth, [p] = tagged(np.random.default_rng(7), 400, [0.8])
    config = EvaluationConfig(bootstrap_samples=2000)
    evidence = evaluate(truth, p, names(3), config)
    rng = np.random.default_rng(9)
    rows = [np.flatnonzero(strata(truth) == stratum) for stratum in np.unique(strata(truth))]
    draws = []
    for _ in range(150):
        drawn = np.concatenate([rng.choice(r, len(r)) for r in rows])
        t, q = truth[drawn], p[drawn]
        draws.append(
            (
                log_loss(t.ravel(), q.ravel()),
                roc_auc_score(t, q, average="macro"),
                f1_score(t, q >= 0.5, average="macro"),
            )
        )
    estimates = (evidence.log_loss, evidence.roc_auc, evidence.macro_f1)
    widths = [estimate.high - estimate.low for estimate in estimates]
    assert widths == pytest.approx(2 * 1.96 * np.std(draws, axis=0), rel=0.2)


def test_labels_that_all_rows_have_or_none_has():
    truth, [p] = tagged(np.random.default_rng(2), 300, [1.0])
    sure, never = np.ones((300, 1), dtype=bool), np.zeros((300, 1), dtype=bool)
    wide = np.hstack([truth, sure, never]), np.hstack([p, sure * 0.9, never + 0.1])
    evidence = evaluate(*wide, names(5), CONFIG)
    narrow = evaluate(truth, p, names(3), CONFIG)
    assert evidence.roc_auc.value == pytest.approx(narrow.roc_auc.value)
    assert evidence.macro_f1.value == pytest.approx((3 * narrow.macro_f1.value + 1) / 4)
    alone = evaluate(sure, sure * 0.9, ["a"], CONFIG)
    assert alone.roc_auc is None


def test_every_row_of_its_own_set_is_enough():
    truth = np.array([[n >> bit & 1 for bit in range(5)] for n in range(32)], dtype=bool)
    evidence = evaluate(truth, np.where(truth, 0.8, 0.3), names(5), CONFIG)
    assert evidence.accuracy.value == 1


@pytest.mark.parametrize(
    ("truth", "probabilities", "says"),
    [
        (np.ones((2, 3), bool), np.full((2, 2), 0.5), r"shape \(2, 3\).*2 classes"),
        (np.ones((2, 2), int), np.full((2, 2), 0.5), "int64 labels of shape"),
        (np.ones((2, 2), bool), np.array([[0.5, 1.5], [0.5, 0.5]]), "no probabilities"),
        (np.ones((2, 2), bool), np.array([[0.5, np.nan], [0.5, 0.5]]), "not finite in 1 of 2"),
    ],
)
def test_what_is_no_prediction_of_sets_is_refused(truth, probabilities, says):
    with pytest.raises(StageError, match=says):
        evaluate(truth, probabilities, names(2), CONFIG)


def test_top_losses_of_sets_are_sets():
    truth = np.array([[1, 0], [0, 0]], dtype=bool)
    frame = top_losses(truth, np.array([[0.9, 0.6], [0.2, 0.1]]), ["a", "b"], ["x", "y"], 2)
    assert frame["label"].tolist() == ["x", "none"]
    assert frame["predicted"].tolist() == ["x|y", "none"]
    assert frame["probability"].tolist() == pytest.approx([0.9 * 0.4, 0.8 * 0.9])
    assert frame["loss"].tolist() == pytest.approx([-np.log(0.36) / 2, -np.log(0.72) / 2])
