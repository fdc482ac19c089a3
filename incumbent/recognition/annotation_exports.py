"""Records as annotation tools export them: Label Studio's tasks, and Prodigy's answers.

doccano's records need nothing: they have a text, and a list of labels.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from incumbent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LABEL = "label"
"""What the only question of a task is called, beside its own name."""

_ANNOTATIONS = ("annotations", "completions")  # as Label Studio calls them now, and did before 1.0
_ANSWERS = ("accept", "reject", "ignore")
_LONGEST = 10_000  # characters of a list of names
_APART = re.compile(r"""(['"])\s+(?=['"])""")
_CHOICES = '{"choices":'  # begins a cell of Label Studio's CSV with several labels


class Exports:
    """Flattens the records of one file, and knows afterwards what was odd about them."""

    def __init__(self, source: str, columns: Sequence[str]) -> None:
        self._source, self._columns = source, columns
        self._questions: dict[str, None] = {}
        self._disagreeing = 0
        self.found = False
        """Whether a record was one of a tool: such may lack labels."""

    def flat(self, record: dict[str, object]) -> dict[str, object]:
        """A record with its text and labels as keys of its own; others stay as they are."""
        if "data" in record and is_task(record):
            self.found = True
            return self._task(record)
        if "answer" in record and record["answer"] in _ANSWERS and "answer" not in self._columns:
            self.found = True
            return _answered(record)
        return record

    def _task(self, record: Mapping[str, Any]) -> dict[str, object]:
        flat: dict[str, object] = dict(record["data"])
        votes: dict[str, list[list[object]]] = {}
        for given in _counting(record):
            for result in given.get("result") or []:
                if (labels := _labels(result)) is not None:
                    votes.setdefault(str(result.get("from_name", LABEL)), []).append(labels)
        self._questions |= dict.fromkeys(votes)
        labelled = {name: self._agreed(given) for name, given in votes.items()}
        if len(labelled) == 1 and LABEL not in flat:
            labelled.setdefault(LABEL, *labelled.values())
        return flat | labelled

    def _agreed(self, votes: Sequence[list[object]]) -> object:
        """The labels that most annotators gave; None if no set of labels has more votes."""
        counts = Counter(json.dumps(sorted(map(str, labels))) for labels in votes).most_common(2)
        if len(counts) > 1 and counts[0][1] == counts[1][1]:
            self._disagreeing += 1
            return None
        return next(v for v in votes if json.dumps(sorted(map(str, v))) == counts[0][0])

    def said(self, names: Sequence[str]) -> list[str]:
        """What to say of the file.

        Args:
            names: All keys of its records.

        Raises:
            DataError: if it is a tool's, and a column is a key of none of its records, or may mean
                any of several questions.
        """
        if not self.found:
            return []
        if LABEL in self._columns and LABEL not in self._questions and len(self._questions) > 1:
            raise DataError(
                f"{self._source}: its annotations answer {len(self._questions)} questions: "
                f"{', '.join(map(repr, self._questions))}. Set data.label_columns to one of them."
            )
        for name in self._columns:
            if name not in names:
                raise DataError(
                    f"{self._source}: no record has {name!r}; they have "
                    f"{', '.join(map(repr, names))}. Set data.text_column and data.label_columns."
                )
        if not self._disagreeing:
            return []
        are = "text on which annotators disagree is" if self._disagreeing == 1 else (
            "texts on which annotators disagree are")  # fmt: skip
        return [f"{self._disagreeing:,} {are} unlabelled"]


def is_task(value: object) -> bool:
    """Whether it is a task of Label Studio."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("data"), dict)
        and any(isinstance(value.get(key), list) for key in _ANNOTATIONS)
    )


def are_choices(cell: object) -> bool:
    """Whether a cell is of Label Studio's CSV, and holds several labels."""
    return isinstance(cell, str) and cell.startswith(_CHOICES)


def choices(cell: object) -> object:
    """The list in a cell of Label Studio's that holds several labels; else the cell."""
    if isinstance(cell, str) and are_choices(cell):
        try:
            cell = json.loads(cell)
        except ValueError:
            return cell
    if isinstance(cell, dict) and isinstance(cell.get("choices"), list):
        return cell["choices"]
    return cell


def is_list_in_words(cell: object) -> bool:
    """Whether a cell holds a list as JSON or Python writes it."""
    return isinstance(cell, str) and cell[:1] == "[" and cell.rstrip()[-1:] == "]"


def list_in_words(cell: object) -> object:
    """The names in a cell that holds a list of them as JSON or Python writes it; else the cell."""
    if not isinstance(cell, str) or not is_list_in_words(cell) or len(cell) > _LONGEST:
        return cell
    text = _APART.sub(r"\1, ", cell)  # NumPy writes no commas
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            names = read(text)
            if isinstance(names, list) and all(isinstance(name, str) for name in names):
                return names
    return cell


def _counting(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The annotations that count: the true one if one is marked so, and none that was skipped."""
    given: list[Mapping[str, Any]] = [
        one
        for key in _ANNOTATIONS
        for one in record.get(key) or []
        if isinstance(one, dict) and not one.get("was_cancelled") and not one.get("skipped")
    ]
    return [one for one in given if one.get("ground_truth")] or given


def _labels(result: object) -> list[object] | None:
    """The labels in one result; None if it is about something else, such as a part of the text."""
    value = result.get("value") if isinstance(result, dict) else None
    if not isinstance(value, dict) or "start" in value:
        return None
    if choice := value.get("choices"):
        return list(choice) if isinstance(choice, list) else [choice]
    return [value["rating"]] if "rating" in value else None


def _answered(record: Mapping[str, Any]) -> dict[str, object]:
    """A record of Prodigy; one that was not accepted has no label."""
    flat = dict(record)
    if isinstance(flat.get("accept"), list):
        flat.setdefault(LABEL, flat["accept"])
    if record["answer"] != "accept":
        flat |= {key: None for key in (LABEL, "accept") if key in flat}
    return flat
