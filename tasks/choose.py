"""Choose the model that fits the data, where the config leaves it open."""

from __future__ import annotations

from incumbent.classifiers import choice
from incumbent.config import Config
from incumbent.data.datasets import Dataset
from tasks import show


def choose(dataset: Dataset, config: Config) -> Config:
    """The config with a model and its epochs in place of `auto`; the log says why."""
    training, reason = choice.chosen(config.training, dataset)
    if reason:
        show.say("%s", reason)
    return config.model_copy(update={"training": training})
