"""Rows that fail by themselves: set aside if they are few, each with the reason in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from incumbent import label_sets
from incumbent.data import datasets
from incumbent.tables import training_files
from incumbent.validation import label_checks, rows_left_out, text_checks
from incumbent.validation.check_base import count, listed, quoted
from incumbent.validation.similar_labels import guessed
from incumbent.validation.validation_verdict import BadRow, Finding, refuses

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Any

    import pandas as pd
    from numpy.typing import NDArray

    from incumbent.config import ValidationConfig
    from incumbent.data.datasets import Dataset

SHEET = "rows_set_aside.xlsx"
"""What the workbook of these rows is called among the files of a run."""

FEW = 3
"""So many bad rows are set aside whatever their share, if the file has more good ones."""

MOST = 10_000
"""So many bad rows are listed."""

_ROWS = 20  # that a finding names
CELLS: dict[str, Literal["text", "label"]] = {
    "empty": "text", "not_text": "text", "length": "text", "control": "text", "repeat": "text",
    "conflict": "label", "label": "label", "similar_labels": "label", "joined_labels": "label",
}  # fmt: skip
"""The checks that a row fails by itself, and the cell that is wrong then."""

_IN_SHORT = {
    "empty": "without a text", "not_text": "with a cell that holds no text",
    "length": "with a text too short or too long", "control": "with control characters",
    "repeat": "that repeat a text", "conflict": "with a text that has other labels too",
    "label": "without a known label", "similar_labels": "with a label like another",
    "joined_labels": "with a label that looks like several",
}  # fmt: skip
_KINDS = {
    "formula": "a formula; paste it as a value", "error": "an error such as #N/A",
    "number": "a number", "date": "a date", "boolean": "TRUE or FALSE", "no words": "no words",
}  # fmt: skip


@dataclass(frozen=True)
class SetAside:
    """A dataset without its bad rows, or with those of files that have too many."""

    dataset: Dataset
    rows: tuple[BadRow, ...] = ()
    """Its bad rows, the first `MOST`."""
    findings: tuple[Finding, ...] = ()
    """What is to be said of it."""


def set_aside(dataset: Dataset, config: ValidationConfig) -> SetAside:
    """Take the bad rows of train out, of each file that has few; a new dataset is written then.

    The frozen test set is left as it is.

    Raises:
        DataError: if the dataset cannot be read, or the new one not be written.
    """
    if config.bad_rows != "set_aside" or not dataset.train_known:
        return SetAside(dataset)
    frame, fails, known = _looked_into(dataset, config)
    bad = _any(fails, len(frame))
    if not bad.any():
        return SetAside(dataset)
    numbers = frame["row"].to_numpy()
    files = training_files.position(numbers)
    named = dataset.train.files or (dataset.train.source,)
    files = training_files.sources(np.bincount(files, minlength=len(named)), named)[files]
    too_many = [
        int(file) for file in np.unique(files[bad])
        if not few(int(bad[files == file].sum()), int((files == file).sum()), config)
    ]  # fmt: skip
    findings = [_refusing(dataset, bad, files, numbers, file, config) for file in too_many]
    gone = bad & ~np.isin(files, too_many)
    if not gone.any():
        return SetAside(dataset, findings=tuple(findings))
    left = datasets.rewritten(
        dataset, datasets.keep(dataset.train, ~gone), datasets.parts(dataset.test),
        _names_left(dataset, frame, gone, known),
    )  # fmt: skip
    vanished = [
        label for label, rows in dataset.train.labels.items()
        if rows and label in known and not left.train.labels.get(label)
    ]  # fmt: skip
    train = left.train.model_copy(update={"set_aside": int(gone.sum())})
    left = left.model_copy(update={"train": train})
    found = _finding(frame, fails, gone, vanished)
    return SetAside(
        left, _listed(frame, fails, gone, known, config, sets=dataset.multilabel),
        (*findings, found),
    )  # fmt: skip


def bad_rows(dataset: Dataset, config: ValidationConfig) -> tuple[BadRow, ...]:
    """The rows of train that fail by themselves, whatever becomes of them.

    Raises:
        DataError: if the dataset cannot be read.
    """
    frame, fails, known = _looked_into(dataset, config)
    bad = _any(fails, len(frame))
    return _listed(frame, fails, bad, known, config, sets=dataset.multilabel)


def leaked(dataset: Dataset) -> tuple[BadRow, ...]:
    """The rows of train whose text stands in test.

    Raises:
        DataError: if the dataset cannot be read.
    """
    train, test = (
        text_checks.outline(datasets.parts(split)) for split in (dataset.train, dataset.test)
    )
    rows = train["row"][rows_left_out.standing_in(test["text"], train["text"])]
    reason = "The same text stands in the test set, by which the model is measured: delete the row."
    return tuple(BadRow(row=int(row), cells=("text",), reason=reason) for row in rows.head(MOST))


def frozen(findings: Iterable[Finding], config: ValidationConfig) -> list[Finding]:
    """The findings, where those that refuse rows of test say why these are not set aside."""
    why = " Rows of the test set are never set aside: it is frozen."
    return [
        finding.model_copy(update={"message": finding.message + why})
        if config.bad_rows == "set_aside" and finding.split == "test" and refuses(finding)
        and finding.name in CELLS
        else finding
        for finding in findings
    ]  # fmt: skip


def few(bad: int, rows: int, config: ValidationConfig) -> bool:
    """Whether so many bad rows of a file are few enough to be set aside."""
    return bad <= config.bad_rows_share * rows or (bad <= FEW and 2 * bad < rows)


def _looked_into(
    dataset: Dataset, config: ValidationConfig
) -> tuple[pd.DataFrame, dict[str, NDArray[np.bool_]], tuple[str, ...]]:
    """Train annotated, which of its rows (n,) fail each check of rows, and the known labels."""
    train, test = (
        text_checks.outline(datasets.parts(split)) for split in (dataset.train, dataset.test)
    )
    known = label_checks.known_labels(config, dataset.classes)["train"]
    frame = text_checks.annotate(train, test, known, sets=dataset.multilabel)
    checks = text_checks.for_split("train", config, known, sets=dataset.multilabel)
    fails = {
        check.name: check.fails(frame).to_numpy(dtype=np.bool_)
        for check in checks
        if check.name in CELLS and check.severity == "error"
    }
    return frame, fails, known


def _any(fails: Mapping[str, NDArray[np.bool_]], rows: int) -> NDArray[np.bool_]:
    found = np.zeros(rows, dtype=np.bool_)
    for which in fails.values():
        found |= which
    return found


def _names_left(
    dataset: Dataset, frame: pd.DataFrame, gone: NDArray[np.bool_], known: Collection[str]
) -> tuple[str, ...]:
    """The labels of sets, without the unknown ones that no row has any more."""
    if not dataset.multilabel:
        return ()
    left = {name for text in set(frame["label"][~gone]) for name in label_sets.split(text)}
    left |= {name for name, rows in dataset.test.labels.items() if rows} | {*known}
    return tuple(name for name in dataset.label_names if name in left)


def _finding(
    frame: pd.DataFrame, fails: Mapping[str, NDArray[np.bool_]], gone: NDArray[np.bool_],
    vanished: Sequence[str],
) -> Finding:  # fmt: skip
    number = int(gone.sum())
    kinds = [
        f"{rows:,} {_IN_SHORT[name]}" for name, which in fails.items()
        if (rows := int((which & gone).sum()))
    ]  # fmt: skip
    first = f"the first {MOST:,} of them" if number > MOST else "them"
    lost = f" No row is left of {quoted(vanished)}." if vanished else ""
    return Finding(
        split="train", name="set_aside", severity="warn", passed=False, count=number,
        message=f"Set aside: {count(number, 'row')} ({listed(kinds)}).{lost} The workbook {SHEET} "
        f"lists {first} with reasons: correct them there, and add it to the training data.",
        rows=tuple(int(row) for row in frame["row"][gone].head(_ROWS)),
    )  # fmt: skip


def _refusing(
    dataset: Dataset, bad: NDArray[np.bool_], files: NDArray[np.int64],
    numbers: NDArray[np.int64], file: int, config: ValidationConfig,
) -> Finding:  # fmt: skip
    among = files == file
    of_file = np.unique(training_files.position(numbers[among])).tolist()
    named = [dataset.train.files[at] for at in of_file] if dataset.train.files else []
    where = training_files.above(named) if named else dataset.train.source
    rows = numbers[bad & among]
    return Finding(
        split="train", name="bad_rows", severity="error", passed=False, count=len(rows),
        message=f"{len(rows):,} of the {count(int(among.sum()), 'row')} of {where} are bad, and "
        f"at most {config.bad_rows_share:.0%} are set aside. Correct them, or raise "
        "validation.bad_rows_share.",
        rows=tuple(int(row) for row in rows[:_ROWS]),
    )  # fmt: skip


def _listed(
    frame: pd.DataFrame, fails: Mapping[str, NDArray[np.bool_]], chosen: NDArray[np.bool_],
    known: Sequence[str], config: ValidationConfig, *, sets: bool,
) -> tuple[BadRow, ...]:  # fmt: skip
    places = np.flatnonzero(chosen)[:MOST]
    rows: list[BadRow] = []
    for at, row in zip(places, frame.iloc[places].to_dict("records"), strict=True):
        names = [name for name, which in fails.items() if which[at]]
        reasons = [_reason(name, row, known, config, sets=sets) for name in names]
        cells = tuple(dict.fromkeys(CELLS[name] for name in names))
        rows.append(BadRow(row=int(row["row"]), cells=cells, reason=" ".join(reasons)))
    return tuple(rows)


def _reason(
    name: str, row: Mapping[Any, Any], known: Sequence[str], config: ValidationConfig, *,
    sets: bool,
) -> str:  # fmt: skip
    label = str(row["label"])
    if name == "label" and (row["formula"] or not label):
        return "The label is a formula without a value; paste it as a value."
    if name == "label":
        of_row = label_sets.split(label) if sets else (label,)
        unknown = [part for part in of_row if part not in known]
        return f"The label {guessed(unknown, known)} is not a known one; known are {quoted(known)}."
    if name == "length":
        least, most = config.min_characters, config.max_characters
        return (
            f"The text has {count(int(row['length']), 'character')}; {least:,} to {most:,} are "
            "expected."
        )
    if name == "similar_labels":
        return f"The label {quoted([label])} differs from another in case or form alone."
    return {
        "empty": "There is no text.",
        "not_text": f"Where the text belongs stands {_KINDS.get(str(row['found']), 'no text')}.",
        "control": "The text holds control characters, which cannot be seen.",
        "repeat": "The same text stands in an earlier row too.",
        "conflict": "The same text stands in another row, with another label.",
        "joined_labels": f"The label {quoted([label])} looks like several labels.",
    }[name]
