"""The checks of labels, for one class a row and for sets of labels."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np

from incumbent import label_sets
from incumbent.data import label_spellings
from incumbent.data.label_arrays import truth_of
from incumbent.validation.check_base import Check, Side, count, listed, quoted
from incumbent.validation.similar_labels import guessed

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from incumbent.config import Severity, ValidationConfig


def known_labels(config: ValidationConfig, classes: Sequence[str]) -> dict[Side, tuple[str, ...]]:
    """The labels that each split may hold; `classes` are those of train, and are spelled right.

    Train may hold what the config names, or else anything. Test may hold what train does, too:
    a model knows no other class.
    """
    named = label_spellings.as_in(classes, filter(None, config.labels or ())) or tuple(classes)
    if config.on_rare_class == "drop":
        named = tuple(label for label in named if label in classes)
    return {"train": named, "test": tuple(label for label in named if label in classes)}


def columns_of(label: pd.Series[str], known: Sequence[str], *, sets: bool) -> dict[str, Any]:
    """What the checks of labels look at: see `text_checks.annotate`."""
    return _columns_of_sets(label, known) if sets else _columns_of_classes(label, known)


def checks_of(
    side: Side, config: ValidationConfig, known: Sequence[str], sample: int | None, *, sets: bool
) -> list[Check]:
    """The checks of labels; for the arguments see `text_checks.for_split`."""
    return (_of_sets if sets else _of_classes)(side, config, known, sample)


def _columns_of_classes(label: pd.Series[str], known: Sequence[str]) -> dict[str, Any]:
    classes = label.where(label.isin(list(known)))
    return {
        "known_label": classes.notna(),
        "class_rows": classes.groupby(classes).transform("size").astype(float),
    }


def _columns_of_sets(label: pd.Series[str], known: Sequence[str]) -> dict[str, Any]:
    has = truth_of(label, known, multilabel=True)
    having = has.sum(axis=0)
    lacking = len(has) - having
    return {
        "known_label": label.map(lambda text: label_sets.is_set_of(text, known)).astype(bool),
        "class_rows": np.where(has, having, lacking).min(axis=1, initial=len(has)).astype(float),
        "undivided": int(((having == 0) | (lacking == 0)).sum()),
    }


def _of_classes(
    side: Side, config: ValidationConfig, known: Sequence[str], sample: int | None
) -> list[Check]:
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
        "data.label_columns names the right column",
    )
    return [
        Check(
            "label",
            "error",
            f"Every row has one of the known labels: {quoted(known)}.",
            "ExpectColumnValuesToBeInSet",
            {"column": "known_label", "value_set": [True]},
            lambda frame: f"{_unknown(frame, known)}; known are {quoted(known)}",
            "Correct them, or name every label in validation.labels"
            if side == "train"
            else "Correct them, or add such rows to train (and the label to validation.labels, if "
            "that is set): a model knows the classes of train alone",
        ),
        *([one_class] if side == "train" else []),
        _rows(config, sample),
        Check(
            "classes",
            _severity(side, config.on_rows),
            f"Every class is there: {quoted(known)}.",
            "ExpectColumnDistinctValuesToContainSet",
            {"column": "label", "value_set": [html.escape(label) for label in known]},
            lambda frame: f"no row of {quoted(sorted(set(known) - set(frame['label'])))}",
            f"{_more('rows of every class', sample)}, or take it out of validation.labels",
            "on_rows" if side == "train" else "",
        ),
        Check(
            "class_rows",
            _severity(side, _of_rare(config)),
            f"Every class has at least {fewest:,} rows.",
            "ExpectColumnValuesToBeBetween",
            {"column": "class_rows", "min_value": fewest},
            lambda frame: _small(frame, fewest),
            f"{_more('rows of these classes', sample)}, or {_fewer(side)}",
        ),
    ]


def _of_sets(
    side: Side, config: ValidationConfig, known: Sequence[str], sample: int | None
) -> list[Check]:
    """What `_of_classes` checks, of rows that may have any of the labels."""

    def counts(frame: pd.DataFrame) -> dict[str, int]:
        having = truth_of(frame["label"], known, multilabel=True).sum(axis=0).tolist()
        return dict(zip(known, having, strict=True))

    def undivided(frame: pd.DataFrame) -> str:
        none = [name for name, rows in counts(frame).items() if not rows]
        every = [name for name, rows in counts(frame).items() if rows == len(frame)]
        parts = [f"no row has {quoted(none)}"] * bool(none)
        return " and ".join([*parts, *[f"every row has {quoted(every)}"] * bool(every)])

    def few(frame: pd.DataFrame) -> str:
        short = [
            (rows, f"{how} {name[:40]!r}")
            for name, having in counts(frame).items()
            for rows, how in ((having, "with"), (len(frame) - having, "without"))
            if 0 < rows < fewest
        ]
        return _short(short, fewest, "each")

    fewest = config.min_rows_per_class
    return [
        Check(
            "label",
            "error",
            f"Every row has known labels, or none: {quoted(known)}.",
            "ExpectColumnValuesToBeInSet",
            {"column": "known_label", "value_set": [True]},
            lambda frame: f"{_unknown(frame, known)}; known are {quoted(known)}",
            "Correct them, or add such rows to train: a model knows the labels of train alone",
        ),
        _rows(config, sample),
        Check(
            "classes",
            "error" if side == "train" else _severity(side, config.on_rows),
            f"Some rows have each label, and some do not: {quoted(known)}.",
            "ExpectColumnSumToBeBetween",
            {"column": "undivided", "min_value": 0, "max_value": 0},
            undivided,
            f"{_more('rows that have each label, and rows that do not', sample)}, or take it out "
            "of data.label_columns",
        ),
        Check(
            "class_rows",
            _severity(side, _of_rare(config)),
            f"At least {fewest:,} rows have each label, and at least {fewest:,} do not.",
            "ExpectColumnValuesToBeBetween",
            {"column": "class_rows", "min_value": fewest},
            few,
            f"{_more('such rows', sample)}, or {_fewer(side)}",
        ),
    ]


def _severity(side: Side, severity: Severity) -> Severity:
    """A class too rare to be tested is reported, and no reason to train nothing."""
    return "warn" if side == "test" and severity == "error" else severity


def _of_rare(config: ValidationConfig) -> Severity:
    """The severity of a class that is too rare; those that shall be left out are, before."""
    rule = config.on_rare_class or config.on_rows
    return "error" if rule == "drop" else rule


def _fewer(side: Side) -> str:
    lower = "lower validation.min_rows_per_class"
    return f"{lower}, or set validation.on_rare_class to drop" if side == "train" else lower


def _rows(config: ValidationConfig, sample: int | None) -> Check:
    return Check(
        "rows",
        config.on_rows,
        f"There are at least {config.min_rows:,} rows.",
        "ExpectTableRowCountToBeBetween",
        {"min_value": config.min_rows},
        lambda frame: (
            f"{count(len(frame), 'row')}, and at least {config.min_rows:,} needed: "
            f"{config.min_rows - len(frame):,} more"
        ),
        f"{_more('rows', sample)}, or lower validation.min_rows",
    )


def _more(rows: str, sample: int | None) -> str:
    return f"Raise data.sample, which cut the rows to {sample:,}" if sample else f"Add {rows}"


def _unknown(frame: pd.DataFrame, known: Sequence[str]) -> str:
    counts = frame["label"][~frame["known_label"]].value_counts(sort=False)
    formulas = ((frame["label"] == "") & frame["formula"]).sum()
    none, named = counts.get("", 0) - formulas, sorted(label for label in counts.index if label)
    parts = [f"{count(none, 'row')} without a label"] if none else []
    if formulas:
        parts.append(
            f"{count(formulas, 'row')} with a formula where a label belongs (paste it as a value)"
        )
    if named:
        parts.append(f"{count(counts[named].sum(), 'row')} with the label {guessed(named, known)}")
    return " and ".join(parts)


def _small(frame: pd.DataFrame, fewest: int) -> str:
    """Which classes have too few rows, and how many more of each are needed."""
    counts = frame["label"][frame["class_rows"] < fewest].value_counts().sort_index()
    short = [(size, f"of {str(label)[:40]!r}") for label, size in counts.items()]
    return _short(short, fewest, "each class")


def _short(short: Sequence[tuple[int, str]], fewest: int, each: str) -> str:
    """How many rows there are, and how many are missing, of what has too few."""
    there = listed([f"{count(rows, 'row')} {which}" for rows, which in short])
    missing = listed([f"{fewest - rows:,} more {which}" for rows, which in short])
    return f"{there}, and at least {fewest:,} of {each} needed: {missing}"
