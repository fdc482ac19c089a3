"""Which part of a long text is kept: the same in training, in service and by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.data import datasets
from incumbent.encoders import encoded_texts
from incumbent.kernels import ktrain_import
from incumbent.predictor import Predictor

pytestmark = pytest.mark.slow

GOOD = ["wonderful", "great", "moving", "brilliant"]
BAD = ["terrible", "dull", "boring", "awful"]
MIDDLE = "and then there was a long story of people in a house by the sea " * 4
MAX_LENGTH = 32
BUDGET = MAX_LENGTH - 2  # less [CLS] and [SEP]


def long_text(verdict: str) -> str:
    return f"the film opens in a town {MIDDLE}and in the end it is {' '.join([verdict] * 4)}"


@pytest.fixture
def data(dataset: Callable[..., datasets.Dataset]) -> datasets.Dataset:
    """Long texts whose last words alone tell their class."""
    return dataset([long_text(w) for w in GOOD + BAD] * 10, (["pos"] * 4 + ["neg"] * 4) * 10)


@pytest.mark.parametrize(("truncation", "head"), [("tail", 0), ("head_tail", BUDGET // 4)])
def test_the_end_of_a_long_text_decides(
    prepare: Callable[..., Any], data: datasets.Dataset, tiny_bert: Path, truncation: str, head: int
) -> None:
    run = prepare(
        data, weights=str(tiny_bert), truncation=truncation, max_length=MAX_LENGTH,
        learning_rate=1e-2, epochs=8,
    )  # fmt: skip
    words = long_text("wonderful").split()
    short = " ".join([*words[:head], *words[-(BUDGET - head) :]])
    texts, ids, _ = encoded_texts.load(run.encoded.train)
    assert short in texts
    assert {len(row) for row in ids} == {MAX_LENGTH}
    run.fit()
    import ktrain

    served = Predictor().load(run.served)
    good, bad = served.probabilities([long_text("wonderful"), long_text("awful")])[:, 1]
    assert good > 0.8
    assert bad < 0.2
    with ktrain_import.quiet():
        plain = ktrain.load_predictor(str(run.folder))
        expected = plain.predict_proba([short])
        uncut = plain.predict_proba([long_text("wonderful"), long_text("awful")])
    assert np.allclose(served.probabilities([long_text("wonderful")]), expected, atol=1e-5)
    # ktrain alone reads the head, in which the two are the same.
    assert np.allclose(uncut[0], uncut[1], atol=1e-5)
    # A text that fits is read whole.
    with ktrain_import.quiet():
        expected = plain.predict_proba(["it is awful"])
    assert np.allclose(served.probabilities(["it is awful"]), expected, atol=1e-5)


def test_the_head_of_a_long_text_is_all_that_is_read(
    prepare: Callable[..., Any], data: datasets.Dataset, tiny_bert: Path
) -> None:
    run = prepare(data, weights=str(tiny_bert), max_length=MAX_LENGTH)
    run.fit()
    good, bad = (
        Predictor().load(run.served).probabilities([long_text("wonderful"), long_text("awful")])
    )
    assert np.allclose(good, bad, atol=1e-6)
