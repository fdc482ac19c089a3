"""GELU in one pass over memory.

TensorFlow runs it as a chain of operations that write what the next one reads. Here XLA makes one
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
