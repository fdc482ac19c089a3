"""Labels that a reader may take for another, or for several: what is asked about."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import TYPE_CHECKING, Any

from incumbent import label_sets
from incumbent.data.label_spellings import loose_key, sharing_parts
from incumbent.validation.check_base import Check, count, listed, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd

    from incumbent.config import ValidationConfig

_LIKE = 0.75  # of difflib's ratio, from which a label is taken for a slip of another


def nearest(label: str, known: Collection[str]) -> str:
    """The known label that another may be a slip of; "" if it is like none."""
    loose = {loose_key(name): name for name in known}
    near = difflib.get_close_matches(loose_key(label), list(loose), n=1, cutoff=_LIKE)
    return loose[near[0]] if near else ""


def guessed(labels: Collection[str], known: Collection[str]) -> str:
    """Labels in quotes, each with the known one that it may be a slip of."""
    return listed(
        [
            quoted([label]) + (f" (did you mean {quoted([near])}?)" if near else "")
            for label in labels
            for near in [nearest(label, known)]
        ]
    )


def columns_of(label: pd.Series[str], *, sets: bool) -> dict[str, Any]:
    """What the checks look at.

    `similar` says that a row's label is like a more common one, `joined` that it looks like
    several.
    """
    counts = _rows_of_each(label, sets=sets)
    similar = _similar(counts)
    joined = {} if sets else sharing_parts(list(counts))
    return {
        "similar": label.map(lambda it: not similar.keys().isdisjoint(_names(it, sets=sets))),
        "joined": label.isin(list(joined)),
    }


def checks_of(config: ValidationConfig, *, sets: bool) -> list[Check]:
    """The checks of labels that are like others."""

    def pairs(frame: pd.DataFrame) -> str:
        counts = _rows_of_each(frame["label"], sets=sets)
        return listed(
            [
                f"{quoted([label])} ({count(counts[label], 'row')}) beside {quoted([other])} "
                f"({counts[other]:,})"
                for label, other in sorted(_similar(counts).items())
            ]
        )

    similar = Check(
        "similar_labels",
        config.on_similar_labels,
        "No labels differ in case alone.",
        "ExpectColumnValuesToBeInSet",
        {"column": "similar", "value_set": [False]},
        lambda frame: f"labels differ in case or form alone: {pairs(frame)}",
        "Write them alike if they are one: each is a class of its own",
        "on_similar_labels",
    )
    joined = Check(
        "joined_labels",
        config.on_similar_labels,
        "No cell looks like several labels.",
        "ExpectColumnValuesToBeInSet",
        {"column": "joined", "value_set": [False]},
        lambda frame: f"labels share parts, like {_joined(frame)}: each is a class of its own",
        "If a cell holds several labels, set data.label_separator to what stands between them",
        "on_similar_labels",
    )
    return [similar] if sets else [similar, joined]


def _joined(frame: pd.DataFrame) -> str:
    shared = sharing_parts(sorted(set(frame["label"]) - {""}))
    signs = "".join(sorted({sign for between in shared.values() for sign in between}))
    return f"{quoted(sorted(shared))} (between them stands {signs!r})"


def _names(label: str, *, sets: bool) -> tuple[str, ...]:
    return label_sets.split(label) if sets else (label,)


def _rows_of_each(label: pd.Series[str], *, sets: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text, rows in label[label != ""].value_counts().items():
        for name in _names(str(text), sets=sets):
            counts[name] += int(rows)
    return counts


def _similar(counts: Mapping[str, int]) -> dict[str, str]:
    """The labels that are like a more common one, each with that."""
    first: dict[str, str] = {}
    for label in sorted(counts, key=lambda it: (counts[it], it), reverse=True):
        first.setdefault(loose_key(label), label)
    return {label: other for label in counts if (other := first[loose_key(label)]) != label}
