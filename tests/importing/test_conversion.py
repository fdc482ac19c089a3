"""Predictors that ktrain itself saved are loaded, and the exports answer as they do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.classifiers import keras_bert
from incumbent.data import datasets, ingestion
from incumbent.encoders import pretrained_weights
from incumbent.errors import ConfigError, DataRefused, StageError
from incumbent.importing import conversion, saved_predictor, unpickling
from incumbent.importing.conversion import Converted
from incumbent.kernels import ktrain_import
from incumbent.predictor import Predictor

pytestmark = pytest.mark.slow

PRAISE = ["A great film, moving & funny", "truly great", "i loved it", "loved every great minute"]
BLAME = ["a dull film", "truly dull and long", "i hated it", "hated every dull minute"]
TEXTS = [
    *PRAISE, *BLAME, "", "zebra", "great " * 60, "Überraschend gut – déjà vu! 🎬", "x" * 130,
    "a dull film \t[that] isn't great",
]  # fmt: skip
# Neither is in the order of the alphabet.
ONE = np.eye(2, dtype=np.float32)[[0] * 4 + [1] * 4]
NAMES = ["pos", "neg"]
ANY = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1], [1, 1, 0]] * 2, np.float32)
SETS = ["rude", "late", "billing"]
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path, tiny_bert: Path, workdir: Path) -> Save:
    """Train a moment as a notebook does, and `predictor.save`; gives the folder."""
    ktrain_import.load()
    import ktrain
    import tensorflow as tf
    from ktrain import text, utils

    def make(kind: str, y: Any = ONE, names: list[str] = NAMES, mode: str = "standard") -> Path:
        texts = PRAISE + BLAME
        # All models would share it, and then it cannot be saved.
        utils.DEFAULT_OPT = tf.keras.optimizers.legacy.Adam()
        with ktrain_import.quiet(), ktrain_import.scratch():
            if mode == "transformer":
                preprocessor = text.Transformer(str(tiny_bert), maxlen=24, class_names=names)
                preprocessor.lang = "en"
                data = preprocessor.preprocess_train(texts, y, verbose=0)
                model = preprocessor.get_classifier()
            else:
                checkpoint = pretrained_weights.google_checkpoint(str(tiny_bert), workdir)
                with keras_bert._checkpoint(checkpoint):
                    data, _, preprocessor = text.texts_from_array(
                        texts, y, texts, y, class_names=names, lang="en", maxlen=24, verbose=0,
                        max_features=100, ngram_range=3 if kind in ("nbsvm", "logreg") else 1,
                        preprocess_mode=mode,
                    )  # fmt: skip
                    model = text.text_classifier(
                        kind, train_data=data, preproc=preprocessor, verbose=0
                    )
            learner = ktrain.get_learner(model, train_data=data, batch_size=4)
            learner.fit(1e-2, 2, verbose=0)
            ktrain.get_predictor(learner.model, preprocessor).save(str(tmp_path / "saved"))
        return tmp_path / "saved"

    return make


def converted(folder: Path, tmp_path: Path, precision: str = "float32") -> tuple[Converted, Path]:
    saved = saved_predictor.take(saved_predictor.find(folder), tmp_path / "work")
    served, scratch = tmp_path / "served", tmp_path / "scratch"
    served.mkdir()
    scratch.mkdir()
    predictor = unpickling.load(saved.folder, saved.pickle_digest)
    return (
        conversion.convert(predictor, saved.folder, TEXTS, served, "text", precision, scratch),
        served,
    )


@pytest.mark.parametrize(
    ("kind", "mode", "y", "names"),
    [
        ("nbsvm", "standard", ONE, NAMES),
        ("logreg", "standard", ONE, NAMES),
        ("fasttext", "standard", ANY, SETS),
        ("transformer", "transformer", ONE, NAMES),
        ("transformer", "transformer", ANY, SETS),
        ("bert", "bert", ANY, SETS),
    ],
)
def test_what_ktrain_saved_is_served_with_its_own_answers(
    save: Save, tmp_path: Path, kind: str, mode: str, y: Any, names: list[str]
) -> None:
    folder = save(kind, y, names, mode)
    done, served = converted(folder, tmp_path)
    assert done.kind == kind
    assert done.multilabel == (names is SETS)
    assert done.classes == tuple(sorted(names))
    assert done.compared == len(TEXTS)
    assert done.gap < conversion.TOLERANCE
    import ktrain

    with ktrain_import.quiet():
        plain = ktrain.load_predictor(str(folder))
        expected = plain.predict_proba(TEXTS)
    assert np.ptp(expected, axis=0).min() > 2 * conversion.TOLERANCE
    model = Predictor().load(served)
    assert (model.classes, model.multilabel) == (done.classes, done.multilabel)
    order = [plain.get_classes().index(name) for name in done.classes]
    assert np.allclose(model.probabilities(TEXTS), expected[:, order], atol=1e-5)


def test_int8_is_taken_where_it_is_asked_for(save: Save, tmp_path: Path) -> None:
    done, served = converted(save("transformer", mode="transformer"), tmp_path, "int8")
    assert done.precision == "int8"
    assert (
        (served / "model.onnx").stat().st_size
        < 2e6
        < (tmp_path / "saved/tf_model.h5").stat().st_size
    )
    assert [file.name for file in served.glob("*.onnx")] == ["model.onnx"]


def test_other_networks_are_refused(save: Save, tmp_path: Path) -> None:
    with pytest.raises(
        StageError, match=r"with a network of Embedding, .*GRU.*cannot be exported. Can be imported"
    ):
        converted(save("standard_gru"), tmp_path)


def test_an_export_that_answers_otherwise_is_refused(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "_reorder", lambda *_: None)  # the labels are interchanged
    with pytest.raises(StageError, match=r"answers \d+ of 14 test texts otherwise than ktrain"):
        converted(save("nbsvm"), tmp_path)


def test_a_pickle_of_something_else_is_refused(save: Save, tmp_path: Path) -> None:
    import pickle

    folder = save("nbsvm")
    (folder / saved_predictor.PICKLE).write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(StageError, match="holds a dict; the preprocessor of a text classifier"):
        converted(folder, tmp_path)


def test_a_tokenizer_of_an_old_release_lacks_attributes(save: Save, tmp_path: Path) -> None:
    import pickle

    folder = save("nbsvm")
    file = folder / saved_predictor.PICKLE
    preprocessor = pickle.loads(file.read_bytes())  # noqa: S301  ours
    del preprocessor.tok.analyzer  # which Keras 2.11 added
    file.write_bytes(pickle.dumps(preprocessor))
    assert converted(folder, tmp_path)[0].gap < conversion.TOLERANCE


def test_classes_are_found_where_libraries_have_moved_them() -> None:
    ktrain_import.load()
    from sklearn.preprocessing import LabelEncoder
    from tensorflow.keras.preprocessing.text import Tokenizer
    from transformers import DistilBertConfig, TFAutoModelForSequenceClassification

    for module, found in (
        ("keras_preprocessing.text", Tokenizer),
        ("keras.preprocessing.text", Tokenizer),
        ("keras.src.preprocessing.text", Tokenizer),
        ("tensorflow.python.keras.preprocessing.text", Tokenizer),
        ("tf_keras.src.preprocessing.text", Tokenizer),
        ("sklearn.preprocessing.label", LabelEncoder),
        ("transformers.configuration_distilbert", DistilBertConfig),
        ("transformers.modeling_tf_auto", TFAutoModelForSequenceClassification),
    ):
        # A global of that name, as protocol 0 writes it.
        data = f"c{module}\n{found.__name__}\n.".encode()
        assert unpickling.unpickled(data) is found


@pytest.mark.parametrize(
    ("classes", "multilabel", "columns", "error", "part"),
    [
        (("neg", "pos"), False, "label", DataRefused,
         r"1 of 3 rows have labels that the predictor does not know: 'fine' \(1\). It knows 'neg'"),
        (("neg", "pos"), True, "label", ConfigError, r"data.label_columns=\[neg, pos\]"),
        (("a", "b"), False, ["a", "b"], ConfigError, "one of the labels .* names 2 columns"),
        (("a", "c"), True, ["a", "b"], ConfigError, "any of the labels 'a', 'c'.* names 'a', 'b'"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_are_named(
    tmp_path: Path, classes: tuple[str, ...], multilabel: bool, columns: Any,
    error: type[Exception], part: str,
) -> None:  # fmt: skip
    from incumbent.config import DataConfig

    file = tmp_path / "test.csv"
    file.write_text("text,label,a,b\none,neg,1,0\ntwo,pos,0,1\nthree,fine,1,1\n")
    config = DataConfig(train=str(file), test=str(file), label_columns=columns)
    dataset = ingestion.ingest_test(config, tmp_path)
    assert not dataset.train_known
    assert datasets.load(dataset.train).empty
    done = Converted(
        kind="nbsvm", classes=classes, multilabel=multilabel, precision="float32", gap=0, compared=3
    )
    with pytest.raises(error, match=part):
        conversion.check_labels(done, dataset, config.labels_in)


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        (("FALSE", "TRUE"), ["True", "false"]),
        (("1", "2", "3"), ["1.0", "2"]),
        (("billing", "late", "rude"), ["late;billing", "late", ""]),
    ],
)
def test_labels_that_are_spelled_otherwise_are_known(
    tmp_path: Path, classes: tuple[str, ...], labels: list[str]
) -> None:
    from incumbent.config import DataConfig

    file, sets = tmp_path / "test.csv", ";" in labels[0]
    file.write_text("text,label\n" + "".join(f"text {n},{it}\n" for n, it in enumerate(labels)))
    separator = ";" if sets else ""
    config = DataConfig(train=str(file), test=str(file), label_separator=separator)
    dataset = ingestion.ingest_test(config, tmp_path)
    done = Converted(
        kind="nbsvm", classes=classes, multilabel=sets, precision="float32", gap=0, compared=3
    )
    conversion.check_labels(done, dataset, config.labels_in)
    fewer = done.model_copy(update={"classes": classes[1:]})
    with pytest.raises(DataRefused, match="1 of 2 rows have labels that the predictor"):
        conversion.check_labels(fewer, dataset, config.labels_in)
    other = done.model_copy(update={"multilabel": not sets})
    with pytest.raises(ConfigError, match="label_separator"):
        conversion.check_labels(other, dataset, config.labels_in)
