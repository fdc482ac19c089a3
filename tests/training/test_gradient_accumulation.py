"""A batch in parts is as the whole one, and memory that runs out leads to parts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.classifiers.classifier_base import Rows
from incumbent.data import datasets
from incumbent.encoders import encoded_texts
from incumbent.kernels import ktrain_import
from incumbent.runtime.child_processes import Ahead
from incumbent.training import trainer_client

pytestmark = pytest.mark.slow

Ready = Callable[..., Any]


@pytest.fixture(scope="module")
def embedded(reviews: Callable[[int], datasets.Dataset]) -> datasets.Dataset:
    return reviews(200)


@pytest.fixture(scope="module")
def no_dropout(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """The small BERT, which computes the same each time."""
    folder = tmp_path_factory.mktemp("no-dropout")
    shutil.copytree(tiny_bert, folder, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({}, 3),  # 7 rows: 3, 3, 1; and the last batch 6 rows: 2, 2, 2
        ({"freeze_embeddings": True}, 7),
        ({}, 4),  # 7 rows: 2, 2, 2, 1; 6 rows: 2, 2, 2 and none
        ({"model": "bert", "learning_rate": 1e-3}, 2),
        ({"model": "nbsvm"}, 3),
    ],
    ids=["sparse", "dense", "none left", "bert", "nbsvm"],
)
def test_parts_have_the_updates_and_metrics_of_whole_batches(
    prepare: Ready, embedded: datasets.Dataset, no_dropout: Path,
    settings: dict[str, Any], parts: int,
) -> None:  # fmt: skip
    """By plain gradient descent: Adam makes whole steps of differences that are noise."""
    ktrain_import.load()
    import tensorflow as tf

    from incumbent.training.gradient_accumulation import in_parts

    def stream(data: Any) -> Any:
        if hasattr(data, "to_tfdataset"):
            return data.to_tfdataset(train=True)
        inputs, targets = data
        inputs = tuple(inputs) if isinstance(inputs, list) else inputs
        return tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(7).repeat()

    run = prepare(embedded, weights=str(no_dropout), batch_size=7, max_length=64, **settings)
    rows = Rows(*encoded_texts.load(run.encoded.train)).take(np.arange(20))
    results = []
    for count in (1, parts):
        tf.keras.utils.set_random_seed(1)
        with ktrain_import.quiet():
            built = run.classifier.build(rows, rows)
            model = built.model
            for layer in model.submodules:  # keras_bert's dropout is not the checkpoint's to say
                if type(layer) is tf.keras.layers.Dropout:
                    layer.rate = 0.0
            model.compile(
                loss=built.loss, optimizer=tf.keras.optimizers.legacy.SGD(0.1),
                metrics=[built.accuracy],
            )  # fmt: skip
            before = model.get_weights()
            with in_parts(model, count):
                history = model.fit(
                    stream(built.train), steps_per_epoch=3, epochs=2, verbose=0
                ).history
        results.append((model.get_weights(), history))
    (whole, its), (pieces, theirs) = results
    assert any(
        not np.allclose(one, other, atol=1e-3) for one, other in zip(before, whole, strict=True)
    )
    for one, other in zip(whole, pieces, strict=True):
        assert np.allclose(one, other, atol=1e-5)
    assert theirs["loss"] == pytest.approx(its["loss"], abs=1e-5)
    assert theirs["accuracy"] == pytest.approx(its["accuracy"], abs=1e-6)


def test_memory_that_runs_out_ends_in_the_same_steps_and_nearly_the_same_loss(
    prepare: Ready, embedded: datasets.Dataset, no_dropout: Path,
    warmed: None, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    settings = {
        "weights": str(no_dropout), "batch_size": 19, "learning_rate": 1e-3, "max_length": 8,
        "checkpoint_minutes": 0, "epochs": 2,
    }  # fmt: skip
    whole = prepare(embedded, "whole", **settings)
    whole.fit()
    short = prepare(embedded, "short", **settings)
    monkeypatch.setattr(
        trainer_client, "_processes", Ahead("tests.training.exhausting", talks=True)
    )
    monkeypatch.setenv("MOST_ROWS", "10")
    monkeypatch.setenv("AFTER_STEPS", "5")
    trained = trainer_client.fit(
        short.classifier, short.encoded, short.folder, "Reviews", short.serving,
        short.progress.append, short.said.append,
    )  # fmt: skip
    (told,) = (line for line in short.said if "no memory" in line)
    assert told.startswith("There is no memory for 19 rows of up to 8 tokens at once (")
    assert "OOM when allocating tensor" in told
    assert told.endswith("Going on with each batch in 2 parts, one after the other.")
    assert "resuming at step 5 of 20" in short.said
    assert (trained.parts, whole.trained.parts) == (2, 1)
    assert trained.steps == whole.trained.steps == 20
    assert trained.metrics == pytest.approx(whole.trained.metrics, abs=0.01)
    assert not short.folder.with_name("checkpoints").exists()
