"""Losses of classifiers that give logits, computed in float32."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class _InFloat32:
    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each row, (batch,)."""
        return super().call(y_true, tf.cast(y_pred, tf.float32))  # type: ignore[misc]


class _OfClasses(_InFloat32, tf.keras.losses.CategoricalCrossentropy):  # type: ignore[misc]
    pass


class _OfLabels(_InFloat32, tf.keras.losses.BinaryCrossentropy):  # type: ignore[misc]
    pass


def cross_entropy(multilabel: bool) -> Any:
    """Cross-entropy of logits (batch, k): of one class a row, or of labels one by one, their mean.

    They bear the names of Keras's own, by which ktrain tells what a model is for.
    """
    return (_OfLabels if multilabel else _OfClasses)(from_logits=True)
