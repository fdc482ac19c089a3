"""The learning rate: found within its bound, and moved as the schedule says."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.classifiers.classifier_base import Rows
from incumbent.data import datasets
from incumbent.encoders import encoded_texts
from incumbent.kernels import ktrain_import
from incumbent.predictor import Predictor
from incumbent.training import callbacks, learning_rate_finder

pytestmark = pytest.mark.slow

Ready = Callable[..., Any]
RATE = 1e-3
STEPS = 12  # of an epoch: 190 rows in batches of 16


@pytest.fixture(scope="module")
def embedded(reviews: Callable[[int], datasets.Dataset]) -> datasets.Dataset:
    return reviews(200)


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every step reported."""
    monkeypatch.setattr(callbacks, "_REPORT_EVERY", 0.0)


@pytest.mark.parametrize(
    ("model", "batch_size", "steps"),
    [
        ("transformer", 8, 20),  # less than an epoch
        ("transformer", 512, 30),  # a batch larger than the data
        ("bert", 16, 30),  # more than two epochs
        ("nbsvm", 8, 20),
        ("nbsvm", 16, 50),
        ("nbsvm", 512, 30),
    ],
)
def test_the_finder_keeps_to_its_bound_and_leaves_the_weights(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path,
    model: str, batch_size: int, steps: int,
) -> None:  # fmt: skip
    run = prepare(embedded, model=model, weights=str(tiny_bert), batch_size=batch_size)
    rows = Rows(*encoded_texts.load(run.encoded.train))
    with ktrain_import.quiet(), ktrain_import.scratch():
        import tensorflow as tf

        tf.keras.utils.set_random_seed(0)
        built = run.classifier.build(rows, rows)
        optimizer = tf.keras.optimizers.legacy.Adam()
        built.model.compile(loss=built.loss, optimizer=optimizer, metrics=["accuracy"])
        before = built.model.get_weights()
        found = learning_rate_finder.find(built.model, built.train, batch_size, steps)
        after = built.model.get_weights()
    assert len(found.rates) == len(found.losses) <= steps
    assert len(found.rates) > steps / 2
    assert all(np.array_equal(one, two) for one, two in zip(before, after, strict=True))
    assert found.rates[0] == pytest.approx(1e-7)
    assert all(a < b for a, b in pairwise(found.rates))
    assert found.chosen in found.rates
    assert 1e-7 < found.chosen < 10


def test_the_rate_found_is_the_rate_used(
    prepare: Ready, dataset: Callable[..., datasets.Dataset], tiny_bert: Path, every_step: None
) -> None:
    data = dataset(["a great film"] * 100 + ["a dull film"] * 100, ["pos"] * 100 + ["neg"] * 100)
    run = prepare(data, weights=str(tiny_bert), learning_rate="auto", lr_find_steps=50)
    trained = run.fit()
    assert trained.plot == run.folder.parent / "learning_rates.png"
    assert trained.plot.read_bytes().startswith(b"\x89PNG")
    assert f"learning rate {trained.learning_rate:.2g}, found in" in run.said[1]
    assert int(run.said[1].split()[-2]) <= 50
    assert max(run.reported("learning_rate")) == pytest.approx(trained.learning_rate, rel=0.01)
    assert trained.steps == STEPS


def test_onecycle_rises_once_and_falls(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, every_step: None
) -> None:
    run = prepare(embedded, weights=str(tiny_bert), learning_rate=RATE, epochs=2)
    run.train()
    rates = run.reported("learning_rate")
    assert len(rates) == 2 * STEPS
    top = int(np.argmax(rates))
    assert top == STEPS
    assert all(a < b for a, b in pairwise(rates[: top + 1]))
    assert all(a > b for a, b in pairwise(rates[top:]))
    assert rates[0] == pytest.approx(RATE / 10)
    assert rates[top] == pytest.approx(RATE)
    assert rates[-1] < RATE / 10


def test_triangular_rises_in_every_epoch(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, every_step: None
) -> None:
    run = prepare(
        embedded, weights=str(tiny_bert), learning_rate=RATE, epochs=3, schedule="triangular",
        early_stopping=3,
    )  # fmt: skip
    run.train()
    rates = np.array(run.reported("learning_rate")).reshape(3, STEPS)
    assert np.allclose(rates, rates[0], rtol=1e-3)
    assert rates[0].argmax() == STEPS // 2
    assert rates[0].max() == pytest.approx(RATE)
    assert rates[0, 0] == pytest.approx(RATE / 10)


def test_sgdr_restarts_with_every_epoch(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, every_step: None
) -> None:
    run = prepare(
        embedded, weights=str(tiny_bert), learning_rate=RATE, epochs=3, schedule="sgdr"
    )  # fmt: skip
    run.train()
    rates = np.array(run.reported("learning_rate")).reshape(3, STEPS)
    assert rates[0, 0] == pytest.approx(RATE)
    assert all(a > b for a, b in pairwise(rates[0]))
    assert rates[0, -1] < 0.1 * RATE
    assert np.allclose(rates[:, 1:], rates[0, 1:], rtol=1e-3)
    # In ktrain the first step of a cycle is still taken at the last rate of the one before.
    assert rates[1:, 0] == pytest.approx(1e-9)


