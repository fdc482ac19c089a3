"""Texts with none, one or several labels: every route learns them and is saved as trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from incumbent.classifiers.classifier_base import Rows
from incumbent.config import WITHOUT_WEIGHTS
from incumbent.data import datasets
from incumbent.encoders import encoded_texts
from incumbent.kernels import ktrain_import
from incumbent.predictor import Predictor

pytestmark = pytest.mark.slow

SAID = {"late": "it came late", "rude": "the man was rude", "wet": "the box was wet"}
NAMES = tuple(SAID)
TEXTS = ["the box was wet, it came late", "the man was rude", "all is well"]


@pytest.fixture(scope="module")
def remarks(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    """Remarks that say what their labels are, in any order."""
    random = np.random.default_rng(0)
    rows = []
    for _ in range(160):
        has = random.random(3) < 0.4
        said = [SAID[name] for name, own in zip(NAMES, has, strict=True) if own] or ["all is well"]
        label = "|".join(name for name, own in zip(NAMES, has, strict=True) if own) or "none"
        rows.append((", ".join(random.permutation(said)), label))
    frame = pd.DataFrame(rows, columns=["text", "label"]).assign(row=1, found="text", control=False)
    folder = tmp_path_factory.mktemp("remarks")
    return datasets.save([frame], [frame], ("train", "test"), folder, NAMES)


@pytest.mark.parametrize(
    "model", ["transformer", "bert", "features", "nbsvm", "logreg", "fasttext"]
)
def test_it_learns_labels_and_is_saved_as_it_was_trained(
    prepare: Callable[..., Any], remarks: datasets.Dataset, tiny_bert: Path, model: str
) -> None:
    rates = {"transformer": 2e-3, "bert": 1e-2, "features": 1e-2, "fasttext": 0.02}
    rate = rates.get(model, 0.05)
    epochs = {"nbsvm": 8, "logreg": 8, "fasttext": 24}.get(model, 2)
    weights = {} if model in WITHOUT_WEIGHTS else {"weights": str(tiny_bert)}
    run = prepare(
        remarks, model=model, learning_rate=rate, epochs=epochs, validation_fraction=0.2, **weights
    )
    metrics = run.fit().metrics
    assert run.reported("train_loss")[-1] < run.reported("train_loss")[0]
    served = Predictor().load(run.served)
    assert served.multilabel
    assert served.classes == NAMES

    # What Keras said of the held-out rows, and what the saved predictor says of them.
    rows = Rows(*encoded_texts.load(run.encoded.train))
    held = rows.take(encoded_texts.hold_out(rows.labels, 0.2, run.classifier.training.seed)[1])
    p = served.probabilities(held.texts)
    losses = -np.log(np.where(held.labels, p, 1 - p))
    right = ((p >= 0.5) == held.labels).all(axis=1)
    assert metrics["validation_loss"] == pytest.approx(losses.mean(), abs=1e-3)
    assert metrics["validation_accuracy"] == pytest.approx(right.mean(), abs=1e-3)

    import ktrain

    with ktrain_import.quiet():
        plain = ktrain.load_predictor(str(run.folder))
        assert np.allclose(plain.predict_proba(TEXTS), served.probabilities(TEXTS), atol=1e-5)
        named = plain.predict(TEXTS)
    assert [name for name, _ in named[0]] == list(NAMES)
    answers = served.predict(None, TEXTS)
    assert list(answers.columns) == ["label", *(f"probability_{name}" for name in NAMES)]
    sums = answers.drop(columns="label").sum(axis=1)
    assert not np.allclose(sums, 1, atol=0.05)
    if model in WITHOUT_WEIGHTS:
        assert answers["label"].tolist() == ["late|wet", "rude", "none"]
        assert metrics["validation_accuracy"] > 0.9
