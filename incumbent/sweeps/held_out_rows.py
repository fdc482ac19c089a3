"""The rows of *train* that trials are measured on; the test set stays unread.

They are the rows that a training holds out to watch itself, only more of them: the same for all
trials, as the share and the seed are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from incumbent.config import TrainingConfig
from incumbent.data.datasets import Dataset
from incumbent.encoders.encoded_texts import Encoded
from incumbent.evaluation.scored_predictions import Scored
from incumbent.predictor import Predictor

if TYPE_CHECKING:
    from incumbent.training.fitting import TrainedModel

SHARE = 0.2
"""Share of *train* that is held out, if the config holds out no more."""
_ENOUGH = 5000  # rows; with them, the standard error of an accuracy is half a point or less


def held_out(training: TrainingConfig, dataset: Dataset) -> TrainingConfig:
    """The settings with the share of *train* that a sweep holds out."""
    share = min(SHARE, _ENOUGH / dataset.train.rows)
    update = {"validation_fraction": max(training.validation_fraction, share)}
    return training.model_copy(update=update)


def without_test(dataset: Dataset) -> Dataset:
    """A dataset for trials: *train* stands in the place of the test set, which none can read."""
    digest = f"{dataset.train.digest} alone"
    return dataset.model_copy(update={"test": dataset.train, "digest": digest})


def score(trained: TrainedModel, encoded: Encoded, training: TrainingConfig) -> tuple[float, float]:
    """Log loss (nats a row) and accuracy of what would be served, on the held-out rows."""
    from incumbent.training import fitting

    _, rows = fitting.split(encoded, training)
    model = Predictor().load(trained.served.folder)
    scored = Scored(rows.labels, model.probabilities(list(rows.texts)), model.thresholds)
    return float(scored.loss.mean()), float(scored.right.mean())
