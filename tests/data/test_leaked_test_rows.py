"""Copies are found in what is kept of the training rows, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from incumbent.data import embedded_reviews, leaked_test_rows
from incumbent.data.leaked_test_rows import Fingerprints, fingerprint, leaked
from incumbent.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Real reviews of 20 words, no two of them the same."""
    corpus = embedded_reviews._corpus()["text"]
    return corpus[corpus.str.split().str.len() == 20].tolist()


@pytest.fixture(scope="module")
def train(texts: list[str]) -> Fingerprints:
    return fingerprint(texts)


def change(text: str, words: int, generator: np.random.Generator) -> str:
    """The text with so many words replaced by ones that stand nowhere else."""
    parts = text.split()
    for place in generator.choice(len(parts), words, replace=False):
        parts[place] = f"unheard{generator.integers(10**12)}of"
    return " ".join(parts)


def verdict(test: str, train: str) -> str:
    """What is found of one text, when another was trained on."""
    found = leaked(fingerprint([test]), fingerprint([train]))
    return "exact" if found.exact[0] else "near" if found.near[0] else "nothing"


def test_one_word_changed_in_twenty_is_near(texts, train):
    generator = np.random.default_rng(0)
    found = leaked(fingerprint([change(text, 1, generator) for text in texts]), train)
    assert len(texts) > 400
    assert not found.exact.any()
    assert found.near.mean() > 0.98


def test_half_of_the_words_changed_is_another_text(texts, train):
    generator = np.random.default_rng(0)
    found = leaked(fingerprint([change(text, 10, generator) for text in texts]), train)
    assert not found.found.any()


def test_shuffled_words_are_another_text(texts, train):
    generator = np.random.default_rng(0)
    shuffled = [" ".join(generator.permutation(text.split())) for text in texts]
    assert not leaked(fingerprint(shuffled), train).found.any()
    assert verdict("not good", "good not") == "nothing"


@pytest.mark.slow
def test_other_reviews_are_other_texts():
    """Of thousands of short reviews, hardly any is like one of another film."""
    corpus = embedded_reviews._corpus()["text"].tolist()  # sorted by film
    half = len(corpus) // 2
    found = leaked(fingerprint(corpus[:half]), fingerprint(corpus[half:]))
    assert not found.exact.any()
    assert found.near.sum() <= 5


@pytest.mark.parametrize(
    "edit", [str.upper, lambda text: f"\t{text}\n", lambda text: text.replace(" ", " \u00a0 ")]
)
def test_case_and_white_space_make_no_difference(texts, train, edit: Callable[[str], str]):
    found = leaked(fingerprint([edit(text) for text in texts]), train)
    assert found.exact.all()
    assert not found.near.any()


def test_punctuation_makes_a_near_duplicate(texts, train):
    stripped = [f"«{text.replace('.', ' ...').replace(',', ' -')}»!" for text in texts]
    found = leaked(fingerprint(stripped), train)
    assert found.near.all()
    assert not found.exact.any()


@pytest.mark.parametrize("threshold", [0.7, 0.8, 0.9, 1.0])
def test_nothing_is_missed_that_comparing_all_pairs_would_find(texts, train, threshold):
    generator = np.random.default_rng(1)
    edited = [change(text, row % 5, generator) + "!" for row, text in enumerate(texts)]
    test = fingerprint(edited)
    similarity = (test.signatures[:, None] == train.signatures).mean(axis=2).max(axis=1)
    expected = similarity >= threshold
    assert 0 < expected.sum() < len(texts)
    assert np.array_equal(leaked(test, train, threshold).near, expected)


def test_signatures_estimate_the_similarity_of_bigrams(texts, train):
    def bigrams(text: str) -> set[tuple[str, str]]:
        words = leaked_test_rows._WORD.findall(text.casefold())
        return set(pairwise(words))

    generator = np.random.default_rng(2)
    edited = [change(text, 1 + row % 8, generator) for row, text in enumerate(texts)]
    pairs = [(bigrams(a), bigrams(b)) for a, b in zip(texts, edited, strict=True)]
    true = np.array([len(a & b) / len(a | b) for a, b in pairs])
    error = (fingerprint(edited).signatures == train.signatures).mean(axis=1) - true
    assert abs(error.mean()) < 0.01
    # Of 128 independent permutations.
    assert error.std() == pytest.approx(np.sqrt((true * (1 - true)).mean() / 128), rel=0.15)


