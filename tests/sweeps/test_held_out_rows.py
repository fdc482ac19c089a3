from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from incumbent.config import TrainingConfig
from incumbent.data import datasets
from incumbent.data.datasets import Dataset
from incumbent.encoders import encoded_texts
from incumbent.encoders.encoded_texts import Ids
from incumbent.sweeps import held_out_rows


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    frame = pd.DataFrame({"text": [f"text {n}" for n in range(60)], "label": ["a", "b", "c"] * 20})
    frame = frame.assign(row=range(60), found="text", control=False)
    return datasets.save([frame], [frame.tail(9)], ("train", "test"), tmp_path / "datasets")


def tokenize(texts: Sequence[str]) -> tuple[list[str], Ids, NDArray[np.int64]]:
    return list(texts), [np.zeros(1, np.int32)] * len(texts), np.ones(len(texts), np.int64)


def test_a_trial_cannot_read_the_test_set(dataset: Dataset, tmp_path: Path) -> None:
    dataset.test.path.unlink()
    alone = held_out_rows.without_test(dataset)
    for _ in range(2):  # made, and found
        encoded = encoded_texts.encode(alone, tokenize, "recipe", 8, tmp_path)
        assert encoded.test == encoded.train
        assert len(encoded_texts.load(encoded.train)[0]) == 60
    assert alone.classes == dataset.classes
    assert alone.digest != dataset.digest


def test_the_rows_are_the_same_for_all_trials(dataset: Dataset, tmp_path: Path) -> None:
    from incumbent.training import fitting

    alone = held_out_rows.without_test(dataset)
    encoded = encoded_texts.encode(alone, tokenize, "recipe", 8, tmp_path)
    held = []
    for settings in ({"model": "nbsvm", "epochs": 1}, {"model": "transformer", "epochs": 5}):
        training = held_out_rows.held_out(TrainingConfig.model_validate(settings), dataset)
        rows, out = fitting.split(encoded, training)
        assert not set(rows.texts) & set(out.texts)
        assert np.bincount(out.labels).tolist() == [4, 4, 4]  # a fifth of each class
        held.append(out.texts)
    assert held[0] == held[1]


@pytest.mark.parametrize(
    ("rows", "own", "share"), [(1000, 0.05, 0.2), (1000, 0.3, 0.3), (100_000, 0.01, 0.05)]
)
def test_the_share_that_is_held_out(dataset: Dataset, rows: int, own: float, share: float) -> None:
    large = dataset.model_copy(update={"train": dataset.train.model_copy(update={"rows": rows})})
    training = TrainingConfig(validation_fraction=own)
    assert held_out_rows.held_out(training, large).validation_fraction == share
