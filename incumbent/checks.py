"""What labelled text must satisfy, in plain words: one `Check` for each rule that is not off.

`annotate` works out, for every row, what the checks look at; the checks themselves are data, which
`incumbent.expectations` hands to Great Expectations. No check looks at the text itself, so that
no hostile text reaches a page that would not escape it.
"""

from __future__ import annotations

import html
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from incumbent.datasets import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from incumbent.config import Severity, ValidationConfig

Side = Literal["train", "test"]


@dataclass(frozen=True)
class Check:
    """One rule for one split."""

    name: str
    severity: Severity
    rule: str
    """What holds when it passes, in plain words."""
    expectation: str
    """The Great Expectations class that checks it, on the columns of `annotate`."""
    arguments: dict[str, object]
    problem: Callable[[pd.DataFrame], str]
    """What is wrong, given the annotated split, when it fails."""
    remedy: str
    """What to do about it."""


def known_labels(config: ValidationConfig, classes: Sequence[str]) -> dict[Side, tuple[str, ...]]:
    """The labels that each split may hold; `classes` are those of train.

    Train may hold what the config names, or else anything. Test may hold what train does, too:
    a model knows no other class.
    """
    named = tuple(label for label in config.labels or () if label) or tuple(classes)
    return {"train": named, "test": tuple(label for label in named if label in classes)}


def annotate(
    frame: pd.DataFrame, other: pd.DataFrame, known: Sequence[str], *, typed: bool
) -> pd.DataFrame:
    """A canonical split with what the checks look at; `other` is the other split.

    Adds `length` (characters; null where there is no text), `known_label`, `class_rows` (rows of
    the row's class; null where the label is not known), `repeated` (not the first of its kind),
    `conflict` (one text, two labels)
    and `leaked_from` (the first row of `other` with the same text, or 0). Texts count as the same
    when they are after `fold`. In a source without cell types, not `typed`, `found` says
    "no words" of texts that are all digits and punctuation.
    """
    folded = frame["text"].map(fold)
    filled = folded != ""
    labels = frame["label"].mask(frame["label"] == "")
    classes = labels.where(labels.isin(list(known)))
    elsewhere = pd.Series(other["row"].to_numpy(), index=other["text"].map(fold))
    elsewhere = elsewhere[~elsewhere.index.duplicated()]
    found = frame["found"]
    if not typed:
        found = found.mask((found == "text") & _wordless(frame["text"]), "no words")
    return frame.assign(
        found=found,
        length=frame["text"].str.len().where(frame["found"] == "text").astype(float),
        known_label=frame["label"].isin(list(known)),
        class_rows=classes.groupby(classes).transform("size").astype(float),
        repeated=folded.duplicated() & filled,
        conflict=(labels.groupby(folded).transform("nunique") > 1) & filled,
        leaked_from=folded.map(elsewhere).where(filled).fillna(0).astype(int),
    )


def _wordless(texts: pd.Series[str]) -> pd.Series[bool]:
    """Which texts are all digits, punctuation and space; emoji and other symbols are words."""
    suspects = texts.str.fullmatch(r"[\W\d_]+")
    return suspects & texts.where(suspects, "").map(
        lambda text: all(unicodedata.category(character)[0] in "NPZC" for character in text)
    )


def for_split(side: Side, config: ValidationConfig, known: Sequence[str]) -> list[Check]:
    """The checks of one split, those that are off left out; `known` are its known labels."""
    checks = [
        *_columns(),
        *_cells(config),
        *_labels(side, config, known),
        *_texts(config),
        *([_leak(config)] if side == "test" else []),
    ]
    return [check for check in checks if check.severity != "off"]


def _columns() -> list[Check]:
    return [
        Check(
            f"{column}_column",
            "error",
            f"There is a {column} column.",
            "ExpectColumnToExist",
            {"column": column},
            lambda _: "the column is missing",
            "Delete the working folder and run again.",
        )
        for column in ("text", "label")
    ]


def _cells(config: ValidationConfig) -> list[Check]:
    return [
        Check(
            "empty",
            config.on_empty,
            "Every row has a text.",
            "ExpectColumnValuesToNotBeInSet",
            {"column": "found", "value_set": ["empty"]},
            lambda frame: f"{_count((frame['found'] == 'empty').sum(), 'row')} without a text",
            _remedy("Write the missing texts or delete the rows", "on_empty"),
        ),
        Check(
            "not_text",
            config.on_not_text,
            "Every cell of the text column holds text: no number, date, formula or error.",
            "ExpectColumnValuesToBeInSet",
            {"column": "found", "value_set": ["text", "empty"]},
            lambda frame: f"found {_kinds(frame)} where a text belongs",
            _remedy("Check that data.text_column is the right one; paste formulas as values, put "
                    "an apostrophe before a text that begins with =, and "
                    "write words instead of numbers", "on_not_text"),
        ),
        Check(
            "control",
            config.on_control,
            "No text holds control characters.",
            "ExpectColumnValuesToBeInSet",
            {"column": "control", "value_set": [False]},
            lambda frame: f"{_count(frame['control'].sum(), 'text')} with control characters, "
            "which were replaced by spaces",
            _remedy("Clean them at their source", "on_control"),
        ),
    ]  # fmt: skip


