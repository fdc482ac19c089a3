"""Adam that updates only the embeddings of the tokens in the batch."""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf

_KERNEL = re.compile(r"/kernel(/replica_\d+)?:0$")  # of a dense layer, on any device
_LAYER = re.compile(r"/layer_\._(\d+)/")  # in the name of a Hugging Face model's variable


class LazyAdam(tf.keras.optimizers.legacy.Adam):  # type: ignore[misc]
    """Adam (Kingma and Ba 2015, algorithm 1), lazy where a gradient is sparse.

    Keras's own decays both moments of every row of an embedding, and moves every row by them, at
    each step; MiniLM has 11.7 M word-embedding weights, of which a batch reads some thousand rows.
    Here the rows that the batch did not read keep their moments and their weights, as in
    TensorFlow Addons' `LazyAdam`. Dense gradients are treated as by Keras.

    With a `layer_decay` below 1 each of the model's `layers` learns that much slower than the one
    above it; see `layer_factor`. A `weight_decay` above 0 takes that share of dense layers, times
    the learning rate, in each step, apart from the gradient (AdamW, Loshchilov and Hutter 2019).
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        *,
        layer_decay: float = 1.0,
        layers: int = 0,
        weight_decay: float = 0.0,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, global_clipnorm=global_clipnorm)
        self._layer_decay, self._layers = layer_decay, layers
        self._weight_decay = weight_decay

    def _resource_apply_dense(self, grad: Any, var: Any, apply_state: Any = None) -> Any:
        """Update all of a variable by its gradient, of the same shape."""
        settings = self._settings(var, apply_state)
        if not self._weight_decay or not _KERNEL.search(var.name):
            return super()._resource_apply_dense(grad, var, settings)
        ((_, own),) = settings.items()
        with tf.control_dependencies([var.assign_sub(own["lr_t"] * self._weight_decay * var)]):
            return super()._resource_apply_dense(grad, var, settings)

    def _resource_apply_sparse(
        self, grad: Any, var: Any, indices: Any, apply_state: Any = None
    ) -> Any:
        """Update the rows `indices` (k,), each named once, by their gradients (k, width)."""
        (settings,) = self._settings(var, apply_state).values()
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

    def _settings(self, var: Any, apply_state: Any) -> dict[Any, Any]:
        """The settings of this step, by device and type: the rates are those of the layer."""
        key = (var.device, var.dtype.base_dtype)
        settings = (apply_state or {}).get(key) or self._fallback_apply_state(*key)
        factor = layer_factor(var.name, self._layer_decay, self._layers)
        if factor == 1:
            return {key: settings}
        return {key: {**settings, **{name: factor * settings[name] for name in ("lr_t", "lr")}}}


def layer_factor(name: str, decay: float, layers: int) -> float:
    """What the learning rate of a variable, by its name, is multiplied by.

    `decay` for the last of the layers, its square for the one below, and so on down to the
    embeddings; 1 for what is above them (Sun et al. 2019, section 5.3.3; counted as ELECTRA's code
    does).
    """
    layer = _LAYER.search(name)
    if layer:
        return float(decay ** (layers - int(layer[1])))
    return float(decay ** (layers + 1)) if "embeddings" in name else 1.0


def count_layers(model: Any) -> int:
    """How many layers the variables of a model say they are of; 0 if they do not say."""
    found = [_LAYER.search(variable.name) for variable in model.variables]
    return max((int(layer[1]) + 1 for layer in found if layer), default=0)
