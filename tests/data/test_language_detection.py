"""Which texts' languages can be told, and that the answer is always the same."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest

from incumbent.data import canonical_text, datasets, language_detection
from incumbent.data.datasets import Dataset

TEXTS = {
    "A quiet film about a family that falls apart in the course of one summer.": "en",
    "Ein stiller Film über eine Familie, die in einem Sommer auseinanderbricht.": "de",
    "Un film discret sur une famille qui se défait au cours d'un seul été.": "fr",
    "この映画はとても面白くて、最後まで目が離せない素晴らしい作品でした。": "ja",
}


def test_sentences_are_told_apart() -> None:
    assert language_detection.detect([*TEXTS]) == [*TEXTS.values()]


@pytest.mark.parametrize(
    "text",
    ["", " \n\t", "ok", "Terrible.", "A tasty masala.", "12345 67890 " * 9, "😀" * 99,
     "!?" * 99, "\x00" * 99, "https://example.com/a/film", "ꙮ" * 40],
)  # fmt: skip
def test_what_tells_nothing_is_unknown(text: str) -> None:
    assert language_detection.detect([text]) == [language_detection.UNKNOWN]


def saved(texts: list[str], folder: Path) -> Dataset:
    """A dataset of these texts."""
    rows = pd.DataFrame({"text": texts, "label": "a", "row": range(len(texts)), "found": "text"})
    train, test = canonical_text.canonical(rows), canonical_text.canonical(rows.head(1))
    return datasets.save([train], [test], ("train", "test"), folder)


def test_the_main_language_is_that_of_most_texts(tmp_path: Path) -> None:
    english, german, french, _ = TEXTS
    texts = [f"{(german if i < 700 else english)} {i}." for i in range(1000)]
    found = language_detection.main_language(saved([*texts, "ok", french], tmp_path).train)
    assert found.code == "de"
    assert found.share == pytest.approx(0.7, abs=0.05)
    assert str(found) == f"de ({found.share:.0%})"


def test_few_texts_or_short_ones_have_no_main_language(tmp_path: Path) -> None:
    german = [*TEXTS][1]
    dataset = saved([german] * 9 + ["ok"] * 150, tmp_path)
    assert language_detection.main_language(dataset.test).code == "unknown"
    found = language_detection.main_language(dataset.train)
    assert (found.code, found.share, str(found)) == ("unknown", 0.0, "unknown")


def test_a_mixture_is_unknown() -> None:
    # Which of the two langdetect names depends on its draws: neither is probable enough.
    german, french = [*TEXTS][1:3]
    mixed = " ".join(word for pair in zip(german.split(), french.split(), strict=False)
                     for word in pair)  # fmt: skip
    assert language_detection.detect([mixed]) == [language_detection.UNKNOWN]


def test_the_answer_does_not_depend_on_other_texts_or_earlier_calls() -> None:
    # With a seed of its own choice langdetect calls each of these unknown half the time.
    hard = ["Don't let your festive spirit go this far.", "Dense, exhilarating documentary.",
            "You will likely prefer to keep on watching.",
            "It's a transcendent work of genre filmmaking.",
            "A probing and universal contemporary drama.",
            "A disconcertingly riveting anti-love story."]  # fmt: skip
    first = language_detection.detect(hard)
    assert language_detection.detect([*TEXTS, *hard, *hard])[len(TEXTS) :] == first * 2
    assert language_detection.detect(hard[::-1]) == first[::-1]


def test_only_the_start_of_a_long_text_is_looked_at() -> None:
    english, german = [*TEXTS][:2]
    begun = time.perf_counter()
    assert language_detection.detect([english * 5 + german * 50_000]) == ["en"]
    assert time.perf_counter() - begun < 10  # the profiles alone take about one


def test_answers_are_kept_by_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [*TEXTS]
    first = language_detection.detect(texts, tmp_path / "languages")
    monkeypatch.setattr(language_detection, "_detect", lambda texts: ["??"] * len(texts))
    assert language_detection.detect(texts, tmp_path / "languages") == first
    assert language_detection.detect(texts[::-1], tmp_path / "languages") == ["??"] * 4
