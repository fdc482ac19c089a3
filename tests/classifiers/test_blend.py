"""A transformer and an NBSVM in one: what is served is the average of the two, in log-odds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from incumbent.classifiers.blend import fit_weight
from incumbent.classifiers.classifier_base import Rows
from incumbent.data import datasets
from incumbent.data.label_arrays import names_of
from incumbent.encoders import encoded_texts
from incumbent.evaluation.nbsvm_baseline import NBSVM
from incumbent.evaluation.scored_predictions import Scored
from incumbent.kernels import ktrain_import
from incumbent.predictor import SETTINGS, Predictor

Ready = Callable[..., Any]

PRAISE = ["a great film", "truly great and moving", "i loved it", "loved every great minute"]
BLAME = ["a dull film", "truly dull and long", "i hated it", "hated every dull minute"]
SPORT = ["the match was won", "a goal won the match", "they scored a goal", "the team scored"]
TEXTS = ["a great goal", "Dull, dull! It isn't great", "", "zebra", "loved " * 60 + "hated it"]


def noisy(truth: np.ndarray[Any, Any], k: int, noise: float, seed: int) -> np.ndarray[Any, Any]:
    """Logits (n, k) that tell the truth as far as their noise lets them, calibrated."""
    evidence = np.eye(k)[truth] if truth.ndim == 1 else truth - 0.5
    seen = evidence + np.random.default_rng(seed).normal(0, noise, evidence.shape)
    return (seen / noise**2).astype(np.float32)


@pytest.fixture(params=["two classes", "many classes", "labels"])
def truth(request: pytest.FixtureRequest) -> tuple[np.ndarray[Any, Any], int]:
    random = np.random.default_rng(0)
    if request.param == "labels":
        return random.random((2000, 3)) < 0.4, 3
    k = 2 if request.param == "two classes" else 12
    return random.integers(0, k, 2000), k


def test_a_useless_part_weighs_nothing(truth: tuple[np.ndarray[Any, Any], int]) -> None:
    true, k = truth
    useful = noisy(true, k, 0.7, seed=1)
    useless = np.random.default_rng(2).normal(0, 3, (2000, k)).astype(np.float32)
    assert fit_weight(useful, useless, true) >= 0.95
    assert fit_weight(useless, useful, true) <= 0.05


def test_the_better_part_weighs_more_and_loudness_does_not_count(
    truth: tuple[np.ndarray[Any, Any], int],
) -> None:
    # Calibrated evidence from two sources that err independently adds up: both weigh the same.
    true, k = truth
    one, other = noisy(true, k, 0.7, seed=1), noisy(true, k, 0.7, seed=2)
    assert fit_weight(one, other, true) == pytest.approx(0.5, abs=0.1)
    # Three times too loud, it wants a third of the weight: 1/4 against 3/4.
    assert fit_weight(3 * one, other, true) == pytest.approx(0.25, abs=0.05)
    assert fit_weight(one, one, true) == 0.5  # it makes no difference


def sets(rows: int) -> tuple[list[str], list[str]]:
    """Remarks that name their labels."""
    random = np.random.default_rng(0)
    said = {"late": "it came late", "rude": "the man was rude", "wet": "the box was wet"}
    texts, labels = [], []
    for _ in range(rows):
        has = [name for name in said if random.random() < 0.4]
        texts.append(", ".join(said[name] for name in has) or "all is well")
        labels.append("|".join(has) or "none")
    return texts, labels


def data_of(kind: str, folder: Path) -> datasets.Dataset:
    names: tuple[str, ...] = ()
    if kind == "labels":
        texts, labels = sets(120)
        names = ("late", "rude", "wet")
    else:
        groups = [PRAISE, BLAME, SPORT] if kind == "many classes" else [PRAISE, BLAME]
        texts = [text for group in groups for text in group] * 10
        labels = np.repeat(["pos", "neg", "sport"][: len(groups)], 4).tolist() * 10
    frame = pd.DataFrame({"text": texts, "label": labels}).assign(
        row=1, found="text", control=False
    )
    return datasets.save([frame], [frame], ("train", "test"), folder, names)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["two classes", "many classes", "labels"])
def test_what_is_served_is_the_average_of_its_parts(
    prepare: Ready, tiny_bert: Path, tmp_path: Path, kind: str
) -> None:
    data = data_of(kind, tmp_path / "datasets")
    run = prepare(
        data, model="blend", weights=str(tiny_bert), truncation="head_tail", max_length=32,
        learning_rate=1e-2, epochs=2, validation_fraction=0.2,
    )  # fmt: skip
    trained = run.fit()
    weight = trained.metrics["blend_weight"]
    assert run.reported("blend_weight") == [weight]
    assert json.loads((run.served / SETTINGS).read_text("utf-8"))["blend_weight"] == weight
    served = Predictor().load(run.served)
    assert served.classes == data.classes

    # ktrain's own answer of the saved transformer, to a text cut by hand, and the baseline's.
    import ktrain

    with ktrain_import.quiet():
        transformer = ktrain.load_predictor(str(run.folder))
        cut = [*TEXTS[:4], " ".join(["loved"] * 30)]
        cut[4] = " ".join([*["loved"] * 28, "hated it"])
        one = np.log(np.asarray(transformer.predict_proba(cut), dtype=np.float64))
    rows = Rows(*encoded_texts.load(run.encoded.train))
    training, held = encoded_texts.hold_out(rows.labels, 0.2, run.classifier.training.seed)
    texts, labels = rows.take(training).texts, names_of(rows.labels[training], data.classes)
    nbsvm = NBSVM().fit(texts, labels, 1, data.classes if kind == "labels" else ())
    other = np.log(nbsvm.predict_proba(TEXTS))

    # One weight in the middle, whichever was fitted, so that both parts show.
    for w in (weight, 0.4):
        put_weight(run.served, w)
        said = Predictor().load(run.served).probabilities(TEXTS)
        assert np.allclose(said, by_hand(one, other, w, kind == "labels"), atol=1e-4)

    # What was told of it holds for what is served.
    put_weight(run.served, weight)
    held_rows = rows.take(held)
    scored = Scored(held_rows.labels, Predictor().load(run.served).probabilities(held_rows.texts))
    assert trained.metrics["blend_validation_accuracy"] == scored.right.mean()


def put_weight(folder: Path, weight: float) -> None:
    settings = json.loads((folder / SETTINGS).read_text("utf-8"))
    (folder / SETTINGS).write_text(json.dumps(settings | {"blend_weight": weight}), "utf-8")


def by_hand(one: Any, other: Any, weight: float, multilabel: bool) -> Any:
    """The average of the log-odds of two models, from their log-probabilities."""
    if multilabel:
        odds = [log_p - np.log1p(-np.exp(log_p)) for log_p in (one, other)]
        return 1 / (1 + np.exp(-(weight * odds[0] + (1 - weight) * odds[1])))
    mixed = np.exp(weight * one + (1 - weight) * other)
    return mixed / mixed.sum(axis=1, keepdims=True)
