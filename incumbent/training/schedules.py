"""The learning rate's way through a training, by ktrain's learner, and which epoch is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from incumbent.config import TrainingConfig

PLATEAU_FACTOR = 0.5
"""What `plateau` multiplies the rate by; ktrain's `autofit` halves it too."""


def run(learner: Any, config: TrainingConfig, rate: float, callbacks: list[Any]) -> None:
    """Run the schedule at a peak rate; see ktrain's `Learner` for what each of its own does."""
    options = {"callbacks": [*callbacks, *_own(config, rate, _steps(learner))], "verbose": 0}
    epochs = int(config.epochs)
    match config.schedule:
        case "onecycle":
            learner.fit_onecycle(rate, epochs, **options)
        case "triangular":
            learner.autofit(rate, epochs, early_stopping=config.early_stopping, **options)
        case "sgdr":
            learner.fit(
                rate, len(config.cycles(epochs)), cycle_len=config.cycle_epochs,
                cycle_mult=config.cycle_growth, **options,
            )  # fmt: skip
        case "constant" | "linear" | "plateau":
            learner.fit(rate, epochs, **options)


def linear(step: int, steps: int, warmup: float) -> float:
    """The share of the peak rate in a step, from 0, of so many: up to 1, and down towards 0.

    It rises in the first `warmup` of the steps and falls in the others, as in BERT's own
    `run_classifier.py` and `optimization.py`. No step is taken at a rate of 0.
    """
    rising = round(warmup * steps)
    return (step + 1) / rising if step < rising else (steps - step) / (steps - rising)


def kept(epochs: list[dict[str, float]], config: TrainingConfig) -> dict[str, float]:
    """The metrics of the epoch whose weights the model has after training."""
    if config.keep == "best" or config.schedule == "triangular":
        return min(epochs, key=lambda metrics: metrics["validation_loss"])
    return epochs[-1]


def _steps(learner: Any) -> int:
    """Steps of an epoch."""
    from ktrain import utils

    return -(-int(utils.nsamples_from_data(learner.train_data)) // int(learner.batch_size))


def _own(config: TrainingConfig, rate: float, steps: int) -> Iterator[Any]:
    """The callbacks that ktrain has none for. Their numbers are what a checkpoint keeps of them."""
    import tensorflow as tf

    if config.schedule == "linear":
        yield _linear_rate(rate, steps * int(config.epochs), config.warmup)
    if config.schedule == "plateau":
        yield tf.keras.callbacks.ReduceLROnPlateau(
            factor=PLATEAU_FACTOR, patience=config.plateau_epochs, min_delta=0
        )
    if config.keep == "best" and config.schedule != "triangular":
        # It never stops a training, and gives back the best weights at its end.
        yield tf.keras.callbacks.EarlyStopping(
            "val_loss", patience=int(config.epochs), restore_best_weights=True
        )


def _linear_rate(rate: float, steps: int, warmup: float) -> Any:
    """A Keras callback that moves the rate as `linear` says."""
    import tensorflow as tf

    class LinearRate(tf.keras.callbacks.Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.step = 0

        def on_train_batch_begin(self, _batch: int, _logs: Any = None) -> None:
            share = linear(self.step, steps, warmup)
            tf.keras.backend.set_value(self.model.optimizer.lr, rate * share)
            self.step += 1

    return LinearRate()
