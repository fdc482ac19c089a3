"""Rows that are labelled more than once: which of their labels count.

A row is the same as another where both have one id (`data.id_column`), or else, where neither has
any, where their texts are the same after case and white space are folded. Of such rows one is kept,
and `data.on_disagreement` says which: so a correction is a row that is added further down, or in a
later file. Texts need not fit into memory: they are known by 128 bits (BLAKE2b, RFC 7693).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel

from incumbent.data import agreement
from incumbent.data.agreement import Agreement
from incumbent.data.canonical_text import fold
from incumbent.tables import training_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

Policy = Literal["latest", "majority", "set_aside", "keep"]

COLUMNS = ("id", "annotator", "date")
"""Columns of rows that are to be settled, beside those of a canonical split: str, "" where there is
none, and int64 nanoseconds since 1970, `NO_DATE` where there is none. They are not stored."""

NO_DATE = int(np.iinfo(np.int64).min)
"""The date of a row without one: earlier than any."""

_NAMED = 10  # files that are named
_FIRST = 20  # rows that were set aside, which are named


class Settled(BaseModel, frozen=True):
    """What became of the rows of a split that were labelled more than once."""

    replaced: int = 0
    """Labels that another one of the same row replaced."""
    replaced_by: dict[int, int] = {}
    """How many of them by each file, which has its position among the files of the split."""
    repeated: int = 0
    """Rows that were left out, as they say again what the kept one of the same row says."""
    set_aside: int = 0
    """Rows that were left out, as people label them differently."""
    set_aside_rows: tuple[int, ...] = ()
    """The first of them."""
    agreement: Agreement | None = None
    """How far people agree, where it is known who labelled what."""

    def in_words(self, files: Sequence[str]) -> str:
        """What became of them, where anything did; `files` are those of the split."""
        shown = [*self.replaced_by.items()][:_NAMED]
        by = ", ".join(f"{count:,} by {training_files.short(files[at])}" for at, count in shown)
        if more := len(self.replaced_by) - len(shown):
            by += f" and others by {more:,} more {'file' if more == 1 else 'files'}"
        parts = [
            f"{self.replaced:,} {'label' if self.replaced == 1 else 'labels'} replaced ({by})",
            f"{self.repeated:,} {'row' if self.repeated == 1 else 'rows'} given again",
            f"{self.set_aside:,} {'row' if self.set_aside == 1 else 'rows'} set aside, as people "
            "label them differently",
        ]
        counts = self.replaced, self.repeated, self.set_aside
        return "; ".join(part for part, rows in zip(parts, counts, strict=True) if rows)


@dataclass(frozen=True)
class _Rows:
    """All labelled rows (n,) of a split, as numbers."""

    at: NDArray[np.int64]
    """Where each stands in the split."""
    unit: NDArray[np.int64]
    """Which rows are the same one."""
    label: NDArray[np.int64]
    person: NDArray[np.int64]
    """-1 where nobody is named."""
    has_id: NDArray[np.bool_]
    time: NDArray[np.int64]
    """Their order by date, file and row."""
    number: NDArray[np.int64]
    """As the user's program numbers them; see `training_files`."""


def settle(
    parts: Iterable[pd.DataFrame], spelling: Mapping[str, str], *, policy: Policy, sets: bool
) -> tuple[NDArray[np.bool_], Settled]:
    """Say which rows (n,) of a split count, and what became of the others.

    Args:
        parts: The split, with `COLUMNS`.
        spelling: The labels of cells that are written otherwise, so that two spellings of one
            label are no disagreement.
        policy: See `DataConfig.on_disagreement`.
        sets: Whether labels are sets, as `label_sets.join` writes them.
    """
    rows, total, people, labels = _read(parts, spelling)
    kept = np.ones(total, dtype=np.bool_)
    if not len(rows.at):
        return kept, Settled()
    votes = _votes(rows)
    named = votes[rows.person[votes] >= 0]
    found = agreement.measured(
        rows.unit[named], rows.person[named], rows.label[named], people, labels, sets=sets
    )
    if policy == "keep":
        return kept, Settled(agreement=found)
    winner, disputed = _winners(rows, votes, policy)
    out = _concerned(rows)[rows.unit] & (winner[rows.unit] != np.arange(len(rows.at)))
    kept[rows.at[out]] = False
    aside = out & disputed[rows.unit]
    gone = np.flatnonzero(out & ~aside)
    by = winner[rows.unit[gone]]
    other = rows.label[gone] != rows.label[by]
    files, counts = np.unique(training_files.position(rows.number[by[other]]), return_counts=True)
    return kept, Settled(
        replaced=int(other.sum()),
        replaced_by=dict(zip(files.tolist(), counts.tolist(), strict=True)),
        repeated=int((~other).sum()),
        set_aside=int(aside.sum()),
        set_aside_rows=tuple(rows.number[aside][:_FIRST].tolist()),
        agreement=found,
    )


