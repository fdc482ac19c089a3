"""Adam whose cost follows the batch: it touches the embeddings of the batch's own tokens alone."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class LazyAdam(tf.keras.optimizers.legacy.Adam):  # type: ignore[misc]
    """Adam (Kingma and Ba 2015, algorithm 1), lazy where a gradient is sparse.

    Keras's own decays both moments of every row of an embedding, and moves every row by them, at
    each step; MiniLM has 11.7 M word-embedding weights, of which a batch reads some thousand rows.
    Here the rows that the batch did not read keep their moments and their weights, as in
    TensorFlow Addons' `LazyAdam`. Dense gradients are treated as by Keras.
    """

    def _resource_apply_sparse(
        self, grad: Any, var: Any, indices: Any, apply_state: Any = None
    ) -> Any:
        """Update the rows `indices` (k,), each named once, by their gradients (k, width)."""
        key = (var.device, var.dtype.base_dtype)
        settings = (apply_state or {}).get(key) or self._fallback_apply_state(*key)
        first, second = self.get_slot(var, "m"), self.get_slot(var, "v")
        mean = settings["beta_1_t"] * tf.gather(first, indices)
        mean += settings["one_minus_beta_1_t"] * grad
        square = settings["beta_2_t"] * tf.gather(second, indices)
        square += settings["one_minus_beta_2_t"] * tf.square(grad)
        step = settings["lr"] * mean / (tf.sqrt(square) + settings["epsilon"])
        return tf.group(
            self._resource_scatter_update(first, indices, mean),
            self._resource_scatter_update(second, indices, square),
            self._resource_scatter_add(var, indices, -step),
        )