def _labels(side: Side, config: ValidationConfig, known: Sequence[str]) -> list[Check]:
    fewest = config.min_rows_per_class
    one_class = Check(
        "one_class",
        "error",
        "There are at least two classes.",
        "ExpectColumnUniqueValueCountToBeBetween",
        {"column": "label", "min_value": 2},
        lambda frame: (
            "only one class"
            + "".join(f": {label!r}" for label in sorted(set(frame["label"]) - {""})[:1])
        ),
        "A classifier needs texts of two classes or more: add the others, or check that "
        "data.label_columns names the right column.",
    )
    return [
        Check(
            "label",
            "error",
            f"Every row has one of the known labels: {_listed(known)}.",
            "ExpectColumnValuesToBeInSet",
            {"column": "known_label", "value_set": [True]},
            lambda frame: f"{_unknown(frame)}; known are {_listed(known)}",
            "Correct them, or name every label in validation.labels."
            if side == "train"
            else "Correct them, or add such rows to train (and the label to validation.labels, if "
            "that is set): a model knows the classes of train alone.",
        ),
        *([one_class] if side == "train" else []),
        Check(
            "rows",
            config.on_rows,
            f"There are at least {config.min_rows:,} rows.",
            "ExpectTableRowCountToBeBetween",
            {"min_value": config.min_rows},
            lambda frame: f"{_count(len(frame), 'row')}, and at least {config.min_rows:,} needed",
            "Add rows, or lower validation.min_rows.",
        ),
        Check(
            "classes",
            config.on_rows,
            f"Every class is there: {_listed(known)}.",
            "ExpectColumnDistinctValuesToContainSet",
            {"column": "label", "value_set": [html.escape(label) for label in known]},
            lambda frame: f"no row of {_listed(sorted(set(known) - set(frame['label'])))}",
            _remedy("Add rows of every class, or take it out of validation.labels", "on_rows"),
        ),
        Check(
            "class_rows",
            config.on_rows,
            f"Every class has at least {fewest:,} rows.",
            "ExpectColumnValuesToBeBetween",
            {"column": "class_rows", "min_value": fewest},
            lambda frame: f"{_small(frame, fewest)}, and at least {fewest:,} of each class needed",
            "Add rows of these classes, or lower validation.min_rows_per_class.",
        ),
    ]


def _texts(config: ValidationConfig) -> list[Check]:
    least, most = config.min_characters, config.max_characters
    return [
        Check(
            "length",
            config.on_length,
            f"Every text has {least:,} to {most:,} characters.",
            "ExpectColumnValuesToBeBetween",
            {"column": "length", "min_value": least, "max_value": most},
            lambda frame: f"{_count((frame['length'] < least).sum(), 'text')} shorter than "
            f"{least:,} characters and {(frame['length'] > most).sum():,} longer than {most:,}",
            _remedy("Correct them, or change validation.min_characters and "
                    "validation.max_characters", "on_length"),
        ),
        Check(
            "repeat",
            config.on_repeat,
            "No text stands twice.",
            "ExpectColumnValuesToBeInSet",
            {"column": "repeated", "value_set": [False]},
            lambda frame: f"{_count(frame['repeated'].sum(), 'row')} repeating an earlier text",
            _remedy("Delete the repetitions", "on_repeat"),
        ),
        Check(
            "conflict",
            config.on_conflict,
            "No text has two labels.",
            "ExpectColumnValuesToBeInSet",
            {"column": "conflict", "value_set": [False]},
            lambda frame: f"{_count(frame['conflict'].sum(), 'row')} whose text stands elsewhere "
            "with another label",
            _remedy("Decide on one label for each text", "on_conflict"),
        ),
    ]  # fmt: skip


def _leak(config: ValidationConfig) -> Check:
    return Check(
        "leak",
        "warn" if config.on_leak == "drop" else config.on_leak,
        "No text of test stands in train too.",
        "ExpectColumnValuesToBeInSet",
        {"column": "leaked_from", "value_set": [0]},
        lambda frame: (
            f"{_count((frame['leaked_from'] > 0).sum(), 'text')} of test that train "
            f"holds too ({_pairs(frame)})"
        ),
        "Delete them from one of the files; or set validation.on_leak to drop, which leaves them "
        "out of training, or to warn.",
    )


def _remedy(deed: str, key: str) -> str:
    return f"{deed}; or set validation.{key} to warn."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _kinds(frame: pd.DataFrame) -> str:
    names = {"no words": "text without words", "error": "error or object"}
    counts = frame["found"][~frame["found"].isin(["text", "empty"])].value_counts()
    kinds = [f"{counts[kind]:,} × {names.get(kind, kind)}" for kind in sorted(counts.index)]
    return ", ".join(kinds)


def _unknown(frame: pd.DataFrame) -> str:
    counts = frame["label"][~frame["known_label"]].value_counts(sort=False)
    formulas = ((frame["label"] == "") & frame["formula"]).sum()
    none, named = counts.get("", 0) - formulas, sorted(label for label in counts.index if label)
    parts = [f"{_count(none, 'row')} without a label"] if none else []
    if formulas:
        parts.append(
            f"{_count(formulas, 'row')} with a formula where a label belongs (paste it as a value)"
        )
    if named:
        parts.append(f"{_count(counts[named].sum(), 'row')} with the label {_listed(named)}")
    return " and ".join(parts)


def _small(frame: pd.DataFrame, fewest: int) -> str:
    counts = frame["label"][frame["class_rows"] < fewest].value_counts().sort_index()
    return listed(
        [f"{_count(size, 'row')} of {str(label)[:40]!r}" for label, size in counts.items()]
    )


def _pairs(frame: pd.DataFrame) -> str:
    leaked = frame[frame["leaked_from"] > 0].head(3)
    pairs = zip(leaked["row"], leaked["leaked_from"], strict=True)
    return ", ".join(f"test row {there} is train row {here}" for there, here in pairs)


def _listed(labels: Sequence[str]) -> str:
    return listed([repr(label[:40]) for label in labels]) or "none"


def listed(parts: Sequence[str], most: int = 10) -> str:
    """The first `most` of them, and how many more there are."""
    shown = ", ".join(parts[:most])
    return f"{shown} and {len(parts) - most:,} more" if len(parts) > most else shown
