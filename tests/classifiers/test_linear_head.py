"""The head of a frozen encoder: scikit-learn's, whatever the kind of labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from incumbent.classifiers.linear_head import C, fit_head, some_rows
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
    known = LogisticRegression(C=C, max_iter=1000).fit(vectors, truth)
    assert np.allclose(softmax(vectors @ weights + bias), known.predict_proba(vectors), atol=1e-3)


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