def test_every_copy_is_found_whatever_is_done_at_once(texts, train, monkeypatch):
    edited = fingerprint(
        [f"{text}!" for text in texts[:20] for _ in range(3)] + ["of another kind"]
    )
    monkeypatch.setattr(leaked_test_rows, "_INDEXED_AT_ONCE", 7)
    found = leaked(edited, train)
    assert found.near.tolist() == [True] * 60 + [False]
    monkeypatch.setattr(leaked_test_rows, "_HASHED_AT_ONCE", 3)
    assert np.array_equal(fingerprint(texts).signatures, train.signatures)


def test_long_texts():
    words = [f"word{number}" for number in range(3 * leaked_test_rows._HASHED_AT_ONCE)]
    for place in (0, len(words) // 2, len(words) - 1):
        edited = [*words[:place], "other", *words[place + 1 :]]
        assert verdict(" ".join(edited), " ".join(words)) == "near"
    assert verdict(" ".join(words[: len(words) // 2]), " ".join(words)) == "nothing"


@pytest.mark.parametrize(
    ("test", "train", "expected"),
    [
        ("Superb", "superb", "exact"),
        ("superb!", "superb", "near"),
        ("superb", "awful", "nothing"),
        ("superb", "superb film", "nothing"),
        ("", "", "exact"),
        ("", "superb", "nothing"),
        ("?!", " ?! ", "exact"),
        ("?!", "!!", "nothing"),
        ("👍", "👎", "nothing"),
        ("STRASSE", "straße", "exact"),
        ("Очень скучный, затянутый фильм", "очень скучный затянутый фильм.", "near"),
        ("Очень скучный, затянутый фильм", "очень смешной и умный фильм", "nothing"),
        ("这部电影很好", "这部电影很好。", "near"),
        ("ｆｕｌｌ ｗｉｄｔｈ", "full width", "near"),
        (unicodedata.normalize("NFD", "déjà vu à l’été"), "déjà vu à l'été", "near"),
    ],
)
def test_short_and_foreign_texts(test, train, expected):
    assert verdict(test, train) == expected
    assert verdict(train, test) == expected


def test_no_rows(train, tmp_path):
    none = fingerprint([])
    assert (len(none), none.signatures.shape) == (0, (0, 128))
    assert len(leaked(none, train).found) == 0
    assert leaked(train, none).found.tolist() == [False] * len(train)
    leaked_test_rows.save(none, tmp_path / "none.parquet")
    assert len(leaked_test_rows.load(tmp_path / "none.parquet")) == 0


def test_fingerprints_are_the_same_everywhere():
    """A champion's were made long ago: these values must never change."""
    text = "Überraschend gut, but 20 minutes too long."
    made = fingerprint([text])
    assert made.exact.tolist() == [11718199557015241365]
    assert made.signatures[0, :4].tolist() == [1735493626, 699639726, 205214410, 275198288]
    code = (
        "import sys; from incumbent.data.leaked_test_rows import fingerprint; "
        "print(fingerprint(sys.argv[1:]).signatures.tobytes().hex())"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", code, text],
        env={**os.environ, "PYTHONHASHSEED": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert elsewhere.stdout.strip() == made.signatures.tobytes().hex()


def test_there_and_back(texts, train, tmp_path):
    path = tmp_path / "fingerprints.parquet"
    leaked_test_rows.save(fingerprint(["something older"]), path)
    leaked_test_rows.save(train, path)
    again = leaked_test_rows.load(path)
    assert np.array_equal(again.exact, train.exact)
    assert np.array_equal(again.signatures, train.signatures)
    assert (again.exact.dtype, again.signatures.dtype) == (np.uint64, np.uint32)
    assert leaked(again, train).exact.all()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_size < 600 * len(train)


def refused(path: Path) -> str:
    with pytest.raises(RegistryError) as error:
        leaked_test_rows.load(path)
    assert str(path) in str(error.value)
    assert "retrain" in str(error.value)
    return str(error.value)


def test_files_of_other_makes_are_refused(train, tmp_path):
    path = tmp_path / "fingerprints.parquet"
    leaked_test_rows.save(train, path)
    table = pq.read_table(path)
    other = json.dumps({**leaked_test_rows._PARAMETERS, "permutations": 64})
    pq.write_table(table.replace_schema_metadata({leaked_test_rows._METADATA_KEY: other}), path)
    message = refused(path)
    assert '"permutations": 64' in message
    assert '"permutations": 128' in message
    pd.DataFrame({"text": ["a film"]}).to_parquet(path)
    assert "made with {}" in refused(path)


def test_damaged_and_missing_files_are_refused(train, tmp_path):
    path = tmp_path / "fingerprints.parquet"
    refused(path)
    path.write_text("not Parquet")
    refused(path)
    leaked_test_rows.save(train, path)
    path.write_bytes(path.read_bytes()[:-100])
    refused(path)
