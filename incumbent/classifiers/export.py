"""The trained model as what is served: ONNX, in int8 where that costs no accuracy."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from incumbent.classifiers import libraries
from incumbent.classifiers.base import Classifier, Rows
from incumbent.config import ServingConfig
from incumbent.encoding import Ids
from incumbent.errors import StageError
from incumbent.predictor import ONNX, Predictor, save_settings

_OPSET = 17  # the newest that tf2onnx 1.17 is tested with for every operator of a BERT
_WEIGHTS = 1000  # numbers in an array from which it is a weight: smaller ones tf2onnx may fold
_COMPARED = 16  # rows on which the export is held against the model that ktrain trained
_TOLERANCE = 1e-4  # between their answers, which sum in another order; seen below 1e-6
_MEASURED = 2000  # texts that int8 is measured on


class Served(BaseModel):
    """An exported model: its folder, and what its precision costs.

    `precision` is `float32` or `int8`; `int8_loss` is how much lower the accuracy of int8 is to be
    expected than that of float32 (a fraction; see `expected_loss`), from `measured` training texts,
    None if it was not measured.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    precision: str
    int8_loss: float | None = None
    measured: int = 0

    def __str__(self) -> str:
        """In words, for the log."""
        if self.int8_loss is None:
            return f"the model is served in {self.precision}"
        return (
            f"the model is served in {self.precision}: int8 costs {100 * self.int8_loss:.2f} "
            f"points of accuracy, by {self.measured:,} training texts"
        )


def serve(
    classifier: Classifier,
    model: Any,
    preprocessor: Any,
    rows: Rows,
    folder: Path,
    text_column: str,
    config: ServingConfig,
) -> Served:
    """Export a trained model to `folder`.

    Int8 is measured on training texts: the test set has no part in what is served.

    Args:
        classifier: What was trained.
        model: The Keras model.
        preprocessor: ktrain's, of the same predictor.
        rows: Encoded training rows, those that were held out first.
        folder: Where the served model goes.
        text_column: The name that consumers' frames give the text.
        config: The precision.

    Raises:
        StageError: if the model cannot be exported, or the export answers otherwise.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rows = rows.take(np.arange(min(len(rows.labels), _MEASURED)))
    examples = rows.take(np.arange(min(len(rows.labels), _COMPARED)))
    classifier.export(model, preprocessor, examples, folder)
    save_settings(
        folder, classes=classifier.classes, text_column=text_column,
        truncation=classifier.preprocessing.truncation,
        max_length=classifier.preprocessing.max_length, multilabel=classifier.multilabel,
    )  # fmt: skip
    if not (folder / ONNX).is_file() or config.precision == "float32":
        return Served(folder=folder, precision="float32")
    small = folder / f"int8.{ONNX}"
    _quantize(folder / ONNX, small)
    if config.precision == "int8":
        small.replace(folder / ONNX)
        return Served(folder=folder, precision="int8")
    exact = Predictor().load(folder).probabilities(rows.texts)
    (folder / ONNX).rename(folder / f"float32.{ONNX}")
    small.replace(folder / ONNX)
    rounded = Predictor().load(folder).probabilities(rows.texts)
    loss = expected_loss(exact, rounded, multilabel=classifier.multilabel)
    kept = loss <= config.max_accuracy_loss
    if kept:
        (folder / f"float32.{ONNX}").unlink()
    else:
        (folder / f"float32.{ONNX}").replace(folder / ONNX)
    precision = "int8" if kept else "float32"
    return Served(folder=folder, precision=precision, int8_loss=loss, measured=len(rows.texts))


def expected_loss(
    exact: NDArray[np.float64], rounded: NDArray[np.float64], multilabel: bool
) -> float:
    """How much accuracy (a fraction) the labels of rounded probabilities cost, both (n, k).

    Where a label changes, it is right with the probability that the exact model gives it, in place
    of that of its own. Counting right and wrong instead says little: of 2,000 rows some 30 change,
    half of them for the better, and 0.2 points are 4 rows. An overconfident model, as one is on
    rows it has trained on, makes the loss look larger than it is.
    """

    def chance(p: NDArray[np.float64]) -> NDArray[np.float64]:  # that the labels of p are right
        if multilabel:
            right: NDArray[np.float64] = np.where(p >= 0.5, exact, 1 - exact).prod(axis=1)
        else:
            right = exact[np.arange(len(p)), p.argmax(axis=1)]
        return right

    return float((chance(exact) - chance(rounded)).mean())


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
    with libraries.quiet():
        with _textbook_gelu():
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
    onnx.save(model, file)
    _compare(logits, examples, file)


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


def _quantize(source: Path, target: Path) -> None:
    """Weights to int8, column by column; activations to uint8, each text by its own scale.

    One scale for all columns of a matrix would be as quick and lose more than twice as much.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it warns, by the root logger, that no shapes were inferred
    try:
        quantize_dynamic(source, target, weight_type=QuantType.QInt8, per_channel=True)
    finally:
        root.setLevel(level)


@contextmanager
def _textbook_gelu() -> Iterator[None]:
    """Have GELU built from erf: TensorFlow's own has Erfc, an operator that ONNX lacks."""
    import tensorflow.compat.v2 as tf

    from incumbent.classifiers import kernels

    keras, ours = tf.nn.gelu, kernels._gelu

    def gelu(x: Any, approximate: bool = False, name: str | None = None) -> Any:
        if approximate:
            return keras(x, approximate, name)
        return x * 0.5 * (1.0 + tf.math.erf(x / math.sqrt(2.0)))

    tf.nn.gelu = kernels._gelu = gelu
    try:
        yield
    finally:
        tf.nn.gelu, kernels._gelu = keras, ours


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
