"""Attention a few heads at a time, so that what lies between two products stays in cache.

The attention probabilities of 16 rows of 256 tokens are 50 MB a layer. TensorFlow writes and reads
them a dozen times over, for scale, mask, softmax and dropout, forwards and backwards, which takes
longer than the products. Here a block of heads goes the whole way before the next does, and nothing
of that size is kept: the gradient works the probabilities out again, as in FlashAttention (Dao et
al. 2022, section 3.1). XLA compiles the way as a whole: at the small products of a head it is
quicker than oneDNN, which TensorFlow takes by itself.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import tensorflow as tf

from incumbent.kernels import dropout

_BLOCK = 1 << 18
"""Most probabilities in a block of several heads: 1 MiB of float32."""


def attend(queries: Any, keys: Any, values: Any, mask: Any, rate: float, seed: Any) -> Any:
    """Scaled dot-product attention (Vaswani et al. 2017, section 3.2.1), with dropout.

    Args:
        queries: (batch, heads, n_queries, size).
        keys: (batch, heads, n_keys, size).
        values: (batch, heads, n_keys, size).
        mask: What is added to the scores, (batch, 1, 1, n_keys): 0, and far less at padding.
        rate: Share of the probabilities that is dropped.
        seed: Says which, (2,).

    Returns:
        What each query read, (batch, heads, n_queries, size).
    """
    settings = {"scale": 1 / math.sqrt(queries.shape[-1]), "rate": rate}
    shape = tf.concat([tf.shape(queries)[:3], tf.shape(keys)[2:3]], 0)
    chances = dropout.draw(shape, seed)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def attention(queries: Any, keys: Any, values: Any) -> Any:
        masks = tf.repeat(mask, tf.shape(queries)[1], axis=1)  # (batch, heads, 1, n_keys)
        given = chances, masks, queries, keys, values
        size = _block_size(shape)
        (read,) = _by_blocks(partial(_forwards, **settings), size, *given)
        backwards = partial(_backwards, **settings)
        return read, lambda upstream: _by_blocks(backwards, size, *given, upstream)

    return attention(queries, keys, values)


def _by_blocks(work: Any, size: Any, *given: Any) -> Any:
    """Let `work` go over `size` heads at a time of what is given, all (batch, heads, ...)."""
    rows = tf.shape(given[0])[:2]
    blocks = [tf.reshape(x, tf.concat([[-1, size], tf.shape(x)[2:]], 0)) for x in given]
    kinds = (given[-1].dtype,) * (1 if len(given) == 5 else 3)
    done = tf.map_fn(
        lambda block: work(*block), blocks, fn_output_signature=kinds, parallel_iterations=2
    )
    return tuple(tf.reshape(x, tf.concat([rows, tf.shape(x)[2:]], 0)) for x in done)


def _block_size(shape: Any) -> Any:
    """How many heads a block has: as many as fit, all blocks alike, as XLA compiles each size."""
    batch, heads, n_queries, n_keys = tf.unstack(shape)
    sizes = tf.range(1, batch * heads + 1)
    fitting = (batch * heads % sizes == 0) & (sizes * n_queries * n_keys <= _BLOCK)
    return tf.maximum(1, tf.reduce_max(tf.where(fitting, sizes, 1)))


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _forwards(c: Any, m: Any, q: Any, k: Any, v: Any, scale: float, rate: float) -> Any:
    """What a block's queries q read of its keys k and values v, given chances c and mask m."""
    _, kept = _weigh(c, m, q, k, scale, rate)
    return (tf.matmul(kept, v),)


@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
def _backwards(
    c: Any, m: Any, q: Any, k: Any, v: Any, upstream: Any, scale: float, rate: float
) -> Any:
    """The gradients of a block's queries, keys and values."""
    probabilities, kept = _weigh(c, m, q, k, scale, rate)
    of_kept = tf.cast(tf.matmul(upstream, v, transpose_b=True), tf.float32)
    of_probabilities = dropout.keep(of_kept, c, rate)
    mean = tf.reduce_sum(probabilities * of_probabilities, axis=-1, keepdims=True)
    of_scores = tf.cast(scale * probabilities * (of_probabilities - mean), q.dtype)
    return (
        tf.matmul(of_scores, k),
        tf.matmul(of_scores, q, transpose_a=True),
        tf.matmul(kept, upstream, transpose_a=True),
    )


def _weigh(c: Any, m: Any, q: Any, k: Any, scale: float, rate: float) -> Any:
    """The probabilities in float32, and what dropout leaves of them in the queries' own type."""
    scores = tf.cast(tf.matmul(q, k, transpose_b=True), tf.float32)
    probabilities = tf.nn.softmax(scores * scale + tf.cast(m, tf.float32))
    return probabilities, tf.cast(dropout.keep(probabilities, c, rate), q.dtype)
