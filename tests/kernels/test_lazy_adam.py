"""Learning rates by layer: each variable moves as far as its depth lets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.classifiers.classifier_base import Rows
from incumbent.data import datasets
from incumbent.encoders import encoded_texts
from incumbent.kernels import ktrain_import
from tests.trainings import LAYERS

pytestmark = pytest.mark.slow

DECAY = 0.5


@pytest.fixture(scope="module")
def network(tiny_bert: Path) -> Any:
    """The small BERT, and a gradient for each of its variables; that of the words is sparse."""
    ktrain_import.load()
    import tensorflow as tf
    from transformers import TFBertForSequenceClassification

    model = TFBertForSequenceClassification.from_pretrained(str(tiny_bert))
    gradients = []
    for index, variable in enumerate(model.trainable_variables):
        if "word_embeddings" in variable.name:
            values = tf.random.stateless_normal([2, variable.shape[1]], [0, index])
            gradients.append(tf.IndexedSlices(values, [2143, 2307], variable.shape))
        else:
            gradients.append(tf.random.stateless_normal(variable.shape, [0, index]))
    assert sum(isinstance(gradient, tf.IndexedSlices) for gradient in gradients) == 1
    return model, gradients


def moved(network: Any, rate: float, **settings: Any) -> dict[str, np.ndarray[Any, Any]]:
    """How far two steps move each variable, by its name; they are put back after."""
    from incumbent.kernels.lazy_adam import LazyAdam

    model, gradients = network
    variables = model.trainable_variables
    before = [variable.numpy() for variable in variables]
    optimizer = LazyAdam(**settings)
    optimizer.lr = rate  # as ktrain's schedules set it
    for _ in range(2):
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
    far = {v.name: v.numpy() - old for v, old in zip(variables, before, strict=True)}
    for variable, old in zip(variables, before, strict=True):
        variable.assign(old)
    return far


def test_weight_decay_takes_its_share_of_the_matrices_alone(network: Any) -> None:
    rate, decay = 0.01, 0.5
    before = {v.name: v.numpy() for v in network[0].trainable_variables}
    plain, decayed = moved(network, rate), moved(network, rate, weight_decay=decay)
    left = 1 - rate * decay
    matrices = [name for name in plain if name.endswith("/kernel:0")]
    assert len(matrices) > LAYERS
    for name in plain:
        if name not in matrices:
            assert np.array_equal(decayed[name], plain[name]), name
            continue
        # Of an unchanging gradient Adam's first steps are alike, unless it is as small as epsilon.
        expected = (left**2 - 1) * before[name] + (left + 1) * plain[name] / 2
        assert np.isclose(decayed[name], expected, atol=1e-6).mean() > 0.99, name


def depth(name: str) -> int:
    """How many layers down from the head."""
    if "embeddings" in name:
        return LAYERS + 1
    return next((LAYERS - i for i in range(LAYERS) if f"layer_._{i}/" in name), 0)


def test_each_variable_moves_as_its_depth_says(network: Any) -> None:
    plain = moved(network, 1e-2)
    decayed = moved(network, 1e-2, layer_decay=DECAY, layers=LAYERS)
    assert {depth(name) for name in plain} == {0, 1, 2, 3}
    for name, far in plain.items():
        assert np.abs(far).max() > 1e-3
        assert np.allclose(decayed[name], far * DECAY ** depth(name), atol=1e-6), name


def test_a_schedule_still_sets_the_rate(network: Any) -> None:
    slow = moved(network, 1e-3, layer_decay=DECAY, layers=LAYERS)
    quick = moved(network, 1e-2, layer_decay=DECAY, layers=LAYERS)
    for name, far in quick.items():
        assert np.allclose(10 * slow[name], far, atol=1e-5), name


def test_the_config_reaches_the_optimizer(
    prepare: Callable[..., Any], reviews: Callable[[int], datasets.Dataset], tiny_bert: Path
) -> None:
    run = prepare(reviews(60), weights=str(tiny_bert), layer_decay=0.9)
    rows = Rows(*encoded_texts.load(run.encoded.train))
    optimizer = run.classifier.build(rows, rows).optimizer()
    assert (optimizer._layer_decay, optimizer._layers) == (0.9, LAYERS)
