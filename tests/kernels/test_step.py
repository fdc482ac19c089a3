"""The training step: what it leaves out changes neither the loss nor the gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.classifiers.classifier_base import Rows
from incumbent.data import datasets
from incumbent.encoders import encoded_texts
from incumbent.kernels import ktrain_import

pytestmark = pytest.mark.slow

Ready = Callable[..., Any]


@pytest.fixture(scope="module")
def embedded(reviews: Callable[[int], datasets.Dataset]) -> datasets.Dataset:
    return reviews(200)


@pytest.fixture
def plain_and_lean(tiny_bert: Path) -> tuple[Any, Any]:
    """The same weights in transformers' own network and in ours."""
    ktrain_import.load()
    import tensorflow as tf
    from transformers import TFBertForSequenceClassification

    from incumbent.kernels.layer_replacement import lean

    models = []
    for change in (lambda _: None, lean):
        tf.keras.utils.set_random_seed(3)
        model = TFBertForSequenceClassification.from_pretrained(str(tiny_bert))
        change(model)
        models.append(model)
    return models[0], models[1]


def loss_and_gradients(
    model: Any, loss: Any, inputs: Any, targets: Any, training: bool = False
) -> tuple[float, Any]:
    """Dropout, if any, differs from call to call; sparse gradients as (weights,) arrays."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = loss(targets, model(inputs, training=training).logits)
    gradients = tape.gradient(value, model.trainable_variables)
    return float(value), [np.array(tf.convert_to_tensor(g)) for g in gradients]


def same(one: tuple[float, Any], two: tuple[float, Any]) -> None:
    assert one[0] == pytest.approx(two[0], abs=1e-5)
    assert len(one[1]) == len(two[1]) > 10
    for a, b in zip(one[1], two[1], strict=True):
        assert np.allclose(a, b, atol=1e-5)


def test_padding_to_the_longest_row_changes_neither_loss_nor_gradients(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path
) -> None:
    import tensorflow as tf

    run = prepare(embedded, weights=str(tiny_bert), max_length=64)
    rows = Rows(*encoded_texts.load(run.encoded.train))
    few = rows.take(np.argsort([len(row) for row in rows.ids])[:16])
    with ktrain_import.quiet():
        built = run.classifier.build(few, few)
        inputs, targets = next(iter(built.train.to_tfdataset(train=False)))
        padding = [[0, 0], [0, 64 - inputs["input_ids"].shape[1]]]
        padded = {name: tf.pad(values, padding) for name, values in inputs.items()}
        short, whole = (
            loss_and_gradients(built.model, built.loss, x, targets) for x in (inputs, padded)
        )
    same(short, whole)


def test_the_lean_network_has_the_loss_and_gradients_of_transformers_own(
    plain_and_lean: tuple[Any, Any],
) -> None:
    import tensorflow as tf

    tokens = tf.constant(np.random.default_rng(0).integers(1000, 20000, (4, 24)), tf.int32)
    mask = tf.constant([[1] * 24, [1] * 9 + [0] * 15, [1] * 16 + [0] * 8, [1] * 2 + [0] * 22])
    inputs = {"input_ids": tokens, "attention_mask": mask}
    targets = tf.one_hot([0, 1, 1, 0], 2)
    loss = tf.keras.losses.CategoricalCrossentropy(from_logits=True)
    one, two = (loss_and_gradients(model, loss, inputs, targets) for model in plain_and_lean)
    same(one, two)


def test_gelu_is_tensorflows_own() -> None:
    ktrain_import.load()
    import tensorflow as tf

    from incumbent.kernels.gelu_and_layer_norm import gelu

    inputs = tf.Variable(tf.linspace(-8.0, 8.0, 4001))
    results = []
    for function in (gelu, lambda x: tf.nn.gelu(x, approximate=False)):
        with tf.GradientTape() as tape:
            outputs = function(inputs)
        results.append((outputs.numpy(), tape.gradient(outputs, inputs).numpy()))
    assert np.allclose(results[0], results[1], atol=2e-6)


def test_normalization_is_kerass_own() -> None:
    ktrain_import.load()
    import tensorflow as tf

    from incumbent.kernels.gelu_and_layer_norm import normalize

    random = np.random.default_rng(0)
    inputs, upstream = (tf.constant(random.normal(size=(3, 7, 16)), tf.float32) for _ in range(2))
    layer = tf.keras.layers.LayerNormalization(epsilon=1e-12)
    layer(inputs)
    for weight in (layer.gamma, layer.beta):
        weight.assign(random.normal(size=16))
    results = []
    for function in (partial(normalize, layer), layer):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = function(inputs)
        sources = inputs, layer.gamma, layer.beta
        results.append([outputs, *tape.gradient(outputs, sources, upstream)])
    for ours, theirs in zip(*results, strict=True):
        assert np.allclose(ours, theirs, atol=1e-5)


def test_lazy_adam_moves_the_rows_of_the_batch_as_adam_does_and_no_others() -> None:
    ktrain_import.load()
    import tensorflow as tf

    from incumbent.kernels.lazy_adam import LazyAdam

    start = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    after = []
    for optimizer in (LazyAdam(0.01), tf.keras.optimizers.legacy.Adam(0.01)):
        table, dense = tf.Variable(start), tf.Variable(start[0])
        with tf.GradientTape() as tape:
            read = tf.gather(table, [2, 7, 2])
            loss = tf.reduce_sum(tf.square(read)) + tf.reduce_sum(tf.square(dense))
        gradients = tape.gradient(loss, [table, dense])
        assert isinstance(gradients[0], tf.IndexedSlices)
        optimizer.apply_gradients(zip(gradients, [table, dense], strict=True))
        after.append((table.numpy(), dense.numpy(), optimizer.get_slot(table, "v").numpy()))
    (lazy, lazy_dense, moments), (adam, adam_dense, _) = after
    touched = [2, 7]
    others = [row for row in range(10) if row not in touched]
    assert np.allclose(lazy[touched], adam[touched], atol=1e-6)
    assert np.allclose(lazy_dense, adam_dense, atol=1e-7)
    assert np.array_equal(lazy[others], start[others])
    assert not moments[others].any()


def test_rows_that_a_batch_does_not_read_stand_still() -> None:
    """Adam itself moves them on, by the momentum of the step before."""
    ktrain_import.load()
    import tensorflow as tf

    from incumbent.kernels.lazy_adam import LazyAdam

    moved = []
    for optimizer in (LazyAdam(0.01), tf.keras.optimizers.legacy.Adam(0.01)):
        table = tf.Variable(tf.ones((3, 2)))
        for rows in ([0], [1]):
            slices = tf.IndexedSlices(tf.ones((1, 2)), tf.constant(rows), tf.constant([3, 2]))
            before = table.numpy()
            optimizer.apply_gradients([(slices, table)])
        moved.append(before[0, 0] - table.numpy()[0, 0])
    assert moved[0] == 0
    assert moved[1] > 0.001


def test_word_embeddings_get_sparse_gradients(plain_and_lean: tuple[Any, Any]) -> None:
    import tensorflow as tf

    model = plain_and_lean[1]
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(model({"input_ids": tf.constant([[101, 2000, 102]])}).logits)
    gradient = tape.gradient(value, model.bert.embeddings.weight)
    assert isinstance(gradient, tf.IndexedSlices)


def test_in_training_too_it_has_the_loss_and_gradients_of_transformers_own(tiny_bert: Path) -> None:
    ktrain_import.load()
    import tensorflow as tf
    from transformers import TFBertForSequenceClassification

    from incumbent.kernels.layer_replacement import lean

    tokens = tf.constant(np.random.default_rng(0).integers(1000, 20000, (3, 20)), tf.int32)
    mask = tf.constant([[1] * 20, [1] * 9 + [0] * 11, [1] * 2 + [0] * 18])
    inputs = {"input_ids": tokens, "attention_mask": mask}
    loss = tf.keras.losses.CategoricalCrossentropy(from_logits=True)
    found = []
    for change in (lambda _: None, lean):
        tf.keras.utils.set_random_seed(3)
        model = TFBertForSequenceClassification.from_pretrained(
            str(tiny_bert), hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        )
        change(model)
        found.append(
            loss_and_gradients(model, loss, inputs, tf.one_hot([0, 1, 1], 2), training=True)
        )
    same(*found)


@pytest.mark.parametrize("block", [1, 200, 1 << 18])
def test_attention_by_blocks_has_the_values_and_gradients_of_the_formula(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ktrain_import.load()
    import tensorflow as tf

    from incumbent.kernels import attention, dropout

    monkeypatch.setattr(attention, "_BLOCK", block)
    random = np.random.default_rng(0)
    # The last layer has fewer queries than keys.
    queries, keys, values, upstream = (
        tf.constant(random.normal(size=(3, 4, n, 8)), tf.float32) for n in (5, 7, 7, 5)
    )
    mask = tf.constant(np.where(random.random((3, 1, 1, 7)) < 0.3, -1e9, 0), tf.float32)
    chances = tf.constant(random.integers(0, 256, (3, 4, 5, 7)), tf.uint8)
    monkeypatch.setattr(dropout, "draw", lambda *_: chances)

    def formula(q: Any, k: Any, v: Any) -> Any:
        weights = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) / np.sqrt(8) + mask)
        kept = tf.cast(chances >= 64, tf.float32) / 0.75
        return tf.matmul(weights * kept, v)

    results = []
    for function in (lambda *given: attention.attend(*given, mask, 0.25, None), formula):
        with tf.GradientTape() as tape:
            tape.watch([queries, keys, values])
            read = function(queries, keys, values)
        gradients = tape.gradient(read, [queries, keys, values], output_gradients=upstream)
        results.append([read, *gradients])
    for ours, theirs in zip(*results, strict=True):
        assert np.allclose(ours, theirs, atol=1e-5)


def test_dropout_drops_its_share_scales_the_rest_and_turns_back_the_same_gradients() -> None:
    ktrain_import.load()
    import tensorflow as tf

    from incumbent.kernels.dropout import drop

    inputs = tf.ones((500, 401))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        first = drop(inputs, 0.1, (5, 6))
    gradient = tape.gradient(first, inputs)
    second = drop(inputs, 0.1, (7, 8))
    share = 26 / 256
    assert float(tf.reduce_mean(tf.cast(first == 0, tf.float32))) == pytest.approx(share, abs=0.003)
    assert float(tf.reduce_max(first)) == pytest.approx(1 / (1 - share))
    assert np.array_equal(first, gradient)
    together = float(tf.reduce_mean(tf.cast((first == 0) & (second == 0), tf.float32)))
    assert together == pytest.approx(share**2, abs=0.003)  # each seed draws anew
    assert np.array_equal(first, drop(inputs, 0.1, (5, 6)))


def test_each_random_layer_draws_anew_each_step_and_again_when_it_is_put_back(
    tiny_bert: Path,
) -> None:
    ktrain_import.load()
    import tensorflow as tf
    from transformers import TFBertForSequenceClassification

    from incumbent.kernels.layer_replacement import lean
    from incumbent.training import random_state

    tokens = tf.constant([[101, 2000, 2001, 102]])
    answers = []
    for _ in range(2):
        model = TFBertForSequenceClassification.from_pretrained(str(tiny_bert))
        lean(model)
        head = model.classifier.weights[0]
        head.assign(tf.reshape(tf.linspace(-1.0, 1.0, tf.size(head)), head.shape))
        random_state.seed(model, 3)
        before = random_state.states(model)
        draws = [model(tokens, training=True).logits.numpy() for _ in range(2)]
        random_state.restore(model, before)
        draws.append(model(tokens, training=True).logits.numpy())
        answers.append(draws)
        assert len({state.tobytes() for state in before}) == len(before) > 4
        assert np.array_equal(draws[0], draws[2])
        assert not np.allclose(draws[0], draws[1])
    assert np.allclose(answers[0], answers[1])
