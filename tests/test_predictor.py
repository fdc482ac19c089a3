from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incumbent.encoders import pretrained_weights
from incumbent.predictor import Predictor, cut, shortener
from incumbent.tables import table_reader

NO_TOKENIZER = Path("nowhere")


def words_of(text: str) -> list[tuple[int, int, int]]:
    spans, start = [], 0
    for index, word in enumerate(text.split(" ")):
        spans.append((start, start + len(word), index))
        start += len(word) + 1
    return spans


@pytest.mark.parametrize(
    ("head", "tail", "kept"),
    [(3, 0, "a b c"), (0, 3, "d e f"), (1, 2, "a e f"), (3, 3, "a b c d e f")],
)
def test_cut_keeps_the_ends(head: int, tail: int, kept: str) -> None:
    assert cut("a b c d e f", words_of("a b c d e f"), head, tail) == kept


def test_cut_keeps_words_whole() -> None:
    text = "unbelievable film"  # three tokens of one word, then one
    tokens = [(0, 2, 0), (2, 9, 0), (9, 12, 0), (13, 17, 1)]
    assert cut(text, tokens, 0, 2) == "film"
    assert cut(text, tokens, 2, 0) == ""
    assert cut(text, tokens, 3, 0) == "unbelievable"


@given(st.text(max_size=300), st.sampled_from(["head", "tail", "head_tail"]), st.integers(8, 20))
def test_a_text_is_cut_to_its_own_words(text: str, truncation: str, limit: int) -> None:
    (short,) = shortener(NO_TOKENIZER, truncation, limit)([text])
    if len(text.split()) > limit:
        assert len(short.split()) == limit
        whole = text.split()
        head = {"head": limit, "tail": 0, "head_tail": limit // 4}[truncation]
        assert short.split() == whole[:head] + whole[len(whole) - (limit - head) :]
    else:
        assert short == text


@pytest.mark.parametrize("truncation", ["tail", "head_tail"])
def test_what_is_kept_fits_the_model(truncation: str) -> None:
    from tokenizers import Tokenizer

    folder = pretrained_weights.resolve(pretrained_weights.BUNDLED)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    long = "Overlong, unputdownable, quintessentially soporific; " * 40 + "a masterpiece."
    (short,) = shortener(folder, truncation, 64)([long])
    assert len(tokenizer.encode(short).ids) <= 64
    assert short.endswith("a masterpiece.")
    assert short.startswith("Overlong") == (truncation == "head_tail")


@pytest.mark.parametrize(
    "given_input",
    [
        ["one", "two"],
        pd.Series(["one", "two"], name="any name"),
        pd.DataFrame({"id": [1, 2], "text": ["one", "two"]}),
        pd.DataFrame({"id": [1, 2], "Reviews": ["one", "two"]}),
        pd.DataFrame({0: ["one", "two"]}),
    ],
    ids=["list", "series", "text column", "configured column", "first column"],
)
def test_the_input_may_be_a_list_a_series_or_a_frame(given_input: object) -> None:
    predictor = Predictor()
    predictor.text_column = "Reviews"
    assert predictor._texts(given_input) == ["one", "two"]


def test_texts_in_several_columns_are_joined_as_in_training() -> None:
    predictor = Predictor()
    predictor.text_column = ["title", "body"]
    rows = [(" Fine ", "A film.\n"), ("Fine", None), (None, "A film."), ("", " ")]
    rows += [("x", float("nan"))]
    frame = pd.DataFrame(rows, columns=["title", "body"]).assign(id=3)[["id", "body", "title"]]
    expected = ["Fine\n\nA film.", "Fine", "A film.", "", "x"]
    assert predictor._texts(frame) == expected
    assert [table_reader._together(row) for row in rows] == expected
    assert predictor._texts(frame[["body"]].iloc[:1]) == ["A film."]
    assert predictor._texts(pd.DataFrame({"text": ["one"]})) == ["one"]
    assert predictor._texts(["one"]) == ["one"]
    with pytest.raises(TypeError, match="row 0 of the input holds 3"):
        predictor._texts(pd.DataFrame({"title": [3], "body": ["x"]}))


@pytest.mark.parametrize("nothing", [None, float("nan"), 3])
def test_what_is_no_text_is_refused(nothing: object) -> None:
    predictor = Predictor()
    predictor.text_column = "text"
    with pytest.raises(TypeError, match="row 1 of the input is"):
        predictor._texts(["one", nothing])
