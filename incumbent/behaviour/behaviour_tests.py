"""Behaviour tests: make the cases, and judge the answers (CheckList, Ribeiro et al. 2020).

`cases` makes the texts, `questions` lists what to predict, and `judge` says what failed; the
prediction itself is the caller's, so that every model is asked once and answers as it is served.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BaseModel

from incumbent.behaviour import perturbations
from incumbent.behaviour.behaviour_yaml import Direction, Functionality, Suite, load
from incumbent.errors import StageError
from incumbent.evaluation.wilson_and_bootstrap import Estimate, wilson
from incumbent.label_sets import is_set_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from incumbent.behaviour.behaviour_yaml import Invariance

__all__ = ["Example", "Suite", "Verdict", "cases", "judge", "left_out", "load", "questions"]

Kind = Literal["invariance", "direction", "functionality"]

_EXAMPLES, _CHARACTERS = 5, 300  # how much of a failure a verdict shows


class Example(BaseModel, frozen=True):
    """A failure; `original` is the text before it was changed, both cut to 300 characters."""

    text: str
    original: str | None
    expected: str
    predicted: str


class Verdict(BaseModel, frozen=True):
    """How a model did in one test."""

    kind: Kind
    cases: int
    failures: int
    failure_rate: Estimate
    examples: tuple[Example, ...]
    """The first 5 failures."""


class _Case(NamedTuple):
    test: str
    kind: Kind
    text: str
    original: str | None
    expected: str | None


def cases(
    suite: Suite, texts: Sequence[str], classes: Sequence[str], seed: int, *, sets: bool = False
) -> pd.DataFrame:
    """The cases of every test that can be asked of a model with these classes.

    Args:
        suite: The tests.
        texts: Real texts (n,), of which `suite.sample` distinct ones are changed.
        classes: The model's classes; tests that expect another label are left out.
        seed: Decides the sample, the changes and the fillings of templates.
        sets: Whether the model answers sets of labels; tests then expect such, as `label_sets.join`
            writes them.

    Returns:
        Columns test, kind, text, original (the text before it was changed, or None) and expected
        (label, or None for the label of `original`); no text is its own original. The same for
        the same arguments, and a test's are the same whatever other tests there are.
    """
    originals = _sample(texts, suite.sample, seed)
    found: list[_Case] = []
    for test in suite.tests:
        if _unknown(test.labels, classes, sets=sets):
            continue
        random = np.random.default_rng([seed, zlib.crc32(test.name.encode())])
        if isinstance(test, Functionality):
            found += _filled(test, suite.words, random)
        else:
            found += _changed(test, originals, suite.words, random)
    return pd.DataFrame(found, columns=list(_Case._fields), dtype=object)


def left_out(
    suite: Suite, found: pd.DataFrame, classes: Sequence[str], *, sets: bool = False
) -> dict[str, str]:
    """Tests of which `found`, as `cases` gives it, holds no case, and why, in plain words."""
    reasons: dict[str, str] = {}
    for test in suite.tests:
        if unknown := _unknown(test.labels, classes, sets=sets):
            reasons[test.name] = f"the model has no class {' or '.join(map(repr, unknown))}"
        elif not (found["test"] == test.name).any():
            reasons[test.name] = "it changes none of the sampled texts"
    return reasons


def _unknown(expected: Iterable[str], classes: Sequence[str], *, sets: bool) -> list[str]:
    """Which of the expected labels a model with these classes never gives."""
    return [
        label
        for label in sorted(expected)
        if not (is_set_of(label, classes) if sets else label in classes)
    ]


def questions(found: pd.DataFrame) -> list[str]:
    """Every text and original of some cases, each once: what a model must predict."""
    texts = pd.concat([found["original"].dropna(), found["text"]])
    return [str(text) for text in dict.fromkeys(texts)]


def judge(found: pd.DataFrame, labels: Mapping[str, str], confidence: float) -> dict[str, Verdict]:
    """Say for each test in how many cases the model fails it.

    A text fails if its label is not the expected one or, without one, that of its original. A
    direction test counts the texts alone whose originals have its label; where the model gives
    that label to none, there is no verdict.

    Args:
        found: What `cases` gives.
        labels: The model's label for each of `questions`.
        confidence: Coverage of the failure rate's interval.

    Raises:
        StageError: if a text has no label.
    """
    missing = [text for text in questions(found) if text not in labels]
    if missing:
        raise StageError(
            f"{len(missing)} of the behaviour tests' texts were not predicted, first "
            f"{_cut(missing[0])!r}; a label for each of `behaviour_tests.questions` is expected."
        )
    verdicts: dict[str, Verdict] = {}
    for name, rows in found.groupby("test", sort=False):
        asked = [_Case(*row) for row in rows.itertuples(index=False, name=None)]
        if asked[0].kind == "direction":
            asked = [case for case in asked if labels[str(case.original)] == case.expected]
        if not asked:
            continue
        examples = [
            Example(
                text=_cut(case.text),
                original=None if case.original is None else _cut(case.original),
                expected=expected,
                predicted=labels[case.text],
            )
            for case in asked
            if labels[case.text] != (expected := case.expected or labels[str(case.original)])
        ]
        verdicts[str(name)] = Verdict(
            kind=asked[0].kind,
            cases=len(asked),
            failures=len(examples),
            failure_rate=wilson(len(examples), len(asked), confidence),
            examples=tuple(examples[:_EXAMPLES]),
        )
    return verdicts


def _sample(texts: Sequence[str], most: int, seed: int) -> list[str]:
    distinct = [text for text in dict.fromkeys(texts) if text.strip()]
    chosen = np.random.default_rng(seed).permutation(len(distinct))[:most]
    return [distinct[index] for index in chosen]


def _changed(
    test: Invariance | Direction,
    originals: Sequence[str],
    words: Mapping[str, Sequence[str]],
    random: np.random.Generator,
) -> Iterator[_Case]:
    """Each original after one of the test's changes, in turn, where that changes anything."""
    for index, original in enumerate(originals):
        if isinstance(test, Direction):
            sentence = perturbations.fill(test.add[index % len(test.add)], words, random)
            yield _Case(test.name, "direction", f"{original} {sentence}", original, test.label)
            continue
        how = test.changes[index % len(test.changes)]
        sentences = [perturbations.fill(sentence, words, random) for sentence in test.sentences]
        text = perturbations.change(original, how, sentences, random)
        if text != original:
            yield _Case(test.name, "invariance", text, original, None)


def _filled(
    test: Functionality, words: Mapping[str, Sequence[str]], random: np.random.Generator
) -> Iterator[_Case]:
    """The test's share of each template, filled in different ways; no text twice."""
    seen: set[str] = set()
    for index, part in enumerate(test.templates):
        share = len(range(index, test.cases, len(test.templates)))
        for text in perturbations.fillings(part.template, words, share, random):
            if text not in seen:
                seen.add(text)
                yield _Case(test.name, "functionality", text, None, part.label)


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}…"
