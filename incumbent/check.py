"""One rule that labelled text must satisfy, and the words that checks share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from incumbent.config import Severity

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


def remedy(deed: str, key: str) -> str:
    """What to do, or to set."""
    return f"{deed}; or set validation.{key} to warn."


def count(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def quoted(labels: Sequence[str]) -> str:
    """Labels in quotes, cut short, as many as `listed` shows."""
    return listed([repr(label[:40]) for label in labels]) or "none"


def listed(parts: Sequence[str], most: int = 10) -> str:
    """The first `most` of them, and how many more there are."""
    shown = ", ".join(parts[:most])
    return f"{shown} and {len(parts) - most:,} more" if len(parts) > most else shown
