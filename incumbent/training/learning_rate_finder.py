"""ktrain's learning-rate finder, with a bound on its steps."""

from __future__ import annotations

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


def find(model: Any, data: Any, batch_size: int, steps: int) -> FoundRate:
    """Raise the learning rate exponentially over at most `steps` steps, and choose one.

    The rate chosen is ktrain's third estimate: half way along the longest valley of the smoothed
    loss (fastai pull request 3377). Weights are left as they were; the optimizer is not, so
    compile the model anew before training.

    Args:
        model: The compiled model.
        data: Its training data, as ktrain takes it.
        batch_size: Rows in a step.
        steps: Steps to take; fewer if the loss blows up.

    Raises:
        TrainingDiverged: if the loss never fell.
    """
    from ktrain.lroptimize.lrfinder import LRFinder

    # Learner.lr_find takes whole epochs, and none at all if a batch is larger than the data.
    finder = LRFinder(model)
    finder.find(
        _endless(data, batch_size),
        steps_per_epoch=steps, max_epochs=1, use_gen=True, start_lr=_START, verbose=0,
    )  # fmt: skip
    rates, losses = np.array(finder.lrs), np.array(finder.losses)
    finite = np.isfinite(losses)
    rates, losses = rates[finite], losses[finite]
    # At the first rates nothing is learned yet: a quarter of them shows where the loss began.
    if len(losses) < 10 or losses.min() >= np.median(losses[: len(losses) // 4]):
        raise TrainingDiverged(
            f"The learning-rate finder saw no falling loss in {len(losses)} steps; set "
            "training.learning_rate to a number, or raise training.lr_find_steps."
        )
    chosen = float(rates[finder.valley(list(rates), list(losses))])
    return FoundRate(tuple(map(float, rates)), tuple(map(float, losses)), chosen)


def _endless(data: Any, batch_size: int) -> Any:
    """The training data as a stream of shuffled batches without an end."""
    import tensorflow as tf

    if hasattr(data, "to_tfdataset"):
        return data.to_tfdataset(train=True)
    inputs, targets = data
    inputs = tuple(inputs) if isinstance(inputs, list) else inputs
    rows = tf.data.Dataset.from_tensor_slices((inputs, targets))
    return rows.shuffle(len(targets)).repeat().batch(batch_size)
