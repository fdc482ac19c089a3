from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from incumbent.encoders import pretrained_weights
from incumbent.predictor import Predictor, cut, given_texts, shortener
from incumbent.tables import table_reader
from tests import small_models

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


ONE_TWO = [
    ["one", "two"],
    ("one", "two"),
    np.array(["one", "two"]),
    np.array([["one"], ["two"]], dtype=object),
    pd.Series(["one", "two"], name="any name"),
    pd.Series(["one", "two"], dtype="category"),
    pd.Series(["one", "two"], dtype="string[pyarrow]"),
    pa.array(["one", "two"]),
    pa.chunked_array([["one"], ["two"]]),
    list(pa.array(["one", "two"])),
    {"Reviews": ["one", "two"]},
    {"id": [1, 2], "Reviews": np.array(["one", "two"])},
    [{"Reviews": "one", "id": 1}, {"id": 2, "Reviews": "two"}],
    pa.table({"id": [1, 2], "Reviews": ["one", "two"]}),
    pd.DataFrame({"id": ["1", "2"], "Reviews": ["one", "two"], "note": ["", ""]}),
    pd.DataFrame({"id": ["1", "2"], "text": ["one", "two"]}),
    pd.DataFrame({"text": ["", ""], "Reviews": ["one", "two"]}),
    pd.DataFrame({"id": ["1", "2"], " reviews": ["one", "two"]}),
    pd.DataFrame({0: ["one", "two"]}),
    pd.DataFrame({"anything": ["one", "two"]}),
]


@pytest.mark.parametrize("given_input", ONE_TWO, ids=lambda given: type(given).__name__)
def test_texts_are_found_in_whatever_holds_them(given_input: object) -> None:
    assert given_texts(given_input, "Reviews")[0] == ["one", "two"]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({"id": ["a"], "body": ["b"]}, "no column 'Reviews' in the input, which has 'id', 'body'"),
        ({"reviews": ["a"], "REVIEWS": ["b"]}, "several columns could be the texts: 'reviews'"),
        ({"Text": ["a"], "reviews": ["b"]}, "several columns could be the texts: 'Text', 'reviews"),
    ],
)
def test_what_has_no_column_of_texts_is_refused(frame: dict[str, list[str]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        given_texts(frame, "Reviews")
    with pytest.raises(ValueError, match=said):
        given_texts(pd.DataFrame(frame), "Reviews")


def test_texts_in_several_columns_are_joined_as_in_training() -> None:
    columns = ["title", "body"]
    rows = [(" Fine ", "A film.\n"), ("Fine", None), (None, "A film."), ("", " ")]
    rows += [("x", float("nan"))]
    frame = pd.DataFrame(rows, columns=columns).assign(id=3)[["id", "body", "title"]]
    expected = ["Fine\n\nA film.", "Fine", "A film.", None, "x"]
    assert given_texts(frame, columns)[0] == expected
    assert [table_reader._together(row) or None for row in rows] == expected
    assert given_texts(frame[["body"]].iloc[:1], columns)[0] == ["A film."]
    assert given_texts(pd.DataFrame({"text": ["one"]}), columns)[0] == ["one"]
    assert given_texts(["one"], columns)[0] == ["one"]
    with pytest.raises(TypeError, match="row 0 of the input is 3"):
        given_texts(pd.DataFrame({"title": [3], "body": ["x"]}), columns)
    with pytest.raises(ValueError, match="no column 'title' in the input"):
        given_texts(pd.DataFrame({"id": ["3"], "note": ["x"]}), columns)


def test_a_column_that_is_there_twice_is_refused() -> None:
    frame = pd.DataFrame([["a", "b"]], columns=["Reviews", "Reviews"])
    with pytest.raises(ValueError, match="several columns could be the texts"):
        given_texts(frame, "Reviews")


def test_an_array_of_several_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        given_texts(np.array([["a", "b"]]), "Reviews")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = small_models.write(tmp_path_factory.mktemp("small") / "predictor")
    return Predictor().load(folder)


def test_answers_carry_the_index_of_the_input(small: Predictor) -> None:
    frame = pd.DataFrame({"lang": list("efe"), "Reviews": ["good", "?", "bad"]}, index=[7, 3, 5])
    english = frame[frame["lang"] == "e"].copy()
    english["pred"] = small.predict(None, english[["Reviews"]])["label"]
    assert english["pred"].to_dict() == {7: "pos", 5: "neg"}
    by_name = small.predict(None, frame["Reviews"].set_axis(list("xyz")))
    assert list(by_name.index) == list("xyz")


@pytest.mark.parametrize("nothing", [None, float("nan"), pd.NA, pd.NaT, "", "  \n\t"])
def test_a_row_without_text_has_an_empty_answer(small: Predictor, nothing: object) -> None:
    answers = small.predict(None, ["good", nothing, "bad"])
    alone = small.predict(None, ["good", "bad"])
    assert answers["label"].tolist() == ["pos", None, "neg"]
    assert answers.iloc[1, 1:].isna().all()
    assert_frame_equal(answers.iloc[[0, 2]].reset_index(drop=True), alone)
    assert small.predict(None, pd.Series([nothing, nothing]))["label"].tolist() == [None, None]


@pytest.mark.parametrize(
    "nothing", [[], (), {}, np.array([]), pd.DataFrame(), pd.DataFrame({"id": []}), pd.Series([])],
    ids=lambda given: type(given).__name__,
)  # fmt: skip
def test_no_rows_in_no_rows_out(small: Predictor, nothing: object) -> None:
    answers = small.predict(None, nothing)
    assert list(answers.columns) == ["label", "probability_neg", "probability_pos"]
    assert len(answers) == 0


def test_who_asks_is_told_the_version(small: Predictor, tmp_path: Path) -> None:
    asked = {"version": True}
    unknown = small.predict(None, ["good"], asked)
    assert unknown[["model_name", "version"]].to_numpy().tolist() == [[None, None]]
    folder = small_models.write(tmp_path / "artifacts" / "predictor")
    (tmp_path / "registered_model_meta").write_text("model_name: reviews\nmodel_version: '3'\n")
    loaded = Predictor()
    loaded.load_context(SimpleNamespace(artifacts={"predictor": str(folder)}, model_config=None))
    told = loaded.predict(None, ["good", None], asked)
    assert told[["model_name", "version"]].to_numpy().tolist() == [["reviews", 3]] * 2
    assert "version" not in loaded.predict(None, ["good"], {"version": False})


@pytest.mark.parametrize("wrong", [3, 2.5, b"one", ["one"]])
def test_what_is_no_text_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="row 1 of the input is"):
        given_texts(["one", wrong], "text")


@pytest.mark.parametrize("wrong", [3, b"one", None])
def test_what_holds_no_rows_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="was given; texts are expected"):
        given_texts(wrong, "text")
