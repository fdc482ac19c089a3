"""A loss that is no number ends the training, and leaves nothing that looks finished."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.data import datasets
from incumbent.errors import TrainingDiverged
from incumbent.kernels import ktrain_import
from incumbent.training.callbacks import Progress, step_reporter

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("model", ["transformer", "bert"])
def test_the_error_names_the_learning_rate_and_nothing_is_left(
    prepare: Callable[..., Any], reviews: Callable[[int], datasets.Dataset], broken_bert: Path,
    model: str,
) -> None:  # fmt: skip
    run = prepare(reviews(60), model=model, weights=str(broken_bert), learning_rate=2e-4)
    for _ in range(2):  # the second time too: the first left nothing to be taken for finished
        with pytest.raises(
            TrainingDiverged,
            match=r"loss is nan at step 1 of 4, at a learning rate of 2e-05\. Set training",
        ):
            run.fit()
        assert not run.folder.exists()
        assert not run.folder.with_name("trained.json").exists()


def test_the_finder_says_so_too(
    prepare: Callable[..., Any], reviews: Callable[[int], datasets.Dataset], broken_bert: Path
) -> None:
    run = prepare(
        reviews(60), weights=str(broken_bert), learning_rate="auto", lr_find_steps=50
    )  # fmt: skip
    with pytest.raises(TrainingDiverged, match=r"saw no falling loss in 0 steps; set training"):
        run.fit()
    assert not run.folder.exists()


def test_weights_that_the_last_step_spoiled_are_noticed() -> None:
    ktrain_import.load()
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(1,))])
    optimizer = tf.keras.optimizers.legacy.SGD(1e38)
    model.compile(loss="mse", optimizer=optimizer, metrics=["accuracy"])
    seen: list[Progress] = []
    rows = np.full((8, 1), 100.0), np.zeros((8, 1))
    with pytest.raises(TrainingDiverged, match=r"validation loss is (nan|inf) at step 1 of 1, .*"):
        model.fit(
            *rows, validation_data=rows, batch_size=8, verbose=0,
            callbacks=[step_reporter(1, seen.append)],
        )  # fmt: skip
    assert np.isfinite(seen[0].metrics["train_loss"])


def test_the_same_answer_for_all_held_out_rows_is_warned_of(
    prepare: Callable[..., Any], dataset: Callable[..., datasets.Dataset]
) -> None:
    settings = {"model": "logreg", "epochs": 6, "validation_fraction": 0.25}
    alike = prepare(
        dataset(["a film"] * 100, ["pos"] * 60 + ["neg"] * 40), **settings, learning_rate=0.05
    )
    alike.fit()
    assert alike.said[-1] == (
        "warning: the model answers 'pos' for all 25 held-out rows, though their labels differ: it "
        "may have learned nothing. Give it more rows or training.epochs, a higher "
        "training.learning_rate than 0.05, or another training.model"
    )
    texts = ["a good film", "a bad film"] * 50
    told = prepare(
        dataset(texts, ["pos", "neg"] * 50), "told", **settings, learning_rate=0.05, batch_size=8
    )
    told.fit()
    assert not any("warning" in said for said in told.said)
