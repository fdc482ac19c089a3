"""The head of a frozen encoder: scikit-learn's, whatever the kind of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from incumbent.classifiers.linear_head import STRENGTHS, fit_head, some_rows
from incumbent.predictor import sigmoid, softmax


@pytest.fixture
def vectors() -> Any:
    made = np.random.default_rng(3).normal(size=(120, 6)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 4])
def test_its_probabilities_are_those_of_scikit_learn(vectors: Any, classes: int) -> None:
    truth = (vectors[:, 0] * 4).round().astype(np.int64) % classes
    weights, bias = fit_head(vectors, truth, classes)
    assert (weights.shape, bias.shape) == ((6, classes), (classes,))
    found = softmax(vectors @ weights + bias)
    known = [LogisticRegression(C=c, max_iter=1000).fit(vectors, truth) for c in STRENGTHS]
    assert any(np.allclose(found, model.predict_proba(vectors), atol=1e-3) for model in known)


def test_the_ridge_is_strong_where_vectors_say_nothing_and_weak_where_they_say_all(
    vectors: Any,
) -> None:
    sure = (vectors[:, 0] > 0).astype(np.int64)
    noise = np.random.default_rng(0).integers(0, 2, len(vectors))
    of_sure, of_noise = (
        np.abs(np.subtract(*softmax(np.add(vectors @ w, b)).T)).mean()
        for w, b in (fit_head(vectors, truth, 2) for truth in (sure, noise))
    )
    assert of_sure > 0.9
    assert of_noise < 0.2


@pytest.mark.parametrize(
    "truth", [np.zeros(6, np.int64), np.arange(6), np.array([0, 0, 0, 0, 0, 4]), np.eye(6) > 0]
)
def test_few_rows_and_classes_of_one_row_are_enough(vectors: Any, truth: Any) -> None:
    weights, bias = fit_head(vectors[:6], truth, 6)
    assert np.isfinite(weights).all()
    assert np.isfinite(bias).all()
    assert (weights.shape, bias.shape) == ((6, 6), (6,))


def test_longer_vectors_make_no_difference(vectors: Any) -> None:
    truth = (vectors[:, 0] > 0).astype(np.int64)
    short, long = fit_head(vectors, truth, 2), fit_head(7 * vectors, truth, 2)
    assert np.allclose(
        softmax(vectors @ short[0] + short[1]), softmax(7 * vectors @ long[0] + long[1]), atol=1e-3
    )


def test_a_rare_label_is_rare_and_one_that_no_row_has_rarer(vectors: Any) -> None:
    truth = np.zeros((120, 4), bool)
    truth[:, 0] = vectors[:, 0] > 0
    truth[:3, 1] = truth[:, 3] = True
    p = sigmoid(np.array([fit_head(vectors, truth, 4)[1]]))[0]
    weights, bias = fit_head(vectors, truth, 4)
    own = sigmoid(vectors @ weights + bias)
    assert ((own[:, 0] > 0.5) == truth[:, 0]).mean() > 0.9
    assert own[:, 1].mean() == pytest.approx(3 / 120, abs=0.01)
    assert 0 < p[2] < 0.01 < 0.99 < p[3] < 1


def test_of_many_rows_some_are_taken_and_no_class_is_left_out() -> None:
    truth = np.zeros(30_000, np.int64)
    truth[29_999] = 1
    taken = some_rows(truth, 30_000, seed=0)
    assert 10_000 <= len(taken) <= 10_002
    assert truth[taken].sum() == 1
    sets = np.zeros((50, 2), bool)
    sets[:49, 0] = sets[7, 1] = True
    taken = some_rows(sets, 3, seed=0)
    assert len(taken) <= 7
    assert sets[taken].any(axis=0).all()
    assert not sets[taken].all(axis=0).any()
