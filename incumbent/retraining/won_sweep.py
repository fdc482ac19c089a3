"""The sweep whose winner is being retrained, for those who tell where a challenger comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from incumbent.title.contest import SWEEP_TRIALS


@dataclass(frozen=True)
class WonSweep:
    """A sweep, as far as its winner's record tells of it.

    Attributes:
        study: Its name.
        trials: How many there were.
        plots: PNG files by what they show.
    """

    study: str
    trials: int
    plots: Mapping[str, Path] = field(default_factory=dict)

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the run and of the version; the decision reads the number of trials there."""
        return {"incumbent.sweep": self.study, SWEEP_TRIALS: str(self.trials)}


_won: ContextVar[WonSweep | None] = ContextVar("won_sweep", default=None)


@contextmanager
def retraining_winner_of(sweep: WonSweep) -> Iterator[None]:
    """Within this context a retraining is that of the winner of a sweep."""
    token = _won.set(sweep)
    try:
        yield
    finally:
        _won.reset(token)


def tags() -> dict[str, str]:
    """Tags that name the sweep; none if the retraining is not that of a winner."""
    sweep = _won.get()
    return sweep.tags if sweep else {}


def plots() -> dict[str, Path]:
    """The plots of the sweep; none if the retraining is not that of a winner."""
    sweep = _won.get()
    return dict(sweep.plots) if sweep else {}
