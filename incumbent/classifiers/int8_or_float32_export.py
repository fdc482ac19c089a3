"""Export the trained model for serving: ONNX, in int8 where that costs no accuracy."""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from incumbent.classifiers.classifier_base import Classifier, Rows
from incumbent.config import ServingConfig
from incumbent.predictor import ONNX, Predictor, save_settings

_COMPARED = 16  # rows on which the export is held against the model that ktrain trained
_PRODUCT = re.compile(r"/layer_\._(\d+)/(.+)/MatMul$")
_PASSED_ON = ("attention/self/value", "attention/output/dense")
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
    text_column: str | tuple[str, ...],
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
        text_column: The name that consumers' frames give the text, or those of its parts.
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
    quantize(folder / ONNX, small)
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


def quantize(source: Path, target: Path) -> None:
    """Weights to int8, column by column; activations to uint8, each text by its own scale.

    One scale for all columns of a matrix would be as quick and lose more than twice as much. The
    first layer, whose errors go through all others, stays as it is, and so does what the last
    layer's attention passes on, from which all is answered; both are common practice.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it warns, by the root logger, that no shapes were inferred
    try:
        quantize_dynamic(
            source, target, weight_type=QuantType.QInt8, per_channel=True,
            nodes_to_exclude=_exact(onnx.load(source).graph),
        )  # fmt: skip
    finally:
        root.setLevel(level)


def _exact(graph: Any) -> list[str]:
    """The names of the products that stay in float32."""
    found = [(_PRODUCT.search(node.name), node.name) for node in graph.node]
    layers = [(int(match[1]), match[2], name) for match, name in found if match]
    last = max((number for number, _, _ in layers), default=0)
    return [
        name
        for number, part, name in layers
        if number == 0 or (number == last and part in _PASSED_ON)
    ]
