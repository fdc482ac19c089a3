"""ktrain's learning-rate finder, within a bound on its steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from incumbent.errors import TrainingDiverged

_START = 1e-7  # ktrain's own default; it ends at 10


@dataclass(frozen=True)
class FoundRate:
    """The finder's curve, (n,) rates and smoothed losses, and the rate chosen on it."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    chosen: float


def find(learner: Any, steps: int) -> FoundRate:
    """Raise the learning rate exponentially over about `steps` steps, and choose one.

    The rate chosen is ktrain's third estimate, the point two thirds... down the longest valley
    of the smoothed loss (fastai pull request 3377). Weights are left as they were; the
    optimizer is not, so compile the model anew before training.

    Raises:
        TrainingDiverged: if the loss never fell.
    """
    rows = learner.train_data[0] if isinstance(learner.train_data, tuple) else learner.train_data
    count = rows.nsamples() if hasattr(rows, "nsamples") else len(rows[0])
    per_epoch = max(1, count // learner.batch_size)
    learner.lr_find(
        start_lr=_START,
        max_epochs=math.ceil(steps / per_epoch),
        restore_weights_only=True,
        verbose=0,
    )
    finder = learner.lr_finder
    rates, losses = np.array(finder.lrs), np.array(finder.losses)
    finite = np.isfinite(losses)
    rates, losses = rates[finite], losses[finite]
    if len(losses) < 10 or losses.min() >= losses[0]:
        raise TrainingDiverged(
            f"The learning-rate finder saw no falling loss in {len(losses)} steps; set "
            "training.learning_rate to a number, or raise training.lr_find_steps."
        )
    chosen = float(rates[finder.valley(list(rates), list(losses))])
    return FoundRate(tuple(map(float, rates)), tuple(map(float, losses)), chosen)
