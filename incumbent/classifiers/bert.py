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

from incumbent.classifiers import libraries, weights
from incumbent.classifiers.base import Built, Classifier, Rows
from incumbent.encoding import Ids, recipe
from incumbent.errors import ConfigError
from incumbent.predictor import shortener

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
        self.folder = weights.google_checkpoint(self.training.weights, self.workdir)

    @property
    def recipe(self) -> str:
        """The vocabulary and the settings of the preprocessing."""
        vocabulary = weights.sha256(self.folder / "vocab.txt")
        return recipe(keras_bert=vocabulary, **self.preprocessing.model_dump())

    def tokenize(self, texts: Sequence[str]) -> tuple[list[str], Ids, NDArray[np.int64]]:
        """By keras_bert's tokenizer, as ktrain calls it; the padding is left out."""
        tokenizer = self._preprocessor().get_tokenizer()
        limit = self.preprocessing.max_length
        # An unpaired text's tokens, [CLS] and [SEP] included.
        lengths = np.array([len(tokenizer.tokenize(text)) for text in texts])
        folder = weights.tokenizer_folder(self.folder, self.workdir)
        short = shortener(folder, self.preprocessing.truncation, limit)(texts)
        ids = []
        for text in short:
            row = np.array(tokenizer.encode(text, max_len=limit)[0], np.int32)
            ids.append(row[: np.flatnonzero(row)[-1] + 1])
        return list(short), ids, lengths

    def build(self, train: Rows, validation: Rows) -> Built:
        """Load the checkpoint under a new softmax layer."""
        from ktrain import text

        preprocessor = self._preprocessor()
        data, held_out = self._padded(train), self._padded(validation)
        with _checkpoint(self.folder):
            model = text.text_classifier(
                "bert", train_data=data, preproc=preprocessor, multilabel=False, verbose=0
            )
        if self.training.freeze_embeddings:
            model.get_layer("Embedding-Token").trainable = False
        return Built(model, preprocessor, data, held_out, loss="categorical_crossentropy")

    def complete(self, folder: Path) -> None:
        """Add the tokenizer by which long texts are cut."""
        source = weights.tokenizer_folder(self.folder, self.workdir)
        shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")

    def _preprocessor(self) -> Any:
        """The preprocessor of ktrain for these classes, made from one row a class."""
        from ktrain import text

        frame = pd.DataFrame({"text": ["a text"] * len(self.classes), "label": self.classes})
        with libraries.quiet(), _checkpoint(self.folder):
            *_, preprocessor = text.texts_from_df(
                frame, "text", label_columns=["label"], val_df=frame, lang="en", verbose=0,
                maxlen=self.preprocessing.max_length, preprocess_mode="bert",
            )  # fmt: skip
        return preprocessor

    def _padded(self, rows: Rows) -> tuple[list[NDArray[np.int32]], NDArray[np.float32]]:
        tokens = np.zeros((len(rows.ids), self.preprocessing.max_length), np.int32)
        for index, row in enumerate(rows.ids):
            tokens[index, : len(row)] = row
        return [tokens, np.zeros_like(tokens)], self.one_hot(rows.labels)


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
