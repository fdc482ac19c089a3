"""What is served: the trained model in ONNX, in float32 or int8, without TensorFlow."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.classifiers import int8_or_float32_export
from incumbent.classifiers.classifier_base import Rows
from incumbent.config import ServingConfig
from incumbent.data import datasets
from incumbent.encoders import encoded_texts, onnx_conversion
from incumbent.errors import StageError
from incumbent.predictor import ONNX, Predictor
from tests.trainings import Run, ready

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def embedded(reviews: Callable[[int], datasets.Dataset]) -> datasets.Dataset:
    return reviews(120)


Serve = Callable[..., tuple[int8_or_float32_export.Served, Predictor]]


@pytest.fixture(scope="module")
def trained(
    embedded: datasets.Dataset, tiny_bert: Path, workdir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:  # fmt: skip
    """A small BERT, trained."""
    folder = tmp_path_factory.mktemp("trained")
    run = ready(embedded, workdir, folder, weights=str(tiny_bert), learning_rate=1e-3)
    run.fit()
    return run


@pytest.fixture(scope="module")
def plain(trained: Run) -> Any:
    """What ktrain saved of it."""
    import ktrain

    return ktrain.load_predictor(str(trained.folder))


@pytest.fixture(scope="module")
def serve(trained: Run, plain: Any, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Exports it as a config says, once for each."""
    rows = Rows(*encoded_texts.load(trained.encoded.train))

    @functools.cache
    def make(**config: Any) -> tuple[int8_or_float32_export.Served, Predictor]:
        serving = ServingConfig().model_copy(update=config)  # unchecked: see the impossible one
        served = int8_or_float32_export.serve(
            trained.classifier, plain.model, plain.preproc, rows,
            tmp_path_factory.mktemp("served") / "predictor", "text", serving,
        )  # fmt: skip
        return served, Predictor().load(served.folder)

    return make


FILES = {"incumbent.json", "model.onnx", "tokenizer.json"}


def files(served: int8_or_float32_export.Served) -> set[str]:
    return {file.name for file in served.folder.iterdir()}


def megabytes(served: int8_or_float32_export.Served) -> float:
    return (served.folder / ONNX).stat().st_size / 1e6


def test_float32_answers_as_ktrain_does(serve: Serve, plain: Any) -> None:
    served, model = serve(precision="float32")
    assert (served.precision, served.int8_loss) == ("float32", None)
    assert str(served) == "the model is served in float32"
    assert files(served) == FILES
    texts = ["A masterpiece.", "Dull, " * 60, "", "A film of middling length about a family."]
    assert np.allclose(model.probabilities(texts), plain.predict_proba(texts), atol=1e-5)


def test_int8_is_taken_while_it_costs_little(serve: Serve, plain: Any, trained: Run) -> None:
    served, model = serve(max_accuracy_loss=0.5)
    texts, *_ = encoded_texts.load(trained.encoded.train)
    assert (served.precision, served.measured) == ("int8", len(texts))
    assert megabytes(served) < 1.5  # 30,522 words of 32 numbers each, a byte a number
    assert files(served) == FILES
    exact = np.asarray(plain.predict_proba(texts))
    found = int8_or_float32_export.expected_loss(
        exact, model.probabilities(texts), multilabel=False
    )
    assert served.int8_loss == pytest.approx(found, abs=1e-5)
    assert "served in int8: int8 costs" in str(served)


def test_int8_that_costs_too_much_is_left(serve: Serve) -> None:
    served, _ = serve(max_accuracy_loss=-1.0)  # a gain that nothing can give
    assert served.precision == "float32"
    assert megabytes(served) > 3
    assert files(served) == FILES


def test_an_answer_does_not_depend_on_the_other_texts(serve: Serve) -> None:
    _, model = serve(precision="int8")
    texts = ["A masterpiece.", "Dull, " * 60, "", "A film of middling length about a family."]
    together = model.probabilities(texts * 40)
    alone = np.concatenate([model.probabilities([text]) for text in texts])
    assert np.array_equal(together, np.tile(alone, (40, 1)))


