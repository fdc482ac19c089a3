"""DistilBERT goes the way of every transformer, and only DistilBERT goes by its name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.data import datasets
from incumbent.errors import ConfigError
from incumbent.kernels import ktrain_import
from incumbent.predictor import Predictor

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["model.safetensors", "tf_model.h5"])
def tiny_distilbert(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bundled: Path
) -> Path:
    """A DistilBERT of 2 small layers, in either format that TensorFlow reads."""
    ktrain_import.load()
    from transformers import DistilBertConfig, DistilBertTokenizerFast, TFDistilBertModel

    folder = tmp_path_factory.mktemp("tiny-distilbert")
    words = (bundled / "vocab.txt").read_text("utf-8").splitlines()[:5000]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    DistilBertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    with ktrain_import.quiet():
        model = TFDistilBertModel(
            DistilBertConfig(vocab_size=5000, dim=32, n_layers=2, n_heads=2, hidden_dim=64)
        )
        model(model.dummy_inputs)
        model.save_pretrained(folder, safe_serialization=request.param == "model.safetensors")
    assert (folder / request.param).is_file()
    return folder


def test_it_is_trained_saved_and_served(
    prepare: Callable[..., Any], reviews: Callable[[int], datasets.Dataset], tiny_distilbert: Path
) -> None:
    run = prepare(reviews(60), model="distilbert", weights=str(tiny_distilbert))
    trained = run.fit()
    assert trained.steps == 4
    texts = ["A masterpiece.", "A dull mess, " * 40, ""]
    import ktrain

    with ktrain_import.quiet():
        predictor = ktrain.load_predictor(str(run.folder))
        plain = predictor.predict_proba(texts)
    assert type(predictor.model).__name__ == "TFDistilBertForSequenceClassification"
    assert np.allclose(Predictor().load(run.served).probabilities(texts), plain, atol=1e-5)


def test_another_model_is_refused_by_its_name(
    prepare: Callable[..., Any], reviews: Callable[[int], datasets.Dataset], tiny_bert: Path
) -> None:
    with pytest.raises(ConfigError, match=r"a 'bert' model, and training.model is distilbert"):
        prepare(reviews(60), model="distilbert", weights=str(tiny_bert))


def test_without_a_network_a_hub_name_is_a_clear_error(tmp_path: Path) -> None:
    code = (
        "from incumbent.encoders import pretrained_weights\n"
        "pretrained_weights.resolve(pretrained_weights.default('bundled', 'distilbert'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], timeout=120, capture_output=True, text=True, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
    )  # fmt: skip
    last = done.stderr.strip().splitlines()[-1]
    assert "ConfigError: training.weights: 'distilbert-base-uncased' is no folder here" in last
    assert "name a local folder or 'bundled'" in last
