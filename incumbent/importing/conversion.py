"""Export a loaded predictor of ktrain to what is served, and hold its answers against ktrain's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from incumbent import label_sets
from incumbent.classifiers import int8_or_float32_export
from incumbent.classifiers.classifier_base import Classifier, Rows
from incumbent.classifiers.fasttext import FastTextClassifier
from incumbent.classifiers.keras_bert import BertClassifier
from incumbent.classifiers.nbsvm import NbsvmClassifier
from incumbent.classifiers.transformer import TransformerClassifier
from incumbent.config import PreprocessingConfig, TrainingConfig
from incumbent.data import datasets, label_spellings
from incumbent.data.datasets import Dataset
from incumbent.encoders import onnx_conversion
from incumbent.errors import ConfigError, DataRefused, StageError
from incumbent.kernels import ktrain_import
from incumbent.predictor import LINEAR, ONNX, TOKENIZER, WHOLE, Linear, Predictor, save_settings

TOLERANCE = 1e-4
"""Between probabilities: sums in another order differ by some 1e-6."""
_COMPARED = 256  # texts, as ktrain answers some 10 a second
_EXAMPLES = 16  # texts on which each export is looked at by itself
# The layers of ktrain's networks that can be exported, by the names of their classes.
_LINEAR = {"InputLayer", "Embedding", "Dot", "Flatten", "Activation"}
_OUR_LINEAR = {
    "InputLayer", "Embedding", "Multiply", "GlobalAveragePooling1D", "EinsumDense", "Activation",
}  # fmt: skip
_FASTTEXT = [
    "Embedding", "SpatialDropout1D", "GlobalMaxPooling1D", "BatchNormalization", "Dense",
    "Dropout", "Dense",
]  # fmt: skip
_KNOWN = (
    "Can be imported: nbsvm, logreg, fasttext, bert (keras_bert), and Hugging Face models "
    "(distilbert and text.Transformer)"
)


class Converted(BaseModel):
    """What came of an export: `classes` sorted, and how far it is from ktrain's own answers.

    `kind` is one of `training.model`; `gap` the largest difference between probabilities on
    `compared` texts.
    """

    model_config = ConfigDict(frozen=True)

    kind: str
    classes: tuple[str, ...]
    multilabel: bool
    precision: str
    gap: float
    compared: int


def check_labels(done: Converted, test: Dataset, labels_in: Sequence[str]) -> None:
    """See that a predictor knows the labels of a test set.

    Args:
        done: What the predictor knows.
        test: A dataset whose test set is meant.
        labels_in: Its columns of labels.

    Raises:
        ConfigError: if one has one label a text, and the other any number.
        DataRefused: if there are labels that the predictor does not know.
    """
    known = ", ".join(map(repr, done.classes))
    columns = len(labels_in) > 1
    names = label_spellings.as_in(done.classes, test.label_names)
    if done.multilabel and (not test.multilabel or (columns and {*names} != {*done.classes})):
        raise ConfigError(
            f"The predictor gives a text any of the labels {known}, and data.label_columns names "
            f"{', '.join(map(repr, labels_in))}. The test file needs a column of 1 and 0 for each "
            f"label: --set 'data.label_columns=[{', '.join(done.classes)}]'; or one whose cells "
            "hold several, and data.label_separator, which says what stands between them."
        )
    if test.multilabel and not done.multilabel:
        raise ConfigError(
            f"The predictor gives a text one of the labels {known}, and "
            + (
                f"data.label_columns names {len(labels_in)} columns. Name the one column of the "
                "test file that holds the label: --set data.label_columns=NAME."
                if columns
                else "data.label_separator takes several out of a cell. Leave it out."
            )
        )
    rows_of = test.test.labels
    unknown = label_spellings.unknown(
        (name for name in test.label_names or rows_of if name), done.classes
    )
    strange = {name: rows_of[name] for name in unknown}
    if strange:
        rows = sum(
            not strange.keys().isdisjoint(label_sets.split(text) if test.multilabel else [text])
            for part in datasets.parts(test.test, ["label"])
            for text in part["label"]
        )
        shown = ", ".join(f"{name[:40]!r} ({rows:,})" for name, rows in list(strange.items())[:5])
        raise DataRefused(
            f"{test.test.source} (test) was refused: {rows:,} of "
            f"{test.test.rows:,} rows have labels that the predictor does not know: {shown}"
            f"{f' and {len(strange) - 5:,} more' if len(strange) > 5 else ''}. It knows {known}. "
            "Give the rows its labels, as they are spelled there, or leave them out."
        )


def convert(
    predictor: Any,
    saved: Path,
    texts: Sequence[str],
    served: Path,
    text_column: str | tuple[str, ...],
    precision: str,
    workdir: Path,
) -> Converted:
    """Export a predictor to `served`, and see that it answers as ktrain does.

    Args:
        predictor: ktrain's `TextPredictor`.
        saved: The folder that it was loaded from.
        texts: Texts that both answer.
        served: Where the export goes, an empty folder.
        text_column: The name that consumers' frames give the text, or those of its parts.
        precision: `float32`, or `int8`, which is compared before it is rounded.
        workdir: Where files may be put meanwhile.

    Raises:
        StageError: if it cannot be exported, or the export answers otherwise.
    """
    names, multilabel = _labels(predictor)
    kind = _kind(predictor)
    classifier = _classifier(kind, predictor, saved, names, multilabel, workdir)
    some = list(texts[:: max(1, -(-len(texts) // _COMPARED))])
    with ktrain_import.quiet():
        expected = np.asarray(predictor.predict_proba(some), dtype=np.float64)
    examples = some[:_EXAMPLES]
    _, ids, _ = classifier.tokenize(examples)
    with ktrain_import.quiet():
        classifier.export(
            predictor.model, predictor.preproc,
            Rows(examples, ids, np.zeros(len(examples), np.int64)), served,
        )  # fmt: skip
    classes = tuple(sorted(names))
    order = [names.index(name) for name in classes]
    if order != sorted(order):
        _reorder(served, order)
    save_settings(
        served, classes=classes, text_column=text_column, multilabel=multilabel,
        truncation="head" if (served / TOKENIZER).is_file() else WHOLE,
        max_length=int(predictor.preproc.maxlen),
    )  # fmt: skip
    gap = _compare(Predictor().load(served).probabilities(some), expected[:, order], some)
    small = precision == "int8" and (served / ONNX).is_file()
    if small:
        int8_or_float32_export.quantize(served / ONNX, served / f"int8.{ONNX}")
        (served / f"int8.{ONNX}").replace(served / ONNX)
    return Converted(
        kind=kind, classes=classes, multilabel=multilabel, gap=gap, compared=len(some),
        precision="int8" if small else "float32",
    )  # fmt: skip


def _labels(predictor: Any) -> tuple[tuple[str, ...], bool]:
    """The labels in the order of the model's outputs, and whether a text may have any of them."""
    from ktrain import utils

    names = tuple(str(name).strip() for name in predictor.get_classes() or ())
    classifies, multilabel = utils.is_classifier(predictor.model)
    if not names or not classifies:
        raise StageError(
            "The predictor has no labels: it was trained for regression. Only classifiers can be "
            "imported."
        )
    if len(names) < 2 or len(set(names)) < len(names):
        raise StageError(
            f"The predictor's labels are {', '.join(map(repr, names))}; two or more, each another, "
            "are expected."
        )
    return names, bool(multilabel)


