"""Changes that keep a text's meaning (typos, case, additions), and templates with slots."""

from __future__ import annotations

import re
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

Change = Literal["upper", "lower", "typo", "before", "after", "pad"]

ADDING: tuple[Change, ...] = ("before", "after", "pad")
"""Changes that add sentences."""

_MOST_PADDING = 30  # words: more would push the text itself out of what a model reads
_WORD = re.compile(r"[^\W\d_]{4,}")  # of letters; swapping two in a shorter one makes another word
_SLOT = re.compile(r"\{(\w+)\}")


def change(text: str, how: Change, sentences: Sequence[str], random: np.random.Generator) -> str:
    """The text after one change; the same text where there is nothing to change.

    Args:
        text: What to change.
        how: The change.
        sentences: What `before`, `after` and `pad` add.
        random: Chooses the word of a typo, or the sentence.
    """
    if how == "upper":
        return text.upper()
    if how == "lower":
        return text.lower()
    if how == "typo":
        return _typo(text, random)
    sentence = sentences[int(random.integers(len(sentences)))]
    if how == "before":
        return f"{sentence} {text}"
    return f"{text} {sentence}" if how == "after" else _pad(text, sentences, random)


def slots(template: str) -> tuple[str, ...]:
    """The names in braces, each once, in order; other braces are text."""
    return tuple(dict.fromkeys(_SLOT.findall(template)))


def fill(template: str, words: Mapping[str, Sequence[str]], random: np.random.Generator) -> str:
    """The template with a word in each slot, at random; words are not templates themselves."""
    return _filled(template, _filling(template, words, random))


def fillings(
    template: str, words: Mapping[str, Sequence[str]], most: int, random: np.random.Generator
) -> list[str]:
    """The template filled in so many different ways, at random, or in every way there is."""
    names = slots(template)
    lists = [list(dict.fromkeys(words[name])) for name in names]
    if prod(map(len, lists)) <= most:
        ways = [dict(zip(names, chosen, strict=True)) for chosen in product(*lists)]
    else:
        distinct: dict[tuple[str, ...], dict[str, str]] = {}
        while len(distinct) < most:
            filling = _filling(template, words, random)
            distinct[tuple(filling.values())] = filling
        ways = list(distinct.values())
    return [_filled(template, filling) for filling in ways]


def _filling(
    template: str, words: Mapping[str, Sequence[str]], random: np.random.Generator
) -> dict[str, str]:
    return {slot: words[slot][int(random.integers(len(words[slot])))] for slot in slots(template)}


def _filled(template: str, filling: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda slot: filling[slot[1]], template)


def _typo(text: str, random: np.random.Generator) -> str:
    """Two neighbouring letters swapped in one word, never its first: readers rely on that one."""
    words = list(_WORD.finditer(text))
    for index in random.permutation(len(words)):
        start, end = words[index].span()
        places = [i for i in range(start + 1, end - 1) if text[i] != text[i + 1]]
        if places:
            at = places[random.integers(len(places))]
            return f"{text[:at]}{text[at + 1]}{text[at]}{text[at + 2 :]}"
    return text


def _pad(text: str, sentences: Sequence[str], random: np.random.Generator) -> str:
    wanted = min(len(text.split()), _MOST_PADDING)
    order = random.permutation(len(sentences))
    padding: list[str] = []
    while sum(len(sentence.split()) for sentence in padding) < wanted or not padding:
        padding.append(sentences[order[len(padding) % len(order)]])
    return " ".join([text, *padding])
