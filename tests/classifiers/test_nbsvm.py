"""NBSVM: quick, without pretrained weights, and the same text in training and in service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from incumbent.data import datasets
from incumbent.encoders import encoded_texts
from incumbent.kernels import ktrain_import
from incumbent.predictor import Predictor

pytestmark = pytest.mark.slow

Ready = Callable[..., Any]
Make = Callable[..., datasets.Dataset]

PRAISE = ["a great film", "truly great and moving", "i loved it", "loved every great minute"]
BLAME = ["a dull film", "truly dull and long", "i hated it", "hated every dull minute"]
SPORT = ["the match was won", "a goal won the match", "they scored a goal", "the team scored"]


def plain(folder: Any, texts: list[str]) -> Any:
    import ktrain

    with ktrain_import.quiet():
        return ktrain.load_predictor(str(folder)).predict_proba(texts)


def test_it_learns_three_classes(prepare: Ready, dataset: Make) -> None:
    data = dataset((PRAISE + BLAME + SPORT) * 5, np.repeat(["pos", "neg", "other"], 4).tolist() * 5)
    run = prepare(data, model="nbsvm", learning_rate=0.05, epochs=6, batch_size=8)
    trained = run.fit()
    texts = ["great and loved", "a goal in the match", "hated and dull", "", "zebra"]
    served = Predictor().load(run.served)
    assert served.classes == ("neg", "other", "pos")
    probabilities = served.probabilities(texts)
    assert probabilities.shape == (5, 3)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert probabilities[:3].argmax(axis=1).tolist() == [2, 1, 0]
    assert np.allclose(probabilities, plain(run.folder, texts), atol=1e-5)
    assert trained.metrics["validation_accuracy"] == 1


def test_a_text_is_cut_alike_in_training_and_in_service(prepare: Ready, dataset: Make) -> None:
    # Only the words past the eighth differ between the classes.
    start = "one two three four five six seven eight"
    data = dataset([f"{start} {w}" for w in ("good", "bad")] * 20, ["pos", "neg"] * 20)
    run = prepare(data, model="nbsvm", max_length=8, learning_rate=0.05, epochs=3)
    assert set(encoded_texts.load(run.encoded.train)[0]) == {start}
    assert run.encoded.train.lengths.longest == 9
    run.fit()
    served = Predictor().load(run.served)
    good, bad, short = served.probabilities([f"{start} good good", f"{start} bad", start])
    assert np.array_equal(good, bad)
    assert np.array_equal(good, short)
    whole = prepare(data, "whole", model="nbsvm", max_length=9, learning_rate=0.05, epochs=3)
    whole.fit()
    good, bad = Predictor().load(whole.served).probabilities([f"{start} good", f"{start} bad"])
    assert good[1] > 0.6 > 0.4 > bad[1]


def test_a_class_that_is_not_held_out_and_few_rows(prepare: Ready, dataset: Make) -> None:
    data = dataset([*PRAISE, *BLAME, "the match"], ["a"] * 4 + ["b"] * 4 + ["c"])
    run = prepare(data, model="nbsvm", batch_size=64, validation_fraction=0.3)
    trained = run.fit()
    assert (trained.rows, trained.validation_rows, trained.steps) == (7, 2, 1)
    assert Predictor().load(run.served).probabilities(["the match"]).shape == (1, 3)