def test_sgdr_cycles_grow(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, every_step: None
) -> None:
    run = prepare(
        embedded, weights=str(tiny_bert), learning_rate=RATE, epochs=6, schedule="sgdr",
        cycle_epochs=2, cycle_growth=2,
    )  # fmt: skip
    run.train()
    rates = np.array(run.reported("learning_rate"))
    assert len(rates) == 6 * STEPS
    for start, epochs in ((0, 2), (2, 4)):  # half a cosine each (Loshchilov and Hutter 2017, eq. 5)
        cycle = rates[start * STEPS : (start + epochs) * STEPS]
        at = np.arange(1, len(cycle)) / len(cycle)
        assert cycle[1:] == pytest.approx(RATE * (1 + np.cos(np.pi * at)) / 2, rel=1e-3, abs=1e-8)


def test_constant_is_constant(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, every_step: None
) -> None:
    run = prepare(
        embedded, weights=str(tiny_bert), learning_rate=RATE, epochs=2, schedule="constant"
    )  # fmt: skip
    run.train()
    assert run.reported("learning_rate") == pytest.approx([RATE] * 2 * STEPS)


def test_linear_rises_through_the_warm_up_and_falls_to_the_end(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, every_step: None
) -> None:
    run = prepare(
        embedded, weights=str(tiny_bert), learning_rate=RATE, epochs=2, schedule="linear",
        warmup=0.25,
    )  # fmt: skip
    run.train()
    rising = np.arange(1, 7) / 6  # 6 of 24 steps
    falling = np.arange(18, 0, -1) / 18
    expected = RATE * np.concatenate([rising, falling])
    assert run.reported("learning_rate") == pytest.approx(expected, rel=1e-4)


def test_plateau_halves_the_rate_after_each_epoch_that_is_no_better(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path, every_step: None
) -> None:
    run = prepare(
        embedded, weights=str(tiny_bert), learning_rate=0.03, epochs=6, schedule="plateau",
        validation_fraction=0.3,
    )  # fmt: skip
    run.train()
    rates = np.array(run.reported("learning_rate")).reshape(6, -1)
    losses = run.reported("validation_loss")
    expected, rate, best = [], 0.03, np.inf
    for loss in losses:
        expected.append(rate)
        rate, best = (rate, loss) if loss < best else (rate / 2, best)
    assert np.allclose(rates, np.array(expected)[:, None])
    assert rates[-1, 0] < 0.03  # at this rate, losses rise


def test_the_best_epoch_is_kept(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path
) -> None:
    run = prepare(
        embedded, weights=str(tiny_bert), learning_rate=0.03, epochs=6, schedule="constant",
        keep="best", validation_fraction=0.3,
    )  # fmt: skip
    trained = run.fit()
    losses = run.reported("validation_loss")
    assert len(losses) == 6
    assert trained.metrics["validation_loss"] == min(losses) < losses[-1]
    assert _validation_loss(run) == pytest.approx(min(losses), abs=1e-3)


def test_long_gradients_are_shortened(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path
) -> None:
    plain, clipped = (
        prepare(embedded, name, weights=str(tiny_bert), learning_rate=RATE, clip_norm=most)
        for name, most in (("plain", None), ("clipped", 1e-12))
    )
    plain.train()
    clipped.train()
    # Adam divides by the gradient's size, but for the 1e-7 that it adds, which is far larger now.
    first, last = (run.reported("train_loss") for run in (plain, clipped))
    assert last[0] == pytest.approx(first[0], abs=1e-5)
    assert clipped.reported("validation_loss") != plain.reported("validation_loss")


def test_early_stopping_stops_and_keeps_the_best_weights(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path
) -> None:
    run = prepare(
        embedded, weights=str(tiny_bert), learning_rate=0.03, epochs=20, schedule="triangular",
        early_stopping=1, validation_fraction=0.3,
    )  # fmt: skip
    trained = run.fit()
    losses = run.reported("validation_loss")
    assert 1 < len(losses) < 20
    assert losses[-1] >= losses[-2] == min(losses)
    assert trained.steps == run.progress[-1].step == len(losses) * 9
    assert run.progress[-1].total == 20 * 9
    assert trained.metrics["validation_loss"] == min(losses)
    assert _validation_loss(run) == pytest.approx(min(losses), abs=1e-3)


def _validation_loss(run: Any) -> float:
    """The loss of what is served, on the rows that were held out."""
    texts, _, labels = encoded_texts.load(run.encoded.train)
    _, held_out = encoded_texts.hold_out(labels, 0.3, run.classifier.training.seed)
    found = Predictor().load(run.served).probabilities([texts[row] for row in held_out])
    return float(-np.log(found[np.arange(len(held_out)), labels[held_out]]).mean())
