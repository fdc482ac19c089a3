"""Two runs at once on one model."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conftest import settings
from tests.faults.ground import CHALLENGE, Ground, Trial
from tests.faults.processes import tail


def runs(ground: Ground, quick: bool) -> Iterator[Trial]:
    """The same run twice, and two that differ in their seed."""
    pairs = {"the same run": CHALLENGE, "another seed": [*CHALLENGE, *settings("training.seed=3")]}
    for name, other in pairs.items():
        ground.restore()
        trial = Trial(f"twice at once, {name}")
        both = [ground.fork("retrain", *CHALLENGE), ground.fork("retrain", *other)]
        for run in both:
            code = run.end()
            if code != 0:
                trial.hung |= code is None
                trial.faults.append(f"ended with {code}: {tail(run)}")
        expected = 2 if other is CHALLENGE else 3
        ground.judge(trial, *both)
        found = ground.look().versions
        trial.lost += max(0, expected - len(found))
        trial.doubled += max(0, len(found) - expected)
        if len(found) != expected:
            trial.faults.append(f"{len(found)} versions, expected {expected}")
        yield trial
