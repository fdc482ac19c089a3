"""fastText and logistic regression: ktrain's predictor and what is served answer the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from incumbent.data import datasets
from incumbent.kernels import ktrain_import
from incumbent.predictor import Predictor, padded, word_numbers

pytestmark = pytest.mark.slow

Make = Callable[..., datasets.Dataset]
TEXTS = ["great and loved", "a dull goal in the match", "", "zebra", "great " * 30]


@pytest.mark.parametrize(("model", "rate"), [("logreg", 0.05), ("fasttext", 0.02)])
def test_it_learns_three_classes_and_is_saved_as_it_was_trained(
    prepare: Callable[..., Any], dataset: Make, model: str, rate: float
) -> None:
    said = {"pos": "a great film, loved", "neg": "a dull film, hated", "other": "they won a match"}
    data = dataset(list(said.values()) * 20, list(said) * 20)
    run = prepare(
        data, model=model, learning_rate=rate, epochs=12, batch_size=8, max_length=12,
        validation_fraction=0.1,
    )  # fmt: skip
    trained = run.fit()
    assert trained.metrics["validation_accuracy"] == 1
    served = Predictor().load(run.served)
    found = served.probabilities(TEXTS)
    assert found.argmax(axis=1)[:1].tolist() == [2]
    assert np.allclose(found.sum(axis=1), 1)

    import ktrain

    with ktrain_import.quiet():
        plain = ktrain.load_predictor(str(run.folder)).predict_proba(TEXTS)
    assert np.allclose(found, plain, atol=1e-4)


def test_words_are_numbered_and_padded_as_keras_does() -> None:
    ktrain_import.load()
    from tensorflow.keras.preprocessing.sequence import pad_sequences
    from tensorflow.keras.preprocessing.text import Tokenizer

    texts = ["A great, GREAT\tfilm: unheard-of a", "zebra", "", "don't [a] film\u00a0film"]
    tokenizer = Tokenizer()
    tokenizer.fit_on_texts(["a great film"])
    for length in (2, 7):
        expected = pad_sequences(tokenizer.texts_to_sequences(texts), length)
        found = [padded(word_numbers(text, tokenizer.word_index), length) for text in texts]
        assert np.array_equal(found, expected)
