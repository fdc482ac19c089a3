"""What every consumer may rely on, whatever text it sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pandas.testing import assert_frame_equal

pytestmark = pytest.mark.slow

Positive = Callable[[Sequence[str]], NDArray[np.float64]]

TEXTS = [
    "A masterpiece.",
    "",
    "Dull, " * 3000 + "and long: ten thousand words. " + "Really. " * 7000,
    "最高の映画だ。絶対に見るべき。",
    "🎬🍿😀👨‍👩‍👧‍👦",
    "   \n\t ",
    "Überraschend gut – déjà vu!",
    "<b>bold</b> &amp; [SEP] [PAD] [MASK] \x00 \u200b\ufeff",
    "No.",
    "a" * 50_000,
    "A film of middling length about a family by the sea, with songs.",
]


def test_any_text_has_an_answer(champion: Any) -> None:
    answers = champion.predict([text or "." for text in map(str.strip, TEXTS)])
    assert list(answers.columns) == ["label", "probability_neg", "probability_pos"]
    assert len(answers) == len(TEXTS)
    probabilities = answers[["probability_neg", "probability_pos"]].to_numpy()
    assert np.isfinite(probabilities).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(answers["label"] == "pos", probabilities.argmax(axis=1) == 1)


def test_one_at_a_time_is_as_all_at_once(positive: Positive) -> None:
    alone = [positive([text])[0] for text in TEXTS]
    assert np.allclose(positive(TEXTS), alone, atol=1e-4, equal_nan=True)


def test_the_order_of_the_answers_is_that_of_the_texts(positive: Positive) -> None:
    # More than are predicted together, and sorted by length in between.
    texts = [
        f"{'very ' * (index % 7)}{word}"
        for index in range(50)
        for word in ("good", "dull", "so so")
    ]
    found = positive(texts)
    order = np.random.default_rng(0).permutation(len(texts))
    assert np.ptp(found) > 0.5
    assert np.allclose(positive([texts[row] for row in order]), found[order], atol=1e-4)


def test_a_list_a_series_and_a_frame_are_the_same(champion: Any) -> None:
    texts = ["A masterpiece.", "A dull mess.", None]
    expected = champion.predict(texts)
    for same in (
        pd.Series(texts, name="text"),
        pd.Series(texts, name="Reviews", index=[7, 3, 5]),
        pd.DataFrame({"text": texts}),
        pd.DataFrame({"Reviews": texts}, index=list("xyz")),
    ):
        index = getattr(same, "index", expected.index)
        assert_frame_equal(champion.predict(same), expected.set_axis(index, axis=0))


def test_the_column_of_texts_is_found_by_its_name(champion: Any) -> None:
    texts = ["A masterpiece.", "A dull mess."]
    frame = pd.DataFrame({"Reviews": texts, "row": ["a", "b"]})
    for columns in (["Reviews", "row"], ["row", "Reviews"]):
        assert_frame_equal(champion.predict(frame[columns]), champion.predict(texts))
    with pytest.raises(ValueError, match="no column 'Reviews'"):
        champion.predict(frame.rename(columns={"Reviews": "body"}))


def test_no_texts_have_no_answers(champion: Any) -> None:
    found = champion.predict([])
    assert list(found.columns) == ["label", "probability_neg", "probability_pos"]
    assert len(found) == 0
