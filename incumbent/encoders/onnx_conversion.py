"""Convert a Keras model to an ONNX graph that onnxruntime runs fast.

onnxruntime has kernels for what a BERT is made of, and uses one where it recognises the arithmetic
of it. TensorFlow writes the same arithmetic in other ways, so it is traced as a textbook has it,
and what tf2onnx changes is changed back.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from incumbent.encoders.encoded_texts import Ids
from incumbent.errors import StageError
from incumbent.kernels import ktrain_import

_OPSET = 17  # the newest that tf2onnx 1.17 is tested with for every operator of a BERT
_WEIGHTS = 1000  # numbers in an array from which it is a weight: smaller ones tf2onnx may fold
_TOLERANCE = 1e-4  # between answers, which sum in another order; seen below 1e-6


def check(exported: NDArray[Any], trained: NDArray[Any]) -> None:
    """See that an exported model answers some rows as the trained one does, both (n, k).

    Raises:
        StageError: if it does not.
    """
    gap = float(np.abs(exported - trained).max())
    if not gap <= _TOLERANCE:
        raise StageError(
            f"The exported model's answers differ from the trained one's by up to {gap:.2g} on "
            f"{len(exported)} rows; at most {_TOLERANCE:g} was expected. Choose another model, or "
            "other training.weights."
        )


def write_onnx(logits: Callable[[Any], Any], examples: Ids, file: Path) -> None:
    """Write a function of token ids (1, n_tokens) that gives logits (1, n_classes) as ONNX.

    Args:
        logits: The function, of TensorFlow's tensors.
        examples: Token ids of some rows (n, ragged), for which both must give the same.
        file: Where it goes.

    Raises:
        StageError: if the model has an operator that ONNX lacks, or ONNX answers otherwise.
    """
    import onnx
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec([1, None], tf.int32, name="input_ids")]
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with ktrain_import.quiet():
        with _textbook():
            traced = tf.function(logits, input_signature=signature).get_concrete_function()
        # Without its weights: tf2onnx copies them time and again (7 GB for 90 MB of them).
        bare, weights = _without_weights(traced)
        model, _ = tf2onnx.convert.from_graph_def(
            bare, input_names=["input_ids:0", *weights], output_names=["Identity:0"], opset=_OPSET,
            tensors_to_rename={"input_ids:0": "input_ids", "Identity:0": "logits"},
        )  # fmt: skip
    inputs = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for name, array in weights.items()
    )
    _divide_before_erf(model.graph)
    _mean_as_such(model.graph)
    onnx.save(model, file)
    _compare(logits, examples, file)


def append_linear(
    source: Path, weights: NDArray[np.float32], bias: NDArray[np.float32], target: Path
) -> None:
    """Write an ONNX model of vectors (1, n_units) as one of logits (1, k), by a linear layer.

    Args:
        source: The model of vectors.
        weights: The layer's weights, (n_units, k).
        bias: Its bias, (k,).
        target: Where the model of logits goes.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(source)
    (output,) = model.graph.output
    (last,) = (node for node in model.graph.node if output.name in node.output)
    last.output[list(last.output).index(output.name)] = "vector"
    for name, array in (("head_weights", weights), ("head_bias", bias)):
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    model.graph.node.extend([
        helper.make_node("MatMul", ["vector", "head_weights"], ["products"], "head_product"),
        helper.make_node("Add", ["products", "head_bias"], [output.name], "head_sum"),
    ])  # fmt: skip
    output.type.tensor_type.shape.dim[-1].dim_value = len(bias)
    onnx.save(model, target)


def reorder(file: Path, order: list[int]) -> None:
    """Have an ONNX model give its logits (1, k) in another order, by the indices of the old one."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(file)
    (output,) = model.graph.output
    (last,) = (node for node in model.graph.node if output.name in node.output)
    last.output[list(last.output).index(output.name)] = "as_trained"
    model.graph.initializer.append(numpy_helper.from_array(np.array(order, np.int64), "order"))
    model.graph.node.append(
        helper.make_node("Gather", ["as_trained", "order"], [output.name], "in_order", axis=-1)
    )
    onnx.save(model, file)


def _without_weights(traced: Any) -> tuple[Any, dict[str, NDArray[Any]]]:
    """A traced function's graph with placeholders for its weights, and the weights by name."""
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    frozen = convert_to_constants.convert_variables_to_constants_v2(traced)
    graph, weights = frozen.graph.as_graph_def(), {}
    for node in graph.node:
        array = tf.make_ndarray(node.attr["value"].tensor) if node.op == "Const" else None
        if array is not None and array.size >= _WEIGHTS:
            weights[f"{node.name}:0"] = array
            node.op = "Placeholder"
            node.attr["shape"].shape.CopyFrom(tf.TensorShape(array.shape).as_proto())
            del node.attr["value"]
    return graph, weights


