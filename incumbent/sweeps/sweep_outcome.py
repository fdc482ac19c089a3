"""The outcome of a sweep."""

from __future__ import annotations

from typing import Any

from incumbent.retraining.retraining_outcome import Outcome


class SweepOutcome(Outcome):
    """What came of a sweep and of its winner's retraining; what `incumbent sweep --json` prints.

    `trials` have ended, of all workers; `best` are the values of the winner by config key, and
    `value` is its held-out log loss; `study` is the name of the Optuna study.
    """

    trials: int
    best: dict[str, Any]
    value: float | None
    study: str
