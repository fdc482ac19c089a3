"""GELU and layer normalization in one pass over memory.

TensorFlow runs each as a chain of operations that write what the next one reads. Here XLA makes a
loop of the chain; matrix products stay with oneDNN, which is quicker at them than XLA.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf


@tf.custom_gradient  # type: ignore[untyped-decorator]
def gelu(inputs: Any) -> Any:
    """Return x Phi(x) with the exact normal distribution function (Hendrycks and Gimpel 2016)."""
    return _gelu(inputs), lambda gradient: _gelu_gradient(inputs, gradient)


def _phi(inputs: Any) -> Any:
    return 0.5 * (1 + tf.math.erf(inputs * math.sqrt(0.5)))


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _gelu(inputs: Any) -> Any:
    return inputs * _phi(inputs)


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _gelu_gradient(inputs: Any, gradient: Any) -> Any:
    density = tf.exp(-0.5 * tf.square(inputs)) / math.sqrt(2 * math.pi)
    return gradient * (_phi(inputs) + inputs * density)


def normalize(layer: Any, inputs: Any) -> Any:
    """Layer normalization (Ba et al. 2016) over the last axis, by a Keras layer that does that."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(inputs: Any, gamma: Any, beta: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any, Any]:
            of_inputs, of_gamma = _normalize_gradient(inputs, gamma, upstream, layer.epsilon)
            rows = list(range(inputs.shape.rank - 1))  # TensorFlow is quicker than XLA to sum them
            return of_inputs, tf.reduce_sum(of_gamma, rows), tf.reduce_sum(upstream, rows)

        return _normalize(inputs, gamma, beta, layer.epsilon), gradient

    weights = (tf.cast(weight, tf.float32) for weight in (layer.gamma, layer.beta))
    return tf.cast(normalized(tf.cast(inputs, tf.float32), *weights), inputs.dtype)


def _standard(inputs: Any, epsilon: float) -> tuple[Any, Any]:
    """The inputs with mean 0 and variance 1, and by what they were multiplied."""
    off = inputs - tf.reduce_mean(inputs, axis=-1, keepdims=True)
    factor = tf.math.rsqrt(tf.reduce_mean(tf.square(off), axis=-1, keepdims=True) + epsilon)
    return off * factor, factor


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _normalize(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    return _standard(inputs, epsilon)[0] * gamma + beta


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _normalize_gradient(inputs: Any, gamma: Any, upstream: Any, epsilon: float) -> tuple[Any, Any]:
    """The gradients of the inputs, and of gamma before it is summed over the rows."""
    standard, factor = _standard(inputs, epsilon)
    scaled = upstream * gamma
    mean = tf.reduce_mean(scaled, axis=-1, keepdims=True)
    slope = tf.reduce_mean(scaled * standard, axis=-1, keepdims=True)
    return factor * (scaled - mean - standard * slope), upstream * standard