def _compare(logits: Callable[[Any], Any], examples: Ids, file: Path) -> None:
    import onnxruntime
    import tensorflow as tf

    try:
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's have no class in common
        raise StageError(
            "The trained model has an operator that ONNX, in which it is served, lacks: "
            f"{error}. Choose another training.weights."
        ) from error
    check(
        np.concatenate([session.run(None, {"input_ids": row[None]})[0] for row in examples]),
        np.concatenate([logits(tf.constant([row])) for row in examples]),
    )


@contextmanager
def _textbook() -> Iterator[None]:
    """Have GELU, layer normalization and dense layers traced by their textbook formulas."""
    import tensorflow.compat.v2 as tf
    from tensorflow.keras.layers import Dense, LayerNormalization

    from incumbent.kernels import gelu_and_layer_norm

    gelu, normalize = tf.nn.gelu, LayerNormalization.call

    def textbook_gelu(x: Any, approximate: bool = False, name: str | None = None) -> Any:
        """By erf: TensorFlow's own has Erfc, an operator that ONNX lacks."""
        if approximate:
            return gelu(x, approximate, name)
        return x * 0.5 * (1.0 + tf.math.erf(x / math.sqrt(2.0)))

    def textbook_normalize(layer: Any, x: Any) -> Any:
        """By means: TensorFlow's own is a batch normalization of reshaped rows."""
        if list(layer.axis) != [len(x.shape) - 1] or not (layer.center and layer.scale):
            return normalize(layer, x)
        off = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.pow(off, 2.0), axis=-1, keepdims=True)
        return off / tf.sqrt(variance + layer.epsilon) * layer.gamma + layer.beta

    def textbook_dense(layer: Any, x: Any) -> Any:
        """By one product: TensorFlow's own makes rows of a text's tokens, and a text of rows."""
        product = tf.matmul(x, layer.kernel)
        if layer.use_bias:
            product = product + layer.bias
        return layer.activation(product)

    textbook = (
        (tf.nn, "gelu", textbook_gelu),
        (gelu_and_layer_norm, "_gelu", textbook_gelu),
        (gelu_and_layer_norm, "normalize", textbook_normalize),
        (LayerNormalization, "call", textbook_normalize),
        (Dense, "call", textbook_dense),
    )
    originals = [(place, name, getattr(place, name)) for place, name, _ in textbook]
    for place, name, function in textbook:
        setattr(place, name, function)
    try:
        yield
    finally:
        for place, name, function in originals:
            setattr(place, name, function)


def _mean_as_such(graph: Any) -> None:
    """Write a mean as a mean: tf2onnx makes it a pooling, in which no normalization is seen."""
    from onnx import helper

    for node in graph.node:
        if node.op_type == "GlobalAveragePool":
            node.op_type = "ReduceMean"
            node.attribute.append(helper.make_attribute("axes", [-1]))


def _divide_before_erf(graph: Any) -> None:
    """Write erf(x * 0.7071) as erf(x / 1.4142): the one form that onnxruntime sees a GELU in.

    Fused, it takes a quarter of the time off a text of 256 tokens.
    """
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    root = numpy_helper.from_array(np.array(math.sqrt(2.0), np.float32), "root_of_two")
    for node in graph.node:
        scaling = made_by.get(node.input[0]) if node.op_type == "Erf" else None
        if scaling is None or scaling.op_type != "Mul":
            continue
        (factor, *_), (x, *_) = (
            [name for name in scaling.input if (name in constants) == constant] or [""]
            for constant in (True, False)
        )
        if not (factor and x):
            continue
        value = numpy_helper.to_array(constants[factor])
        if value.size == 1 and math.isclose(value.item(), math.sqrt(0.5), rel_tol=1e-6):
            scaling.op_type = "Div"
            scaling.input[:] = [x, root.name]
    graph.initializer.append(root)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
