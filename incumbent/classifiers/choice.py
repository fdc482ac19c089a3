"""What `auto` stands for in `training`: which model, and how many epochs, fit the data.

They are rules of thumb, few rows having been tried; `make models` measures what they choose.
"""

from __future__ import annotations

import math
from typing import Any

from incumbent.classifiers import class_weights
from incumbent.config import TrainingConfig
from incumbent.data.datasets import Dataset

FEW_ROWS = 1000
"""Training rows below which an encoder stays frozen: its head takes seconds."""
LEAST_STEPS, STEPS_A_CLASS = 300, 16
"""Steps of training that a network wants: at least, and for each class or label."""
MOST_EPOCHS = 10
"""Of few rows, more passes only teach by heart."""


def chosen(training: TrainingConfig, dataset: Dataset) -> tuple[TrainingConfig, str]:
    """Replace `auto` for the model and the epochs, and say why in one line.

    Args:
        training: What the config says; where it is no `auto`, it stays.
        dataset: The data to train on.

    Returns:
        The settings, and the reason, empty if there was nothing to choose.

    Raises:
        ConfigError: if they weigh labels that there are none of.
    """
    class_weights.check(training, dataset.classes)
    rows, count = dataset.train.rows, len(dataset.classes)
    kind = "labels, any number a row" if dataset.multilabel else "classes"
    data, found = f"{rows:,} rows of {count} {kind}", training
    why = []
    if training.model == "auto":
        few = rows < FEW_ROWS
        update: dict[str, Any] = {"model": "features" if few else "transformer"}
        if few and training.weight_decay:
            update["weight_decay"] = 0.0
            why.append("weight_decay 0: features are trained without")
        found = found.model_copy(update=update)
        size = f"fewer than {FEW_ROWS:,} rows" if few else f"{FEW_ROWS:,} rows or more"
        why.append(f"model {found.model}: {size}")
    if training.epochs == "auto":
        wanted = max(LEAST_STEPS, STEPS_A_CLASS * count)
        steps = math.ceil(rows * (1 - training.validation_fraction) / training.batch_size)
        epochs = min(max(round(wanted / steps), 1), MOST_EPOCHS)
        if training.schedule == "sgdr":
            epochs = sum(training.cycles(epochs))  # whole cycles
        found = found.model_copy(update={"epochs": epochs})
        why.append(f"epochs {epochs}: {steps:,} steps each, some {wanted:,} are wanted")
    return found, f"{data}: {'; '.join(why)}" if why else ""