def _read(
    parts: Iterable[pd.DataFrame], spelling: Mapping[str, str]
) -> tuple[_Rows, int, list[str], list[str]]:
    """The rows that can be compared, how many there are in all, the people and the labels.

    A row without a label, or without text where it has no id, is the same as no other.
    """
    people: dict[str, int] = {"": -1}
    labels: dict[str, int] = {}
    columns: list[tuple[NDArray[np.int64] | NDArray[np.uint64], ...]] = []
    start = 0
    for part in parts:
        ids, cells = part["id"].tolist(), part["label"].tolist()
        folded = [key or fold(text) for key, text in zip(ids, part["text"], strict=True)]
        there = [bool(text and label) for text, label in zip(folded, cells, strict=True)]
        at = np.flatnonzero(there)
        keys = [_digest(bool(ids[row]), folded[row]) for row in at]
        named = [spelling.get(cells[row], cells[row]) for row in at]
        who = part["annotator"].tolist()
        columns.append(
            (
                *np.frombuffer(b"".join(keys), np.uint64).reshape(-1, 2).T,
                np.array([bool(ids[row]) for row in at], np.int64),
                np.array([labels.setdefault(name, len(labels)) for name in named], np.int64),
                np.array([people.setdefault(who[r], len(people) - 1) for r in at], np.int64),
                part["date"].to_numpy(np.int64)[at],
                part["row"].to_numpy(np.int64)[at],
                at + start,
            )
        )
        start += len(part)
    high, low, has_id, label, person, date, number, at = (
        np.concatenate(column) for column in zip(*columns, strict=True)
    )
    keys_of = pd.DataFrame({"high": high, "low": low}).groupby(["high", "low"], sort=False)
    unit: NDArray[np.int64] = keys_of.ngroup().to_numpy().astype(np.int64)
    time = np.empty(len(at), np.int64)
    time[np.lexsort((at, date))] = np.arange(len(at))
    rows = _Rows(
        at=at, unit=unit, label=label, person=person, has_id=has_id.astype(np.bool_),
        time=time, number=number,
    )  # fmt: skip
    del people[""]
    return rows, start, list(people), list(labels)


def _digest(is_id: bool, text: str) -> bytes:
    """What an id, or a text, is known by; no id is taken for a text."""
    return blake2b(text.encode(), digest_size=16, person=b"id" if is_id else b"text").digest()


def _votes(rows: _Rows) -> NDArray[np.int64]:
    """The rows that speak for a person: the last that each labelled of a unit.

    Where nobody is named, each row is another person's.
    """
    person = np.where(rows.person >= 0, rows.person, -1 - np.arange(len(rows.at)))
    order = np.lexsort((rows.time, person, rows.unit))
    unit, person = rows.unit[order], person[order]
    last = np.append((unit[1:] != unit[:-1]) | (person[1:] != person[:-1]), True)
    votes: NDArray[np.int64] = order[last]
    return votes


def _concerned(rows: _Rows) -> NDArray[np.bool_]:
    """The units (n_units,) of which one row is kept, the others being labels of the same one.

    A text that stands there several times with one label stays so, if neither ids nor people tell
    that it is one row: texts repeat, and how often says how common they are.
    """
    count = int(rows.unit.max()) + 1
    first = np.full(count, -1)
    first[rows.unit[::-1]] = rows.label[::-1]
    concerned = np.zeros(count, np.bool_)
    concerned[rows.unit[(rows.label != first[rows.unit]) | rows.has_id | (rows.person >= 0)]] = True
    return concerned


def _winners(
    rows: _Rows, votes: NDArray[np.int64], policy: Policy
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The row that counts of each unit (n_units,), and in which of them people differ.

    Of the latter, none counts (-1) where these rows are to be set aside.
    """
    count = int(rows.unit.max()) + 1
    winner = np.full(count, -1)
    disputed = np.zeros(count, np.bool_)
    order = votes[np.argsort(rows.time[votes], kind="stable")]
    if policy == "majority":
        pairs = pd.DataFrame({"unit": rows.unit[order], "label": rows.label[order]})
        size = pairs.groupby(["unit", "label"])["label"].transform("size").to_numpy()
        order = order[np.argsort(size, kind="stable")]  # of as many votes, the latest
    winner[rows.unit[order]] = order  # the last one stays
    if policy == "set_aside":
        differing = rows.label[votes] != rows.label[winner[rows.unit[votes]]]
        disputed[rows.unit[votes[differing]]] = True
        winner[disputed] = -1
    return winner, disputed
