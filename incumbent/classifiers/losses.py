"""Losses of classifiers that give logits, computed in float32; and losses with weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class _InFloat32:
    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each row, (batch,)."""
        return super().call(y_true, tf.cast(y_pred, tf.float32))  # type: ignore[misc]


class _OfClasses(_InFloat32, tf.keras.losses.CategoricalCrossentropy):  # type: ignore[misc]
    pass


class _OfLabels(_InFloat32, tf.keras.losses.BinaryCrossentropy):  # type: ignore[misc]
    pass


class _WeightedClasses(_InFloat32, tf.keras.losses.CategoricalCrossentropy):  # type: ignore[misc]
    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each row times the weight of its class, (batch,)."""
        weights = tf.reduce_sum(tf.cast(y_true, tf.float32) * self.weights, axis=-1)
        return super().call(y_true, y_pred) * weights


class _WeightedLabels(tf.keras.losses.BinaryCrossentropy):  # type: ignore[misc]
    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The mean over labels of their losses, times the weights of those that a row has."""
        truth, said = tf.cast(y_true, tf.float32), tf.cast(y_pred, tf.float32)
        losses = tf.keras.backend.binary_crossentropy(truth, said, from_logits=self.logits)
        return tf.reduce_mean(losses * (1 + truth * (self.weights - 1)), axis=-1)


def weighted(weights: NDArray[np.float32], loss: Any, *, multilabel: bool) -> Any:
    """A loss in which classes, or rows with a label, count for more or less.

    The sum over a batch is divided by its rows, not by their weights: with weights whose mean over
    the training rows is 1, as balanced ones of classes have it, losses are as large as without.

    Args:
        weights: Of classes or labels (k,); see `class_weights.of`.
        loss: The loss without weights: Keras's name of it, for probabilities, or `cross_entropy`.
        multilabel: Whether it is of labels one by one.
    """
    logits = not isinstance(loss, str)
    found = (_WeightedLabels if multilabel else _WeightedClasses)(from_logits=logits)
    found.weights, found.logits = weights, logits
    return found


def cross_entropy(multilabel: bool) -> Any:
    """Cross-entropy of logits (batch, k): of one class a row, or of labels one by one, their mean.

    They bear the names of Keras's own, by which ktrain tells what a model is for.
    """
    return (_OfLabels if multilabel else _OfClasses)(from_logits=True)