def test_an_export_that_answers_otherwise_is_refused(serve: Serve, trained: Run) -> None:
    import tensorflow as tf

    served, _ = serve(precision="float32")
    ids = encoded_texts.load(trained.encoded.test)[1][:3]
    with pytest.raises(StageError, match="answers differ from the trained one's by up to"):
        onnx_conversion._compare(lambda ids: tf.zeros((1, 2)), ids, served.folder / ONNX)


def test_onnxruntime_sees_what_the_network_is_made_of(serve: Serve, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    served, _ = serve(precision="int8")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        str(served.folder / ONNX), options, providers=["CPUExecutionProvider"]
    )
    nodes = onnx.load(options.optimized_model_filepath).graph.node
    found = Counter(node.op_type for node in nodes)
    layers = found["Gelu"] + found["BiasGelu"]  # in int8, and the first one in float32
    assert layers == 2
    # One after the embeddings and two a layer; a mean that is left over was not seen to be a part.
    assert found["LayerNormalization"] + found["SkipLayerNormalization"] == 2 * layers + 1
    assert not found["ReduceMean"] + found["GlobalAveragePool"] + found["Erf"]
    assert found["Reshape"] <= 5 * layers  # heads apart and together again, and no more


def test_what_onnx_lacks_is_said(tmp_path: Path) -> None:
    import tensorflow as tf

    def logits(ids: Any) -> Any:
        return tf.raw_ops.Betainc(a=0.5, b=0.5, x=tf.cast(ids, tf.float32) / 1e6)

    with pytest.raises(StageError, match=r"an operator that ONNX.*lacks.*Betainc"):
        onnx_conversion.write_onnx(logits, [np.array([1, 2], np.int32)], tmp_path / ONNX)


def test_nothing_heavy_is_loaded_to_serve(serve: Serve) -> None:
    served, _ = serve(precision="int8")
    code = (
        "import sys; from pathlib import Path; from incumbent.predictor import Predictor\n"
        f"print(Predictor().load(Path({str(served.folder)!r})).probabilities(['good']))\n"
        "heavy = {'tensorflow', 'ktrain', 'transformers', 'mlflow', 'prefect', 'pandas', 'sklearn'}"
        "\nassert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_label_that_changes_costs_what_the_exact_model_gave_it_more() -> None:
    exact = np.array([[0.6, 0.4], [0.9, 0.1], [0.5, 0.5]])
    rounded = np.array([[0.4, 0.6], [0.8, 0.2], [0.5, 0.5]])
    assert int8_or_float32_export.expected_loss(exact, rounded, multilabel=False) == pytest.approx(
        0.2 / 3
    )
    # Of sets, that all labels are right: 0.6 * 0.9 in place of 0.4 * 0.9.
    exact, rounded = np.array([[0.6, 0.1]]), np.array([[0.4, 0.1]])
    assert int8_or_float32_export.expected_loss(exact, rounded, multilabel=True) == pytest.approx(
        0.2 * 0.9
    )


def test_rows_follow_one_another() -> None:
    one = Rows(["a"], [np.array([1], np.int32)], np.array([0]))
    two = Rows(["b", "c"], [np.array([2], np.int32)] * 2, np.array([1, 0]))
    both = one.then(two)
    assert both.texts == ["a", "b", "c"]
    assert both.labels.tolist() == [0, 1, 0]
    assert len(both.ids) == 3


def test_the_first_layer_and_what_is_answered_from_stay_exact() -> None:
    from onnx import helper

    parts = ("attention/self/query", "attention/self/value", "attention/output/dense",
             "intermediate/dense", "output/dense")  # fmt: skip
    names = [f"model/encoder/layer_._{n}/{part}/MatMul" for n in range(3) for part in parts]
    nodes = [helper.make_node("MatMul", ["a", "b"], ["c"], name) for name in names]
    nodes.append(helper.make_node("Gemm", ["a", "b"], ["c"], "model/classifier/MatMul_Gemm__7"))
    graph = helper.make_graph(nodes, "graph", [], [])
    assert int8_or_float32_export._exact(graph) == names[:5] + names[11:13]
