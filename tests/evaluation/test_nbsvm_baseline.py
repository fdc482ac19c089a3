import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incumbent.data import embedded_reviews
from incumbent.errors import StageError
from incumbent.evaluation.nbsvm_baseline import NBSVM
from incumbent.predictor import Linear, Nbsvm, sigmoid, softmax

PRAISE = ["a great film", "truly great, and moving", "i loved it", "loved every great minute"]
BLAME = ["a dull film", "truly dull, and long", "i hated it", "hated every dull minute"]
SPORT = ["the match was won", "a goal won the match", "they scored a goal", "the team scored"]


def binary():
    return NBSVM().fit(PRAISE + BLAME, ["pos"] * 4 + ["neg"] * 4, seed=0)


def test_two_classes():
    model = binary()
    probabilities = model.predict_proba(["great and loved", "dull and hated", "zebra"])
    assert model.classes_ == ("neg", "pos")
    assert probabilities.shape == (3, 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert probabilities[0, 1] > 0.6
    assert probabilities[1, 0] > 0.6
    assert probabilities[2] == pytest.approx([0.5, 0.5], abs=0.1)


def test_more_classes_are_each_told_from_the_rest():
    labels = np.repeat(["praise", "blame", "sport"], 4)
    model = NBSVM().fit(PRAISE + BLAME + SPORT, labels, seed=0)
    probabilities = model.predict_proba(["scored in the match", "loved it, great", "hated, dull"])
    assert model.classes_ == ("blame", "praise", "sport")
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert probabilities.argmax(axis=1).tolist() == [2, 1, 0]


def test_negation_is_one_word():
    texts = ["it isn't good", "isn't good at all", "it is good", "good it is"]
    model = NBSVM().fit(texts, ["neg", "neg", "pos", "pos"], seed=0)
    assert model.predict_proba(["isn't"])[0, 0] > 0.5


def test_the_same_seed_gives_the_same_model():
    texts = ["great film", "dull film", "quite great"]
    assert np.array_equal(binary().predict_proba(texts), binary().predict_proba(texts))


def test_texts_without_a_repeated_word_are_enough():
    model = NBSVM().fit(["wonderful", "terrible"], ["pos", "neg"], seed=0)
    assert model.predict_proba(["terrible"])[0, 0] > 0.5


def test_one_class_is_refused():
    with pytest.raises(StageError, match=r"1 class \['pos'\]"):
        NBSVM().fit(PRAISE, ["pos"] * 4, seed=0)


def test_texts_without_words_are_refused():
    with pytest.raises(StageError, match="not one word in the 2"):
        NBSVM().fit(["...", "!?"], ["neg", "pos"], seed=0)


@pytest.mark.slow
def test_it_is_a_strong_baseline_on_the_embedded_reviews(tmp_path):
    train, test = (
        pd.read_excel(path, engine="calamine", dtype=str, keep_default_na=False)
        for path in embedded_reviews.write(tmp_path)
    )
    text, label = train.columns
    model = NBSVM().fit(train[text].tolist(), train[label].tolist(), seed=0)
    predicted = model.predict_proba(test[text].tolist()).argmax(axis=1)
    assert np.mean(np.take(model.classes_, predicted) == test[label]) >= 0.775


def test_labels_of_which_a_row_may_have_any():
    texts = [*PRAISE, *BLAME, *[f"{a}; {b}" for a, b in zip(PRAISE, SPORT, strict=True)]]
    labels = ["praise"] * 4 + ["none"] * 4 + ["praise|sport"] * 4
    model = NBSVM().fit(texts, labels, 0, ("praise", "sport"))
    p = model.predict_proba(["loved it, great", "hated, dull", "great: scored in the match"])
    assert model.classes_ == ("praise", "sport")
    assert (p >= 0.5).tolist() == [[True, False], [False, False], [True, True]]
    # One against the rest: each label has the model that it has alone.
    alone = NBSVM().fit(texts, ["n"] * 8 + ["y"] * 4, seed=0)
    assert np.allclose(p[:2, 1], alone.predict_proba(["loved it, great", "hated, dull"])[:, 1])


@pytest.mark.parametrize(
    ("labels", "said"), [(["a|b", "b"] * 2, "All"), (["a", "none"] * 2, "None")]
)
def test_a_label_that_all_rows_have_or_none_has_is_refused(labels, said):
    with pytest.raises(StageError, match=f"{said} of the 4 training rows have the label 'b'"):
        NBSVM().fit(PRAISE, labels, 0, ("a", "b"))


KINDS = {
    "two classes": (PRAISE + BLAME, ["pos"] * 4 + ["neg"] * 4, ()),
    "many classes": (PRAISE + BLAME + SPORT, np.repeat(["pos", "neg", "other"], 4).tolist(), ()),
    "labels": (PRAISE + BLAME + SPORT, ["a|b"] * 4 + ["none"] * 4 + ["b"] * 4, ("a", "b")),
}


@pytest.fixture(scope="module", params=KINDS)
def saved(request, tmp_path_factory):
    """A model, and what is served of it: texts in, probabilities out."""
    texts, labels, names = KINDS[request.param]
    folder = tmp_path_factory.mktemp("nbsvm")
    model = NBSVM().fit(texts * 2, labels * 2, 0, names)  # so that every n-gram is known
    model.save(folder)
    served = Nbsvm(folder, multilabel=bool(names))
    return model, lambda texts: (sigmoid if names else softmax)(served(texts))


# Known words and an unknown one, in any order: beside it there are n-grams that are none.
@given(st.lists(st.sampled_from(["a", "Great", "film", "dull,", "the match", "zebra"])))
def test_what_is_served_answers_as_what_was_trained(saved, words):
    model, served = saved
    text = " ".join(words)
    assert np.allclose(served([text]), model.predict_proba([text]), atol=1e-6)


def test_it_reads_whatever_is_written_as_it_was_trained(saved):
    model, served = saved
    texts = ["", "  ", "...", "isn't it GREAT?", "a’b great", "great\u2028film", "ÉTÉ a great film"]
    assert np.allclose(served(texts), model.predict_proba(texts), atol=1e-6)


def test_more_words_than_there_are_numbers_for_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(Linear, "BITS", 3)
    with pytest.raises(StageError, match=r"learned \d+ words; fewer than 8 can be served"):
        binary().save(tmp_path)
    assert not list(tmp_path.iterdir())
