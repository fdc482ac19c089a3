"""The class of all checks, and the words that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from incumbent.config import Severity

Side = Literal["train", "test"]
# A wrong label column may hold one long label a row; of real ones, 200 classes are shown whole.
_LABELS, _CHARACTERS = 200, 40


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
    """What to do about it, without the full stop."""
    key: str = ""
    """The setting of `validation` that gives its severity, if that may be lowered instead."""

    def fails(self, frame: pd.DataFrame) -> pd.Series[bool]:
        """Which rows (n,) of an annotated split fail, where the expectation is one of single rows.

        Great Expectations finds the same ones, and null passes here as it does there.
        """
        values = frame[str(self.arguments["column"])]
        if self.expectation == "ExpectColumnValuesToBeBetween":
            return (values < self.arguments["min_value"]) | (values > self.arguments["max_value"])
        within = values.isin(list(cast("Sequence[object]", self.arguments["value_set"])))
        return within if self.expectation == "ExpectColumnValuesToNotBeInSet" else ~within

    @property
    def advice(self) -> str:
        """What to do; or what to set, which differs from what is set."""
        if not self.key:
            return f"{self.remedy}."
        lower = "warn" if self.severity == "error" else "off"
        return f"{self.remedy}; or set validation.{self.key} to {lower}."


def count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def quoted(labels: Sequence[str]) -> str:
    """Labels in quotes, cut short, as many as `listed` shows."""
    return listed([repr(label[:_CHARACTERS]) for label in labels]) or "none"


def counted(counts: Mapping[str, int]) -> str:
    """The most frequent labels, cut short, and how many rows each has."""
    parts = [
        f"{' '.join(label.split())[:_CHARACTERS] or '(none)'}: {count:,}"
        for label, count in sorted(counts.items(), key=lambda item: -item[1])
    ]
    return listed(parts, _LABELS)


def listed(parts: Sequence[str], most: int = 10) -> str:
    """The first `most` of them, and how many more there are."""
    shown = ", ".join(parts[:most])
    return f"{shown} and {len(parts) - most:,} more" if len(parts) > most else shown
