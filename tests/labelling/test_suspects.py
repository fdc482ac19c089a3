from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from incumbent.labelling import out_of_fold, suspects, telling_words
from incumbent.labelling.quick_classifier import QuickClassifier

CLASSES = ("billing", "late", "lost")
WORDS = {
    "billing": ("invoice", "charged", "refund"),
    "late": ("waiting", "delay", "yesterday"),
    "lost": ("vanished", "tracking", "parcel"),
}


def tickets(rows: int, seed: int = 0) -> tuple[list[str], np.ndarray[Any, Any]]:
    """Texts of two telling words and two that tell nothing, and their classes."""
    random = np.random.default_rng(seed)
    truth = np.arange(rows) % len(CLASSES)
    texts = [
        " ".join([*random.choice(WORDS[CLASSES[one]], 2), *random.choice([*"abcdefgh"], 2)])
        for one in truth
    ]
    return texts, truth


def vectors_of(texts: list[str]) -> np.ndarray[Any, Any]:
    """A bag of words, at a length of 1."""
    known = sorted({word for words in WORDS.values() for word in words})
    counts = np.array([[text.split().count(word) for word in known] for text in texts], np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def flipped(truth: np.ndarray[Any, Any], count: int) -> tuple[np.ndarray[Any, Any], set[int]]:
    wrong = np.random.default_rng(1).choice(len(truth), count, replace=False)
    labels = truth.copy()
    labels[wrong] = (labels[wrong] + 1) % len(CLASSES)
    return labels, set(wrong.tolist())


def test_the_flipped_labels_are_the_suspects_and_the_right_ones_are_suggested() -> None:
    texts, truth = tickets(300)
    labels, wrong = flipped(truth, 20)
    found = suspects.find(
        labels, out_of_fold.probabilities(texts, vectors_of(texts), labels, len(CLASSES))
    )
    assert 10 <= found.found <= 20  # it counts those that it is confident of
    assert set(found.rows[:20].tolist()) == wrong
    assert (found.suggested[:20] == truth[found.rows[:20]]).all()
    assert (np.diff(found.sure) <= 0).all()
    assert (found.sure[:20] > 0.5).all()


def test_clean_labels_have_no_suspects() -> None:
    texts, truth = tickets(300)
    held_out = out_of_fold.probabilities(texts, vectors_of(texts), truth, len(CLASSES))
    assert suspects.find(truth, held_out).found == 0


def test_rows_of_a_class_too_rare_to_be_learned_are_no_suspects() -> None:
    truth = np.array([0] * 20 + [1] * 20 + [2] * (out_of_fold.FOLDS - 1))
    sure_of_0 = np.tile([0.9, 0.05, 0.05], (len(truth), 1))
    found = suspects.find(truth, sure_of_0)
    assert sorted(found.rows.tolist()) == list(range(40))
    assert set(found.suggested[found.rows >= 20].tolist()) == {0}


def test_of_one_class_nothing_is_suspect() -> None:
    assert suspects.find(np.zeros(30, np.int64), np.ones((30, 1))).found == 0


def test_no_row_is_judged_by_a_classifier_that_saw_it() -> None:
    # Texts that share no word: all that could give a row's label away is the row itself.
    texts = [f"word{row}" for row in range(40)]
    truth = np.arange(40) % 2
    held_out = out_of_fold.probabilities(texts, np.eye(40, dtype=np.float32), truth, 2)
    assert held_out[np.arange(40), truth].max() < 0.6
    assert held_out.sum(axis=1) == pytest.approx(1)


def test_each_fold_has_its_share_of_each_class() -> None:
    truth = np.array([0] * 50 + [1] * 25 + [2] * 5)
    fold = out_of_fold._folds(truth, seed=3)
    counts = [np.bincount(truth[fold == number], minlength=3).tolist() for number in range(5)]
    assert counts == [[10, 5, 1]] * 5


def test_probabilities_are_made_once_for_the_same_rows(tmp_path: Path) -> None:
    asked = []

    def vectors(texts: list[str]) -> np.ndarray[Any, Any]:
        asked.append(len(texts))
        return vectors_of(texts)

    encoder: Any = SimpleNamespace(folder=tmp_path / "encoder", max_length=32, vectors=vectors)
    texts, truth = tickets(60)
    labels = [CLASSES[one] for one in truth]
    rows: Any = SimpleNamespace(texts=texts, labels=labels, truth=truth, classes=CLASSES)
    first = out_of_fold.kept(rows, encoder, tmp_path / "kept")
    assert (out_of_fold.kept(rows, encoder, tmp_path / "kept") == first).all()
    assert asked == [60]
    rows.labels = ["late", *labels[1:]]  # another dataset
    out_of_fold.kept(rows, encoder, tmp_path / "kept")
    assert asked == [60, 60]


def test_classes_that_training_rows_lack_are_unlikely_and_never_impossible() -> None:
    texts, truth = tickets(30)
    some = truth < 2
    own = [text for text, kept in zip(texts, some, strict=True) if kept]
    model = QuickClassifier().fit(own, vectors_of(own), truth[some], len(CLASSES))
    found = model.probabilities(texts, vectors_of(texts))
    assert found.shape == (30, 3)
    assert (found[:, 2] > 0).all()
    assert found[:, 2].max() < 0.001


def test_texts_without_words_are_classified_by_their_vectors() -> None:
    texts, truth = ["?!", "..."] * 10, np.arange(20) % 2
    vectors = np.eye(2, dtype=np.float32)[truth]
    found = QuickClassifier().fit(texts, vectors, truth, 2).probabilities(texts, vectors)
    assert (found.argmax(axis=1) == truth).all()


def test_words_that_speak_for_the_other_label_are_named_and_the_row_has_no_say() -> None:
    texts = ["invoice wrong today"] * 8 + ["delay again today"] * 8 + ["invoice once only today"]
    truth = np.array([0] * 8 + [1] * 9)
    (words,) = telling_words.words_for(texts, truth, np.array([16]), np.array([0]), 2)
    assert words[0] == "invoice"
    assert "only" not in words
    assert all("today" not in word for word in words)


def test_texts_without_words_have_none_that_speak() -> None:
    rows, other = np.array([0]), np.array([1])
    assert telling_words.words_for(["?", "!"], np.array([0, 1]), rows, other, 2) == [[]]
