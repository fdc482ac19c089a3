"""How much the rows of each class count: the weights, the losses, and what training makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight

from incumbent.classifiers import choice, class_weights
from incumbent.classifiers.linear_head import STRENGTHS, fit_head
from incumbent.config import TrainingConfig
from incumbent.config_mistakes import mistakes
from incumbent.data import datasets
from incumbent.errors import ConfigError
from incumbent.evaluation.nbsvm_baseline import NBSVM
from incumbent.predictor import Predictor, softmax

CLASSES = ("billing", "late", "rude")
TRUTH = np.repeat([0, 1, 2], [70, 20, 10])


def config(weights: Any) -> TrainingConfig:
    return TrainingConfig.model_validate({"class_weights": weights})


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    found = class_weights.of(config("balanced"), CLASSES, TRUTH)
    known = compute_class_weight("balanced", classes=np.unique(TRUTH), y=TRUTH)
    assert found == pytest.approx(known)
    assert class_weights.of_rows(found, TRUTH).mean() == pytest.approx(1)
    some = TRUTH[TRUTH < 2]  # a class without rows has no part in it
    found = class_weights.of(config("balanced"), CLASSES, some)
    known = compute_class_weight("balanced", classes=np.unique(some), y=some)
    assert found == pytest.approx([*known, 1])


def test_balanced_weights_of_a_label_are_the_ratio_of_scikit_learns() -> None:
    has = np.zeros((40, 3), bool)
    has[:4, 0] = has[:, 2] = True
    found = class_weights.of(config("balanced"), CLASSES, has)
    lacking, having = compute_class_weight("balanced", classes=np.array([0, 1]), y=has[:, 0] * 1)
    assert found == pytest.approx([having / lacking, 1, 1])  # that none has, and that all have
    rows = class_weights.of_rows(found, has)
    assert rows[has[:, 0], 0].sum() == pytest.approx(rows[~has[:, 0], 0].sum())


def test_given_weights_name_labels_however_they_are_spelled() -> None:
    assert class_weights.of(config({"rude": 5}), CLASSES, TRUTH) == pytest.approx([1, 1, 5])
    assert config({1: 2, False: 3}).class_weights == {"1": 2.0, "False": 3.0}  # as YAML has them
    found = class_weights.of(config({1: 2, False: 3}), ("1.0", "FALSE", "x"), TRUTH)
    assert found == pytest.approx([2, 3, 1])
    assert class_weights.of(config("none"), CLASSES, TRUTH) is None


def test_weights_of_labels_that_there_are_none_of(dataset: Callable[..., Any]) -> None:
    data = dataset(["a", "b", "c"], list(CLASSES))
    with pytest.raises(ConfigError, match=r"class_weights names 'biling'.*did you mean 'billing'"):
        choice.chosen(config({"biling": 2}), data)
    with pytest.raises(ConfigError, match="labels are 'billing', 'late', 'rude'"):
        choice.chosen(config({"xyz": 2}), data)
    assert choice.chosen(config({"rude": 2}), data)[0].class_weights == {"rude": 2}


@pytest.mark.parametrize("given", [{"rude": 0}, {"rude": -1}, "even", 3])
def test_what_are_no_weights(given: Any) -> None:
    (line,) = mistakes({"training": {"class_weights": given}})
    assert line.startswith("training.class_weights: ")


def test_a_head_is_that_of_scikit_learn_with_the_same_weights() -> None:
    generator = np.random.default_rng(3)
    vectors = generator.normal(size=(100, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    weights = class_weights.of(config("balanced"), CLASSES, TRUTH)
    of_words, bias = fit_head(vectors, TRUTH, 3, weights)
    found = softmax(vectors @ of_words + bias)
    known = [
        LogisticRegression(C=c, max_iter=1000, class_weight="balanced").fit(vectors, TRUTH)
        for c in STRENGTHS
    ]
    assert any(np.allclose(found, model.predict_proba(vectors), atol=1e-3) for model in known)
    plain = fit_head(vectors, TRUTH, 3)
    assert np.allclose(plain[0], fit_head(vectors, TRUTH, 3, np.ones(3, np.float32))[0])


SAID = ["where is my money", "it never came", "the man was unkind"]
TEXTS = [SAID[label] if row % 2 else "hello there" for row, label in enumerate(TRUTH)]


@pytest.mark.parametrize("sets", [(), CLASSES])
def test_an_nbsvm_with_weights_thinks_more_of_a_rare_class(sets: tuple[str, ...]) -> None:
    labels = [CLASSES[label] for label in TRUTH]
    plain = NBSVM().fit(TEXTS, labels, 0, sets)
    weighed = NBSVM().fit(TEXTS, labels, 0, sets, {"rude": 7})
    same = NBSVM().fit(TEXTS, labels, 0, sets, dict.fromkeys(CLASSES, 1.0))
    ask = ["hello there"]
    assert weighed.predict_proba(ask)[0, 2] > 2 * plain.predict_proba(ask)[0, 2]
    assert np.array_equal(same.predict_proba(ask), plain.predict_proba(ask))


@pytest.mark.slow
@pytest.mark.parametrize("logits", [False, True])
def test_the_losses_are_what_their_formulas_say(logits: bool) -> None:
    import tensorflow as tf

    from incumbent.classifiers.losses import cross_entropy, weighted

    generator = np.random.default_rng(0)
    said = generator.normal(size=(6, 3)).astype(np.float32)
    weights = np.array([0.5, 1, 4], np.float32)
    truth = np.eye(3, dtype=np.float32)[[0, 1, 2, 2, 1, 0]]
    p = softmax(said)
    expected = (-np.log((truth * p).sum(axis=1)) * (truth @ weights)).mean()
    name = cross_entropy(False) if logits else "categorical_crossentropy"
    loss = weighted(weights, name, multilabel=False)
    assert loss.name == "categorical_crossentropy"  # by which ktrain tells classifiers
    assert float(loss(truth, said if logits else p)) == pytest.approx(expected, rel=1e-4)

    has = (generator.random((6, 3)) < 0.5).astype(np.float32)
    q = 1 / (1 + np.exp(-said))
    expected = -(has * weights * np.log(q) + (1 - has) * np.log(1 - q)).mean()
    name = cross_entropy(True) if logits else "binary_crossentropy"
    loss = weighted(weights, name, multilabel=True)
    assert loss.name == "binary_crossentropy"
    assert float(loss(has, said if logits else q)) == pytest.approx(expected, rel=1e-4)
    ones = weighted(np.ones(3, np.float32), name, multilabel=True)
    plain = cross_entropy(True) if logits else tf.keras.losses.BinaryCrossentropy()
    given = tf.constant(said if logits else q)
    assert float(ones(has, given)) == pytest.approx(float(plain(has, given)), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["transformer", "features", "logreg"])
def test_every_model_thinks_more_of_a_rare_class(
    prepare: Callable[..., Any], dataset: Callable[..., datasets.Dataset], tiny_bert: Any,
    model: str,
) -> None:  # fmt: skip
    """Half of the texts say nothing: there the answer is how common a class is."""
    data = dataset(TEXTS, [CLASSES[label] for label in TRUTH])
    needs = (
        {"learning_rate": 0.1, "epochs": 6} if model == "logreg"
        else {"learning_rate": 0.01, "epochs": 3, "weights": str(tiny_bert)}
    )  # fmt: skip
    found = {}
    for weights in ("none", "balanced"):
        run = prepare(
            data, weights, model=model, class_weights=weights, validation_fraction=0.1, **needs,
        )  # fmt: skip
        run.fit()
        found[weights] = Predictor().load(run.served).probabilities(["hello there"])[0]
    assert found["balanced"][2] > 1.5 * found["none"][2]
    assert found["balanced"][0] < found["none"][0]

    import ktrain

    from incumbent.kernels import ktrain_import

    with ktrain_import.quiet():  # plain ktrain knows no loss of ours
        plain = ktrain.load_predictor(str(run.folder))
        said = plain.predict_proba(["hello there"])[0]
    assert np.allclose(said, found["balanced"], atol=1e-4)
