"""Train on batches that memory cannot hold at once, in parts, with the gradients of the whole."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from incumbent.classifiers.classifier_base import Classifier
from incumbent.errors import MemoryExhausted

# What CUDA's libraries say, within errors of other kinds, when they get no memory.
_WORDS = ("out of memory", "oom when", "failed to allocate", "alloc_failed")
_LONGEST = 200  # characters of what TensorFlow said that are passed on


@contextlib.contextmanager
def in_parts(model: Any, parts: int) -> Iterator[None]:
    """Have a compiled model work each batch off in so many parts, one after the other.

    There is one update a batch, as before. Its gradient is the mean over the batch's rows: those of
    the parts are weighted by their rows, of which the last part may have fewer, or even none.
    """
    if parts == 1:
        yield
        return
    model.train_step = _step(model, parts)
    model.train_function = None  # it was made for the step before
    try:
        yield
    finally:
        del model.train_step
        model.train_function = None


def _step(model: Any, parts: int) -> Any:
    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def train_step(data: Any) -> dict[str, Any]:
        rows = tf.shape(tf.nest.flatten(data)[0])[0]
        size = -(-rows // parts)

        def of_part(start: Any) -> list[Any]:
            part = tf.nest.map_structure(lambda tensor: tensor[start : start + size], data)
            share = tf.minimum(size, rows - start) / rows
            return [_times(gradient, share) for gradient in _gradients(model, part)]

        # The first is apart from the loop: it tells which gradients there are, and which are
        # sparse, and the metrics make their variables in it.
        first = of_part(tf.constant(0))
        optimizer, variables = model.optimizer, model.trainable_variables

        def add(start: Any, *tensors: Any) -> Any:
            total = map(_sum, _packed(first, tensors), of_part(start))
            return start + size, *_flat(list(total))

        begin = size, *_flat(first)
        shapes = tuple(tf.TensorShape([None] * tensor.shape.rank) for tensor in begin)
        _, *total = tf.while_loop(
            lambda start, *_: start < rows, add, begin, shapes, parallel_iterations=1
        )
        optimizer.apply_gradients(zip(_packed(first, total), variables, strict=True))
        return {metric.name: metric.result() for metric in model.metrics}

    return train_step


def _gradients(model: Any, data: Any) -> list[Any]:
    """The gradients of some rows' loss: a `train_step` of Keras that updates metrics alone."""
    inputs, targets = data
    with tf.GradientTape() as tape:
        said = model(inputs, training=True)
        said = getattr(said, "logits", said)
        loss = model.compiled_loss(targets, said, regularization_losses=model.losses)
    model.compiled_metrics.update_state(targets, said)
    # As `minimize` does, with the loss scaled where the optimizer scales it.
    computed = model.optimizer._compute_gradients(loss, model.trainable_variables, tape=tape)
    return [gradient for gradient, _ in computed]


def _is_sparse(gradient: Any) -> bool:
    return isinstance(gradient, tf.IndexedSlices)


def _times(gradient: Any, share: Any) -> Any:
    """A gradient, if there is one, times a scalar."""
    if gradient is None:
        return None
    return tf.math.scalar_mul(tf.cast(share, gradient.dtype), gradient)


def _sum(one: Any, other: Any) -> Any:
    """The sum; the rows of sparse ones stand side by side, as they do in that of a whole batch."""
    if one is None:
        return None
    if not _is_sparse(one):
        return one + other
    return tf.IndexedSlices(
        tf.concat([one.values, other.values], 0), tf.concat([one.indices, other.indices], 0),
        one.dense_shape,
    )  # fmt: skip


def _flat(gradients: list[Any]) -> list[Any]:
    """The tensors that gradients are made of."""
    parts = [[g.values, g.indices] if _is_sparse(g) else [g] for g in gradients if g is not None]
    return [tensor for part in parts for tensor in part]


def _packed(like: list[Any], tensors: Any) -> list[Any]:
    """The gradients of which `_flat` made tensors, for variables like those."""
    left = iter(tensors)
    return [
        None if one is None
        else tf.IndexedSlices(next(left), next(left), one.dense_shape) if _is_sparse(one)
        else next(left)
        for one in like
    ]  # fmt: skip


@contextlib.contextmanager
def noticed(classifier: Classifier, replicas: int, parts: int) -> Iterator[None]:
    """Say it in our words when memory runs out in a training step.

    Raises:
        MemoryExhausted: if it does.
    """
    try:
        yield
    except Exception as error:
        if not exhausted(error):
            raise
        rows = math.ceil(classifier.training.batch_size / replicas / parts)
        lines = str(error).splitlines()
        reason = next(filter(_tells, lines), type(error).__name__).strip()[:_LONGEST]
        raise MemoryExhausted(
            f"There is no memory for {rows} rows of up to {classifier.preprocessing.max_length} "
            f"tokens at once ({reason}).",
            rows, parts,
        ) from error  # fmt: skip


def exhausted(error: Exception) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
        return True
    return isinstance(error, tf.errors.OpError) and _tells(str(error))


def _tells(said: str) -> bool:
    return any(word in said.lower() for word in _WORDS)
