"""The base class of all classifiers: how one tokenizes, builds, exports and is recognised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from incumbent.classifiers import class_weights
from incumbent.config import PreprocessingConfig, TrainingConfig
from incumbent.encoders.encoded_texts import Ids


@dataclass(frozen=True)
class Rows:
    """Some encoded rows: texts (n,), token ids (n, ragged), the truth, int (n,) or bool (n, k)."""

    texts: Sequence[str]
    ids: Ids
    labels: NDArray[Any]

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """The rows at these indices, in this order."""
        return Rows(
            [self.texts[row] for row in rows], [self.ids[row] for row in rows], self.labels[rows]
        )

    def then(self, other: Rows) -> Rows:
        """These rows, and others after them."""
        return Rows(
            [*self.texts, *other.texts],
            [*self.ids, *other.ids],
            np.concatenate([self.labels, other.labels]),
        )


@dataclass(frozen=True)
class Built:
    """An untrained classifier as ktrain takes it.

    `train` and `validation` are what `ktrain.get_learner` accepts; `loss` is the Keras loss that
    fits the model's output, `accuracy` the metric that does; `optimizer` makes a new
    optimizer, with a `global_clipnorm` or None. `saved_loss` is what the model is saved with, if
    that is not `loss`: plain ktrain loads no loss of ours.
    """

    model: Any
    preprocessor: Any
    train: Any
    validation: Any
    loss: Any
    accuracy: Any
    optimizer: Callable[..., Any]
    saved_loss: Any = None


class Classifier(ABC):
    """One kind of model, with the settings of a run."""

    def __init__(
        self,
        training: TrainingConfig,
        preprocessing: PreprocessingConfig,
        classes: tuple[str, ...],
        workdir: Path,
        multilabel: bool = False,
    ) -> None:
        self.training = training
        self.preprocessing = preprocessing
        self.classes = classes
        self.workdir = workdir
        self.multilabel = multilabel

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

    def prepare(self, train: Rows, validation: Rows) -> None:  # noqa: B027  most have nothing to
        """Make and keep what `build` wants and takes long, as Ctrl-C has to wait for `build`."""

    @abstractmethod
    def build(self, train: Rows, validation: Rows) -> Built:
        """Load the pretrained weights, or initial ones, and prepare the data for ktrain."""

    @abstractmethod
    def export(self, model: Any, preprocessor: Any, examples: Rows, folder: Path) -> None:
        """Write a trained Keras model, and how it reads texts, as `Predictor` loads them.

        The model itself may be altered: save it before.

        Raises:
            StageError: if it cannot be exported, or the export answers otherwise on `examples`.
        """

    def complete(self, folder: Path) -> None:  # noqa: B027  most have nothing to add
        """Put right what ktrain leaves in a saved predictor's folder."""

    def supplement(
        self,
        served: Path,  # noqa: ARG002
        saved: Path,  # noqa: ARG002
        train: Rows,  # noqa: ARG002
        validation: Rows,  # noqa: ARG002
    ) -> dict[str, float]:
        """Fit what is served besides the model that ktrain trains, if anything is.

        Args:
            served: The folder of the exported model.
            saved: The folder of ktrain's predictor.
            train: The rows to fit it on.
            validation: Those that were held out of train.

        Returns:
            What there is to tell of it, as metrics of the run.
        """
        return {}

    def class_weights(self, truth: NDArray[Any]) -> NDArray[np.float32] | None:
        """What rows of each class count (k,) in training on this truth; see `class_weights.of`."""
        return class_weights.of(self.training, self.classes, truth)

    @property
    def loss(self) -> str:
        """The Keras loss of probabilities: of one class a row, or of labels one by one."""
        return "binary_crossentropy" if self.multilabel else "categorical_crossentropy"

    def accuracy(self, threshold: float = 0.5) -> Any:
        """The Keras metric: the share of rows whose class is right, or all of whose labels are.

        `threshold` is the output from which a label is predicted.
        """
        if not self.multilabel:
            return "accuracy"
        import tensorflow as tf

        def accuracy(truth: Any, said: Any) -> Any:
            right = tf.equal(truth > 0.5, said >= threshold)
            return tf.cast(tf.reduce_all(right, axis=-1), tf.float32)

        return accuracy

    def example_targets(self) -> NDArray[np.float32]:
        """Targets of as many rows as there are classes, from which ktrain can tell their kind."""
        k = len(self.classes)
        return np.ones((k, k), np.float32) if self.multilabel else np.eye(k, dtype=np.float32)

    def targets(self, truth: NDArray[Any]) -> NDArray[np.float32]:
        """The truth, int (n,) or bool (n, n_classes), as targets (n, n_classes)."""
        if truth.ndim == 2:
            return truth.astype(np.float32)
        one_hot: NDArray[np.float32] = np.eye(len(self.classes), dtype=np.float32)[truth]
        return one_hot