def _kind(predictor: Any) -> str:
    """Which of `training.model` it is."""
    from ktrain.text import preprocessor as kinds

    preprocessor, model = predictor.preproc, predictor.model
    if isinstance(preprocessor, kinds.TransformersPreprocessor):
        return "transformer"
    if isinstance(preprocessor, kinds.BERTPreprocessor):
        return "bert"
    layers = [type(layer).__name__ for layer in model.layers]
    found = [name for name in layers if name != "InputLayer"]
    if type(preprocessor) is kinds.StandardTextPreprocessor:
        if preprocessor.is_nospace_lang():
            raise StageError(
                f"The predictor was trained on texts in {preprocessor.lang!r}, which ktrain cuts "
                "into words by a library that is not served. Train a Hugging Face model instead."
            )
        if found == _FASTTEXT:
            return "fasttext"
        if set(layers) in (_LINEAR, _OUR_LINEAR) and layers.count("Embedding") == 2:
            return _linear_kind(preprocessor, model)
    raise StageError(
        f"The predictor is a {type(preprocessor).__name__} with a network of "
        f"{', '.join(dict.fromkeys(found))}, which cannot be exported. {_KNOWN}."
    )


def _linear_kind(preprocessor: Any, model: Any) -> str:
    words = preprocessor.tok.num_words or len(preprocessor.tok.word_index) + 1
    if preprocessor.ngram_range > Linear.LONGEST or words >> Linear.BITS:
        raise StageError(
            f"The predictor was trained with ngram_range={preprocessor.ngram_range} and "
            f"{words:,} words; at most {Linear.LONGEST}, and fewer than "
            f"{1 << Linear.BITS:,} words, can be served."
        )
    fixed = next(
        layer for layer in model.layers
        if type(layer).__name__ == "Embedding" and not layer.trainable
    )  # fmt: skip
    ones = bool((fixed.get_weights()[0][1:] == 1).all())
    return "logreg" if ones else "nbsvm"


