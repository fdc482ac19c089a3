"""What `auto` stands for: it follows from the data, and what the config says stays."""

from __future__ import annotations

from typing import Any

import pytest

from incumbent.classifiers import choice
from incumbent.config import TrainingConfig
from incumbent.data import datasets


@pytest.fixture
def data(dataset: Any) -> Any:
    """Makes a dataset of so many rows and classes."""

    def make(rows: int, classes: int = 2) -> datasets.Dataset:
        return dataset(["a text"] * rows, [f"c{row % classes}" for row in range(rows)])

    return make


@pytest.mark.parametrize(
    ("rows", "classes", "model", "epochs"),
    [
        (64, 2, "features", 10),
        (999, 2, "features", 10),
        (1000, 2, "transformer", 10),
        (10_160, 2, "transformer", 1),  # the embedded reviews
        (10_003, 77, "transformer", 4),
        (300_000, 2, "transformer", 1),
    ],
)
def test_it_follows_from_rows_and_classes(
    data: Any, rows: int, classes: int, model: str, epochs: int
) -> None:
    found, reason = choice.chosen(TrainingConfig(), data(rows, classes))
    assert (found.model, found.epochs) == (model, epochs)
    assert reason.startswith(f"{rows:,} rows of {classes} classes: model {model}: ")
    assert f"epochs {epochs}: " in reason


def test_warm_restarts_get_whole_cycles(data: Any) -> None:
    config = TrainingConfig(schedule="sgdr", cycle_growth=2)
    assert choice.chosen(config, data(10_003, 77))[0].epochs == 7


@pytest.mark.parametrize(
    "settings",
    [
        {"weight_decay": 0.01},
        {"schedule": "sgdr", "cycle_epochs": 9, "cycle_growth": 100},
        {"schedule": "sgdr", "cycle_epochs": 1000},
    ],
)
def test_what_is_chosen_is_a_valid_config(data: Any, settings: dict[str, Any]) -> None:
    config = TrainingConfig.model_validate(settings)
    for rows in (64, 1000):
        found, reason = choice.chosen(config, data(rows))
        assert TrainingConfig.model_validate_json(found.model_dump_json()) == found
        assert ("weight_decay 0" in reason) == (found.weight_decay != config.weight_decay)


def test_what_the_config_says_stays(data: Any) -> None:
    config = TrainingConfig(model="nbsvm", epochs=7)
    assert choice.chosen(config, data(30)) == (config, "")
    found, reason = choice.chosen(TrainingConfig(model="nbsvm"), data(30))
    assert (found.model, found.epochs) == ("nbsvm", 10)
    assert "model" not in reason
