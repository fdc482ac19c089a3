"""What a classifier is to the stages: it tokenizes, and it builds something ktrain can train."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from incumbent.config import PreprocessingConfig, TrainingConfig
from incumbent.encoding import Ids


@dataclass(frozen=True)
class Rows:
    """Some encoded rows: texts (n,), token ids (n, ragged), class indices (n,)."""

    texts: Sequence[str]
    ids: Ids
    labels: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """The rows at these indices, in this order."""
        return Rows(
            [self.texts[row] for row in rows], [self.ids[row] for row in rows], self.labels[rows]
        )


@dataclass(frozen=True)
class Built:
    """An untrained classifier as ktrain takes it.

    `train` and `validation` are what `ktrain.get_learner` accepts; `loss` is the Keras loss that
    fits the model's output.
    """

    model: Any
    preprocessor: Any
    train: Any
    validation: Any
    loss: Any


class Classifier(ABC):
    """One kind of model, with the settings of a run."""

    def __init__(
        self,
        training: TrainingConfig,
        preprocessing: PreprocessingConfig,
        classes: tuple[str, ...],
        workdir: Path,
    ) -> None:
        self.training = training
        self.preprocessing = preprocessing
        self.classes = classes
        self.workdir = workdir

    @property
    @abstractmethod
    def recipe(self) -> str:
        """What the encoding depends on, besides the texts."""

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> tuple[list[str], Ids, NDArray[np.int64]]:
        """Return the shortened texts, their token ids, and their lengths before truncation.

        The ids are what ktrain's own preprocessing gives for the shortened texts; they are
        empty where the model builds its vocabulary from the training rows.
        """

    @abstractmethod
    def build(self, train: Rows, validation: Rows) -> Built:
        """Load the pretrained weights, or initial ones, and prepare the data for ktrain."""

    def complete(self, folder: Path) -> None:  # noqa: B027  most have nothing to add
        """Add to a saved predictor's folder what ktrain leaves out and serving needs."""

    def one_hot(self, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """Class indices (n,) as targets (n, n_classes)."""
        return np.eye(len(self.classes), dtype=np.float32)[labels]
