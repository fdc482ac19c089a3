"""Dropout (Srivastava et al. 2014) from one random byte a number, where Keras draws a float.

A rate is rounded to 256ths, and what is kept is scaled by the rate as it then is.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_CHANCES = 256


def drop(inputs: Any, rate: float, seed: Any) -> Any:
    """Set a share `rate` of the numbers to 0, and scale the others so that the mean stays.

    The seed is (2,); the same drops the same.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def dropout(inputs: Any) -> Any:
        chances = draw(tf.shape(inputs), seed)
        return _kept(inputs, chances, rate), lambda upstream: _kept(upstream, chances, rate)

    return dropout(inputs)


def seed(layer: Any) -> Any:
    """A seed, (2,), for a Keras layer that drops: another one each step.

    It is from the layer's own generator, if it has one (see `training.random_state`), or else from
    TensorFlow's global one.
    """
    own = layer._random_generator.make_seed_for_stateless_op()
    if own is not None:
        return own
    return tf.random.uniform([2], minval=tf.int32.min, maxval=tf.int32.max, dtype=tf.int32)


def draw(shape: Any, seed: Any) -> Any:
    """Random bytes, uint8: always the same for the same shape and seed."""
    size = tf.reduce_prod(shape)
    words = tf.random.stateless_uniform([(size + 3) // 4], seed, None, None, tf.int32)
    return tf.reshape(tf.reshape(tf.bitcast(words, tf.uint8), [-1])[:size], shape)


def keep(inputs: Any, chances: Any, rate: float) -> Any:
    """Drop the numbers whose chance is among the lowest; `inputs` and `chances` have one shape."""
    lowest = round(rate * _CHANCES)
    scale = _CHANCES / (_CHANCES - lowest)
    return tf.where(chances >= tf.constant(lowest, tf.uint8), inputs * scale, 0)


_kept = tf.function(keep, jit_compile=True)
