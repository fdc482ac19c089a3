"""How the champion behaves, whatever its accuracy (Ribeiro et al. 2020, CheckList).

It was trained on 600 reviews only, so the examples are ones of which a reader is in no doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

pytestmark = pytest.mark.slow

Positive = Callable[[Sequence[str]], NDArray[np.float64]]

GOOD = [
    "A masterpiece: moving, funny and beautifully acted.",
    "One of the best films of the year.",
    "A wonderful, warm and intelligent film.",
    "Brilliant performances and a gripping story.",
    "A delightful comedy, smart and charming.",
    "I loved it.",
]
BAD = [
    "A dull, lifeless and predictable mess.",
    "One of the worst films of the year.",
    "A boring, badly written waste of time.",
    "Terrible acting and a stupid plot.",
    "An unfunny, tedious disaster.",
    "I hated it.",
]
NEUTRAL = ["The film opens on Friday.", "It was shot in Paris.", "It runs for two hours."]
CHANGES: dict[str, Callable[[str], str]] = {
    "upper case": str.upper,
    "lower case": str.lower,
    "spaces at the end": lambda text: f"{text}  \n\t ",
    "spaces at the start": lambda text: f"\n  {text}",
    "spaces between words": lambda text: text.replace(" ", "   "),
    "an accent": lambda text: text.replace("a", "á"),
}


def test_what_is_plainly_good_is_positive(positive: Positive) -> None:
    assert positive(GOOD).min() > 0.5


def test_what_is_plainly_bad_is_negative(positive: Positive) -> None:
    assert positive(BAD).max() < 0.5


def test_negation_is_understood(positive: Positive) -> None:
    good, not_good = positive(["It is good.", "It is not good."])
    assert good > 0.5 > not_good


def test_a_neutral_sentence_hardly_ever_flips_it(positive: Positive) -> None:
    texts = GOOD + BAD
    before = positive(texts)
    after = np.stack([positive([f"{text} {more}" for text in texts]) for more in NEUTRAL])
    assert ((after > 0.5) != (before > 0.5)).sum() <= 2  # of 36
    assert np.abs(after - before).mean() < 0.15


@pytest.mark.parametrize("change", CHANGES)
def test_the_way_it_is_written_makes_no_difference(positive: Positive, change: str) -> None:
    texts = GOOD + BAD
    changed = positive([CHANGES[change](text) for text in texts])
    assert np.allclose(changed, positive(texts), atol=1e-4)


def test_the_film_makes_little_difference(positive: Positive) -> None:
    for frame in ("{} is a wonderful, moving film.", "{} is a dull, tedious film."):
        found = positive([frame.format(film) for film in ("Alien", "Amélie", "Heat", "Up")])
        assert np.ptp(found) < 0.3


@pytest.mark.parametrize(
    ("review", "more"),
    [
        (
            "A gripping thriller with superb performances",
            "but in the end it is a boring, terrible and pointless waste of time",
        ),
        (
            "An honest and tender portrait of a family",
            "ruined by awful dialogue and a dull, stupid, tedious plot",
        ),
        (
            "The cast is fine and the songs are pleasant",
            "yet the film is a tedious, unfunny, miserable failure",
        ),
    ],
)
def test_blame_lowers_it(positive: Positive, review: str, more: str) -> None:
    before, after = positive([f"{review}.", f"{review}, {more}."])
    assert after < before


@pytest.mark.parametrize(
    ("review", "more"),
    [
        ("The film has two heroes and one horse", "and it is a wonderful, moving delight"),
        ("A long film", "but a brilliant, beautiful and gripping one"),
    ],
)
def test_praise_raises_it(positive: Positive, review: str, more: str) -> None:
    before, after = positive([f"{review}.", f"{review}, {more}."])
    assert after > before
    assert after > 0.5
