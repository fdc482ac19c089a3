"""Rows that nothing is trained on or measured by: unlabelled, leaked, or of a class too rare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from incumbent import label_sets
from incumbent.data import datasets, label_spellings
from incumbent.data.label_arrays import truth_of
from incumbent.tables import training_files
from incumbent.validation import text_checks
from incumbent.validation.check_base import Side, count, listed
from incumbent.validation.similar_labels import guessed
from incumbent.validation.validation_verdict import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from incumbent.config import ValidationConfig
    from incumbent.data.datasets import Dataset, Split

FEW = 0.05
"""The share of a split up to which rows are a few."""

_ROWS = 20  # how many rows a finding names


@dataclass(frozen=True)
class Kept:
    """A dataset without the rows that were left out."""

    dataset: Dataset
    train: pd.DataFrame
    """The outline of train (see `text_checks.outline`)."""
    test: pd.DataFrame
    """The outline of test."""
    findings: tuple[Finding, ...] = ()
    """What was left out."""


def leave_out(dataset: Dataset, config: ValidationConfig) -> Kept:
    """Take out what `config` says to leave out; a new dataset is written for it, if need be.

    Raises:
        DataError: if the dataset cannot be read, or the new one not be written.
    """
    train, test = (
        text_checks.outline(datasets.parts(split)) for split in (dataset.train, dataset.test)
    )
    splits: tuple[tuple[Side, Split], ...] = ("train", dataset.train), ("test", dataset.test)
    kept = Kept(
        dataset, train, test,
        (
            *(_of_unlabelled(side, split) for side, split in splits if split.unlabelled),
            *(_of_disputed(side, split) for side, split in splits if split.settled.set_aside),
        ),
    )  # fmt: skip
    kept = _without_leaks(kept, config)
    rare_ones_go = config.on_rare_class == "drop" and dataset.train_known
    return _without_rare(kept, config) if rare_ones_go else kept


def _of_unlabelled(side: Side, split: Split) -> Finding:
    return Finding(
        split=side, name="unlabelled", severity="warn", passed=False, count=split.unlabelled,
        message=f"Left out: {count(split.unlabelled, 'row')} without a label."
        + (f" They are kept in {split.unlabelled_path}." if split.unlabelled_path else ""),
        rows=split.unlabelled_rows,
    )  # fmt: skip


def _of_disputed(side: Side, split: Split) -> Finding:
    settled = split.settled
    return Finding(
        split=side, name="disagreement", severity="warn", passed=False, count=settled.set_aside,
        message=f"Left out: {count(settled.set_aside, 'row')} that people label differently, as "
        "data.on_disagreement: set_aside asks. Have one of them decide.",
        rows=settled.set_aside_rows,
    )  # fmt: skip


def _without_leaks(kept: Kept, config: ValidationConfig) -> Kept:
    """Without the training rows whose text test holds, if they shall go."""
    train, test = kept.train, kept.test
    leaked = standing_in(test["text"], train["text"])
    if not leaked.any() or config.on_leak not in ("drop", "auto"):
        return kept
    if config.on_leak == "auto" and not _few(train, test, leaked):
        return kept
    asked = (
        "as validation.on_leak: drop asks" if config.on_leak == "drop"
        else "which costs nothing; where they are many the data is refused (validation.on_leak)"
    )  # fmt: skip
    finding = _finding(
        "train", "leak", train, leaked,
        f"Left out of training: {count(int(leaked.sum()), 'row')} whose text stands in test too, "
        f"{asked}.{_labelled_otherwise(train[leaked], test)}",
    )  # fmt: skip
    dataset = datasets.rewritten(
        kept.dataset, datasets.keep(kept.dataset.train, ~leaked),
        datasets.parts(kept.dataset.test), kept.dataset.label_names,
    )  # fmt: skip
    outline = train[~leaked].reset_index(drop=True)
    return Kept(dataset, outline, test, (*kept.findings, finding))


def _labelled_otherwise(leaked: pd.DataFrame, test: pd.DataFrame) -> str:
    """What to say of leaked training rows that have other labels than test, if any do."""
    known = set(zip(test["text"], test["label"], strict=True))
    other = sum(pair not in known for pair in zip(leaked["text"], leaked["label"], strict=True))
    if not other:
        return ""
    return (
        f" {count(other, 'row')} of them {'has' if other == 1 else 'have'} another label than in "
        "test: to correct the test set, add them to its file, with data.on_disagreement: latest "
        "and promotion.new_reign: true, as it is another test set then."
    )


def standing_in(others: pd.Series[Any], texts: pd.Series[Any]) -> NDArray[np.bool_]:
    """Which of the texts (n,), as the outline has them, are among others.

    These are handed over as a series: of a set, pandas makes an array of NumPy's `bytes`, which
    loses zeros at the end of each, and so the text of one hash in 256.
    """
    return texts.isin(others.dropna()).to_numpy()


def _few(train: pd.DataFrame, test: pd.DataFrame, leaked: NDArray[np.bool_]) -> bool:
    """Whether the leaked training rows (n,) are a few: of all, or else of each file by itself.

    So files that may each be trained on alone may be together, however many they are.
    """

    def few(among: NDArray[np.bool_]) -> bool:
        held = standing_in(train["text"][among & leaked], test["text"]).mean()
        return bool(max(leaked[among].mean(), held) <= FEW)

    files = training_files.position(train["row"].to_numpy())
    return few(np.ones_like(leaked)) or all(few(files == file) for file in np.unique(files[leaked]))


def _without_rare(kept: Kept, config: ValidationConfig) -> Kept:
    """Without the classes that train has too few rows of, here and in test.

    A row with several labels loses the rare ones; one with no other is left out.
    """
    dataset, fewest = kept.dataset, config.min_rows_per_class
    counts = _rows_to_learn_each(kept.train["label"], dataset)
    named = label_spellings.as_in(counts, config.labels or counts)
    rare = {name for name, rows in counts.items() if rows < fewest and name in named}
    known = tuple(name for name in counts if name not in rare)
    strange = _labels_in(kept.test["label"], dataset) - set(counts)
    if strange and _having(kept.test["label"], strange, dataset).mean() > FEW:
        strange = set()  # too many for a chance: validation refuses them
    if not rare | strange:
        return kept
    findings = [*kept.findings]
    sides: tuple[tuple[Side, pd.DataFrame], ...] = ("train", kept.train), ("test", kept.test)
    for side, frame in sides:
        having = _having(frame["label"], rare | strange, dataset)
        if having.any():
            there = sorted(_labels_in(frame["label"][having], dataset) & (rare | strange))
            message = (
                f"Left out: {guessed(there, known)}, in {count(int(having.sum()), 'row')}. Train "
                f"has fewer than {fewest:,} rows of each (validation.min_rows_per_class, "
                f"on_rare_class: drop): with {_missing(there, counts, fewest)} they are trained on."
            )
            findings.append(_finding(side, "rare_class", frame, having, message))
    names = tuple(name for name in dataset.label_names if name not in rare)
    without = rare | strange
    smaller = datasets.rewritten(
        dataset, _relabelled(dataset.train, without, dataset),
        _relabelled(dataset.test, without, dataset), names,
    )  # fmt: skip
    train, test = (
        text_checks.outline(datasets.parts(split)) for split in (smaller.train, smaller.test)
    )
    return Kept(smaller, train, test, tuple(findings))


def _missing(labels: Sequence[str], counts: Mapping[str, int], fewest: int) -> str:
    """How many more rows each of the labels needs."""
    return listed([f"{fewest - counts.get(name, 0):,} more of {name[:40]!r}" for name in labels])


def _rows_to_learn_each(label: pd.Series[str], dataset: Dataset) -> dict[str, int]:
    """The rows of each label; of several a row, those with it or without it, whichever is less."""
    if dataset.multilabel:
        having = truth_of(label, dataset.classes, multilabel=True).sum(axis=0)
        fewer = np.minimum(having, len(label) - having).tolist()
        return dict(zip(dataset.classes, fewer, strict=True))
    return {str(name): int(rows) for name, rows in label[label != ""].value_counts().items()}


def _labels_in(label: pd.Series[str], dataset: Dataset) -> set[str]:
    texts = set(label) - {""}
    return {n for text in texts for n in label_sets.split(text)} if dataset.multilabel else texts


def _having(label: pd.Series[str], names: Collection[str], dataset: Dataset) -> NDArray[np.bool_]:
    """Which rows (n,) have any of these labels."""
    if not dataset.multilabel:
        return label.isin(list(names)).to_numpy()
    of_sets = {text: not set(names).isdisjoint(label_sets.split(text)) for text in set(label)}
    return np.array([of_sets[text] for text in label], dtype=bool)


def _relabelled(split: Split, without: Collection[str], dataset: Dataset) -> Iterator[pd.DataFrame]:
    """The rows of a split without some labels."""
    for part in datasets.parts(split):
        if not dataset.multilabel:
            yield part[~part["label"].isin(list(without))]
            continue
        left = part["label"].map(
            lambda text: label_sets.join(n for n in label_sets.split(text) if n not in without)
        )
        yield part.assign(label=left)[(left != label_sets.NONE) | (part["label"] == left)]


def _finding(
    side: Side, name: str, frame: pd.DataFrame, chosen: NDArray[np.bool_], message: str
) -> Finding:
    return Finding(
        split=side, name=name, severity="warn", passed=False, count=int(chosen.sum()),
        message=message, rows=tuple(int(row) for row in frame["row"][chosen].head(_ROWS)),
    )  # fmt: skip
