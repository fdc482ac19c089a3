"""Callbacks of a training: report progress, and stop when the loss is not finite."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from incumbent.errors import TrainingDiverged

_REPORT_EVERY = 2.0  # seconds between reports: each costs a request to the tracking store


@dataclass(frozen=True)
class Progress:
    """Where training stands.

    Attributes:
        step: Steps taken, of `total`.
        total: Steps there may be.
        epoch: The epoch, from 1.
        metrics: `train_loss` and `train_accuracy` (means over the epoch so far) and
            `learning_rate` while an epoch runs; `validation_loss` and `validation_accuracy` at
            its end.
    """

    step: int
    total: int
    epoch: int
    metrics: dict[str, float]


def step_reporter(total: int, report: Callable[[Progress], None]) -> Any:
    """A Keras callback that reports some steps and every epoch, and stops on a NaN loss.

    Its `step` counts the steps taken, and its `epochs` are the metrics of each epoch.

    Raises:
        TrainingDiverged: from the step whose loss is not finite; it names the learning rate.
    """
    import tensorflow as tf

    class StepReporter(tf.keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.step = 0
            self.epoch = 0
            self.reported = 0.0
            self.epochs: list[dict[str, float]] = []

        def on_epoch_begin(self, epoch: int, _logs: Any = None) -> None:
            self.epoch = epoch + 1

        def on_train_batch_end(self, _batch: int, logs: Any = None) -> None:
            self.step += 1
            rate = float(tf.keras.backend.get_value(self.model.optimizer.lr))
            self._check("loss", logs["loss"], rate)
            now = time.monotonic()
            if now - self.reported >= _REPORT_EVERY or self.step in (1, total):
                self.reported = now
                values = {
                    "train_loss": float(logs["loss"]),
                    "train_accuracy": float(logs["accuracy"]),
                    "learning_rate": rate,
                }
                report(Progress(self.step, total, self.epoch, values))

        def on_epoch_end(self, _epoch: int, logs: Any = None) -> None:
            names = {"val_loss": "validation_loss", "val_accuracy": "validation_accuracy"}
            values = {ours: float(logs[theirs]) for theirs, ours in names.items()}
            # The last step may have spoiled the weights, and no loss of training shows it.
            rate = float(tf.keras.backend.get_value(self.model.optimizer.lr))
            self._check("validation loss", values["validation_loss"], rate)
            means = {"train_loss": float(logs["loss"]), "train_accuracy": float(logs["accuracy"])}
            self.epochs.append({**means, **values})
            report(Progress(self.step, total, self.epoch, values))

        def _check(self, name: str, loss: float, rate: float) -> None:
            if not math.isfinite(loss):
                raise TrainingDiverged(
                    f"The {name} is {loss} at step {self.step} of {total}, at a learning rate of "
                    f"{rate:.2g}. Set training.learning_rate lower (a tenth, say), or to auto."
                )

    return StepReporter()
