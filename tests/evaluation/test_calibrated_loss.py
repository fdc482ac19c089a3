"""Losses by which a model is compared for what it knows, whatever its confidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from incumbent.evaluation.calibrated_loss import DOUBT, calibrated_losses
from incumbent.evaluation.scored_rows import Scored
from tests.evaluation.cases import drawn, sure

SHARPER = pytest.mark.parametrize("sharpness", [0.2, 1.0, 3.0])


def model(n: int = 500, k: int = 2, seed: int = 0) -> Scored:
    truth, [probabilities] = drawn(np.random.default_rng(seed), n, [1.5], k)
    return Scored(truth, probabilities)


def tagged(n: int = 400, labels: int = 5) -> Scored:
    rng = np.random.default_rng(1)
    truth = rng.random((n, labels)) < 0.3
    logits = 1.5 * rng.normal(size=truth.shape) + 1.5 * truth - 1
    return Scored(truth, 1 / (1 + np.exp(-logits)))


def sharpened(scored: Scored, sharpness: float) -> Scored:
    """The same model with its log odds multiplied."""
    p = scored.probabilities
    if scored.truth.ndim == 2:
        own, other = p**sharpness, (1 - p) ** sharpness
        return Scored(scored.truth, own / (own + other))
    own = p**sharpness
    return Scored(scored.truth, own / own.sum(axis=1, keepdims=True))


@SHARPER
@pytest.mark.parametrize("scored", [model(), model(k=7), tagged()], ids=["2", "7", "labels"])
def test_how_loudly_a_model_says_what_it_knows_costs_nothing(
    scored: Scored, sharpness: float
) -> None:
    other = sharpened(scored, sharpness)
    assert calibrated_losses(other) == pytest.approx(calibrated_losses(scored), abs=2e-3)
    assert calibrated_losses(other).mean() == pytest.approx(
        calibrated_losses(scored).mean(), abs=1e-6
    )
    if sharpness == 3:
        assert other.loss.mean() > 1.05 * scored.loss.mean()  # uncalibrated it does cost


def test_a_well_calibrated_model_costs_about_its_log_loss() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, 20_000)
    scored = Scored((rng.random(20_000) < p).astype(int), np.stack([1 - p, p], axis=1))
    assert calibrated_losses(scored).mean() == pytest.approx(scored.loss.mean(), abs=0.005)


def test_what_is_known_is_told_apart() -> None:
    truth, (better, worse) = drawn(np.random.default_rng(0), 5000, [2.0, 1.0])
    gain = calibrated_losses(Scored(truth, worse)) - calibrated_losses(Scored(truth, better))
    assert gain.mean() > 0.1


@pytest.mark.parametrize("k", [2, 7])
@SHARPER
def test_labels_are_left_as_they_are(k: int, sharpness: float) -> None:
    # A row costs less than an even guess between two if its class is likelier than all others
    # together, and no more than a guess among k if its class is the likeliest.
    scored = sharpened(model(k=k), sharpness)
    losses = calibrated_losses(scored)
    assert (losses[scored.right] <= np.log(k) + 1e-9).all()
    assert (losses[~scored.right] >= np.log(2) - 1e-9).all()
    assert scored.right.any()
    assert not scored.right.all()


@pytest.mark.parametrize("k", [2, 3, 50])
def test_no_row_costs_more_than_the_doubt_allows(k: int) -> None:
    truth = np.arange(1000) % k
    right = np.arange(1000) != 7
    losses = calibrated_losses(Scored(truth, sure(truth, right, 1.0, k)))
    assert losses[7] == pytest.approx(np.log(k / DOUBT))
    assert losses.max() <= np.log(k / DOUBT) + 1e-9
    # Of the rest none costs less than the doubt itself.
    assert losses.min() == pytest.approx(-np.log(1 - DOUBT + DOUBT / k))


@pytest.mark.parametrize("accuracy", [0.5, 0.6, 0.75, 0.9, 0.99])
@pytest.mark.parametrize("confidence", [1.0, 1 - 1e-9, 0.51])
def test_a_model_of_one_confidence_costs_what_its_accuracy_says(
    accuracy: float, confidence: float
) -> None:
    truth = np.arange(1000) % 2
    right = np.arange(1000) < 1000 * accuracy
    mean = calibrated_losses(Scored(truth, sure(truth, right, confidence))).mean()
    # The best there is: the odds of being right, as far as the doubt lets them be told.
    told = min(accuracy, 1 - DOUBT / 2)
    best = -accuracy * np.log(told) - (1 - accuracy) * np.log(1 - told)
    assert mean == pytest.approx(best, abs=1e-5)


def test_probabilities_of_0_and_1_of_many_labels() -> None:
    truth = np.random.default_rng(0).random((300, 4)) < 0.4
    always_right = Scored(truth, truth.astype(float))
    assert calibrated_losses(always_right) == pytest.approx(np.full(300, -np.log(0.99)))
    always_wrong = Scored(truth, 1.0 - truth)
    assert calibrated_losses(always_wrong) == pytest.approx(np.full(300, np.log(2)), abs=1e-2)


def test_of_several_labels_a_row_costs_the_mean() -> None:
    scored = tagged(labels=3)
    columns = Scored(
        scored.truth.ravel().astype(int),
        np.stack([1 - scored.probabilities.ravel(), scored.probabilities.ravel()], axis=1),
    )
    expected = calibrated_losses(columns).reshape(-1, 3).mean(axis=1)
    assert calibrated_losses(scored) == pytest.approx(expected)


def guessing(n: int, seed: int) -> NDArray[np.float64]:
    logits = np.random.default_rng(seed).normal(0, 50, (n, 3))
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


@given(st.integers(30, 300), st.integers(0, 1000))
def test_a_model_that_guesses_at_the_top_of_its_voice_costs_what_a_guess_does(
    n: int, seed: int
) -> None:
    truth = np.random.default_rng(seed + 5000).integers(0, 3, n)
    mean = calibrated_losses(Scored(truth, guessing(n, seed))).mean()
    assert mean <= np.log(3) + 1e-3


def test_a_class_that_a_model_does_not_know_is_bounded_too() -> None:
    truth, [known] = drawn(np.random.default_rng(0), 600, [2.0], 3)
    lacking = np.column_stack([known[:, :2] / known[:, :2].sum(axis=1, keepdims=True), 0 * truth])
    losses = calibrated_losses(Scored(truth, lacking))
    assert np.isfinite(losses).all()
    assert losses[truth == 2].min() > losses[truth != 2].mean()
    assert losses.max() <= np.log(3 / DOUBT)
