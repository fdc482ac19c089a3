"""Detect the language of texts with langdetect (Nakatani 2010): 55 languages.

It takes 2 to 5 ms a text, and is a poor judge of short ones. Among 1,594 reviews by critics (18
words on average), it found the 9 that are not in English and called 22 English ones foreign; with
the two thresholds below, only 1, but it could not tell 75.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from incumbent.data import datasets
from incumbent.runtime.atomic_files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from langdetect.detector_factory import DetectorFactory

    from incumbent.data.datasets import Split

UNKNOWN = "unknown"
_CHARACTERS = 300  # of a text that are looked at: more of them tell no more
_FEWEST_LETTERS = 20
_SURE = 0.9
_ASKED = 200  # texts of a split; with them, a share of a half is known to 7 points
_FEWEST_TOLD = 10  # texts whose language shows, below which nothing is said of the split
_SEED = 0  # it draws n-grams at random, and would answer otherwise every time


class MainLanguage(NamedTuple):
    """The commonest language of a split, and its share of the texts whose language shows (0-1).

    Where too few show theirs, it is `unknown`, with a share of 0.
    """

    code: str
    share: float

    def __str__(self) -> str:
        """In words, for the log."""
        return self.code if self.code == UNKNOWN else f"{self.code} ({self.share:.0%})"


def main_language(split: Split, cache: Path | None = None) -> MainLanguage:
    """The language of most texts of a split, from some that stand evenly apart.

    Raises:
        DataError: if the split's file is gone or damaged.
    """
    step, passed = max(1, -(-split.rows // _ASKED)), 0
    texts: list[str] = []
    for part in datasets.parts(split, ["text"]):
        texts.extend(part["text"].iloc[-passed % step :: step])
        passed += len(part)
    told = [code for code in detect(texts, cache) if code != UNKNOWN]
    if len(told) < _FEWEST_TOLD:
        return MainLanguage(UNKNOWN, 0.0)
    code, count = Counter(told).most_common(1)[0]
    return MainLanguage(code, count / len(told))


def detect(texts: Sequence[str], cache: Path | None = None) -> list[str]:
    """The language of each text (n,): a code like `en` or `zh-cn`, or `unknown`.

    A text is unknown if it has fewer than 20 letters or no language is 90 % probable.

    Args:
        texts: The texts (n,); the first 300 characters of each are looked at.
        cache: Folder of earlier answers, by texts; none are kept without it.
    """
    starts = [text[:_CHARACTERS] for text in texts]
    if cache is None:
        return _detect(starts)
    state = hashlib.sha256()
    for start in starts:
        state.update(hashlib.sha256(start.encode()).digest())
    answer = cache / f"{state.hexdigest()[:32]}.json"
    if not answer.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        write_atomically(answer, json.dumps(_detect(starts)))
    found: list[str] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def _detect(texts: Sequence[str]) -> list[str]:
    from langdetect.lang_detect_exception import LangDetectException

    factory = _factory()
    found: dict[str, str] = {}
    for text in dict.fromkeys(texts):
        found[text] = UNKNOWN
        if sum(map(str.isalpha, text)) < _FEWEST_LETTERS:
            continue
        detector = factory.create()
        detector.append(text)
        try:
            best = detector.get_probabilities()[:1]
        except LangDetectException:  # no n-gram of any language that it knows
            continue
        if best and best[0].prob >= _SURE:
            found[text] = str(best[0].lang)
    return [found[text] for text in texts]


@functools.cache
def _factory() -> DetectorFactory:
    """Makes detectors, all of which draw the same; to read its profiles takes most of a second."""
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    factory.set_seed(_SEED)
    return factory
