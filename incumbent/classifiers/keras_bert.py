"""ktrain's classic BERT route: `texts_from_df(preprocess_mode='bert')` and keras_bert."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from incumbent.classifiers.classifier_base import Built, Classifier, Rows
from incumbent.encoders import onnx_conversion, pretrained_weights, tokenizing
from incumbent.encoders.encoded_texts import Ids, recipe
from incumbent.errors import ConfigError
from incumbent.kernels import ktrain_import
from incumbent.predictor import ONNX, TOKENIZER, shortener

_LONGEST = 512  # positions that a BERT checkpoint has


class BertClassifier(Classifier):
    """`bert`: keras_bert on a checkpoint in Google's layout, every row padded to `max_length`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if self.preprocessing.max_length > _LONGEST:
            raise ConfigError(
                f"preprocessing.max_length is {self.preprocessing.max_length}; BERT reads at "
                f"most {_LONGEST} tokens."
            )
        self.folder = pretrained_weights.google_checkpoint(self.training.weights, self.workdir)

    @property
    def recipe(self) -> str:
        """The vocabulary and the settings of the preprocessing."""
        vocabulary = pretrained_weights.sha256(self.folder / "vocab.txt")
        return recipe(bert=vocabulary, tokenizer="fast", **self.preprocessing.model_dump())

    def tokenize(self, texts: Sequence[str]) -> tuple[list[str], Ids, NDArray[np.int64]]:
        """By the fast tokenizer of the same vocabulary, which serves, too.

        keras_bert's own differs from it in words of more than 100 characters and in special tokens
        that stand in a text, like "[SEP]".
        """
        from tokenizers import Tokenizer

        limit = self.preprocessing.max_length
        folder = pretrained_weights.tokenizer_folder(self.folder, self.workdir)
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        short = shortener(folder, self.preprocessing.truncation, limit)(texts)
        return short, *tokenizing.tokenize(tokenizer, texts, short, limit)

    def build(self, train: Rows, validation: Rows) -> Built:
        """Load the checkpoint under a new layer of a softmax, or of a sigmoid for each label."""
        import tensorflow as tf
        from ktrain import text

        preprocessor = self._preprocessor()
        data, held_out = self._padded(train), self._padded(validation)
        with _checkpoint(self.folder):
            model = text.text_classifier(
                "bert", train_data=data, preproc=preprocessor, multilabel=self.multilabel, verbose=0
            )
        if self.training.freeze_embeddings:
            model.get_layer("Embedding-Token").trainable = False
        return Built(
            model, preprocessor, data, held_out, self.loss, self.accuracy(),
            optimizer=tf.keras.optimizers.legacy.Adam,  # which is saved, for plain ktrain to load
        )  # fmt: skip

    def export(self, model: Any, preprocessor: Any, examples: Rows, folder: Path) -> None:  # noqa: ARG002
        """As ONNX, beside the tokenizer."""
        import tensorflow as tf

        model.layers[-1].activation = tf.keras.activations.linear
        model.input_spec = None  # it was built for rows of `max_length`, and takes shorter ones
        onnx_conversion.write_onnx(
            lambda ids: model([ids, tf.zeros_like(ids)]), examples.ids, folder / ONNX
        )
        source = pretrained_weights.tokenizer_folder(self.folder, self.workdir)
        shutil.copyfile(source / TOKENIZER, folder / TOKENIZER)

    def _preprocessor(self) -> Any:
        """The preprocessor of ktrain for these classes, made from one row for each."""
        from ktrain import text

        if self.multilabel:
            columns = list(self.classes)
            frame = pd.DataFrame(self.example_targets(), columns=columns)
        else:
            columns = [""]
            frame = pd.DataFrame({"": self.classes})
        frame["|"] = "a text"  # which no column of labels is named
        with ktrain_import.quiet(), _checkpoint(self.folder):
            *_, preprocessor = text.texts_from_df(
                frame, "|", label_columns=columns, val_df=frame, lang="en", verbose=0,
                maxlen=self.preprocessing.max_length, preprocess_mode="bert",
            )  # fmt: skip
        return preprocessor

    def _padded(self, rows: Rows) -> tuple[list[NDArray[np.int32]], NDArray[np.float32]]:
        tokens = np.zeros((len(rows.ids), self.preprocessing.max_length), np.int32)
        for index, row in enumerate(rows.ids):
            tokens[index, : len(row)] = row
        return [tokens, np.zeros_like(tokens)], self.targets(rows.labels)


@contextmanager
def _checkpoint(folder: Path) -> Iterator[None]:
    """Have ktrain take BERT from `folder`; by itself it downloads one into the home folder."""
    from ktrain.text import preprocessor

    original = preprocessor.get_bert_path
    preprocessor.get_bert_path = lambda lang="en": str(folder)  # noqa: ARG005
    try:
        yield
    finally:
        preprocessor.get_bert_path = original