class _SavedBert(BertClassifier):
    """A keras_bert model without the checkpoint that it began with."""

    def __init__(self, folder: Path, *args: Any) -> None:
        Classifier.__init__(self, *args)
        self.folder = folder


def _classifier(
    kind: str, predictor: Any, saved: Path, names: tuple[str, ...], multilabel: bool, workdir: Path
) -> Classifier:
    """Who exports a predictor of this kind."""
    length = int(predictor.preproc.maxlen)
    settings: dict[str, Any] = {"model": kind}
    if kind == "transformer":
        settings["weights"] = str(saved)
    training = TrainingConfig.model_validate(settings)
    # The lengths are of this predictor, whatever a config may ask for.
    preprocessing = PreprocessingConfig.model_construct(max_length=length, truncation="head")
    given = training, preprocessing, names, workdir, multilabel
    if kind == "transformer":
        return TransformerClassifier(*given)
    if kind == "bert":
        return _SavedBert(_vocabulary(predictor.preproc, workdir), *given)
    return (FastTextClassifier if kind == "fasttext" else NbsvmClassifier)(*given)


def _vocabulary(preprocessor: Any, workdir: Path) -> Path:
    """A folder with the fast tokenizer of keras_bert's vocabulary, which is in the pickle."""
    from transformers import BertTokenizerFast

    slow = preprocessor.get_tokenizer()
    words = sorted(slow._token_dict, key=slow._token_dict.get)
    (workdir / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    fast = BertTokenizerFast(
        vocab_file=str(workdir / "vocab.txt"), do_lower_case=not getattr(slow, "_cased", False)
    )
    file = workdir / TOKENIZER
    fast.backend_tokenizer.save(str(file))
    # keras_bert cuts words of any length into pieces; the fast tokenizer gives up at 100 letters.
    content = json.loads(file.read_text(encoding="utf-8"))
    content["model"]["max_input_chars_per_word"] = 1_000_000
    file.write_text(json.dumps(content), encoding="utf-8")
    return workdir


def _reorder(served: Path, order: list[int]) -> None:
    """Give the logits of an export in another order: that of the labels' names, as always here."""
    if (served / ONNX).is_file():
        onnx_conversion.reorder(served / ONNX, order)
        return
    with np.load(served / LINEAR, allow_pickle=False) as arrays:
        found = dict(arrays)
    for name in ("words", "grams"):
        found[name] = found[name][:, order]
    found["bias"] = found["bias"][order]
    np.savez(served / LINEAR, **found)


def _compare(
    found: NDArray[np.float64], expected: NDArray[np.float64], texts: Sequence[str]
) -> float:
    """The largest difference between what is served and what ktrain answers, both (n, k).

    Raises:
        StageError: if it is above the tolerance.
    """
    gaps = np.abs(found - expected).max(axis=1)
    wrong = ~(gaps <= TOLERANCE)
    if wrong.any():
        worst = int(np.argmax(np.where(np.isnan(gaps), np.inf, gaps)))
        raise StageError(
            f"The export answers {int(wrong.sum()):,} of {len(texts):,} test texts otherwise than "
            f"ktrain does: probabilities differ by up to {gaps[worst]:.2g}, at most {TOLERANCE:g} "
            f"was expected. The worst is {texts[worst][:80]!r}. Nothing was registered: this "
            "predictor cannot be served as it was trained."
        )
    return float(gaps.max())
