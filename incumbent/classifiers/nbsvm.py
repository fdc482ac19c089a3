"""NBSVM (Wang & Manning 2012) through ktrain: quick, and needs no pretrained weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from incumbent.classifiers.base import Built, Classifier, Rows
from incumbent.encoding import Ids, recipe
from incumbent.predictor import shortener

_NGRAMS = 3  # ktrain's NBSVM notebook: words, pairs and triples
_VOCABULARY = 80_000  # words; the same notebook
_NO_TOKENIZER = Path("no-tokenizer")  # texts are cut by words
_FEATURES_A_WORD = 3  # a word, the pair and the triple that end in it


class NbsvmClassifier(Classifier):
    """`nbsvm`: a linear model on word n-grams; `max_length` counts words."""

    @property
    def recipe(self) -> str:
        """The settings of the preprocessing."""
        return recipe(nbsvm=_NGRAMS, **self.preprocessing.model_dump())

    def tokenize(self, texts: Sequence[str]) -> tuple[list[str], Ids, NDArray[np.int64]]:
        """Cut the texts to length; the vocabulary is made from the training rows in `build`."""
        limit = self.preprocessing.max_length
        short = shortener(_NO_TOKENIZER, self.preprocessing.truncation, limit)(texts)
        lengths = np.array([len(text.split()) for text in texts])
        return short, [np.zeros(0, np.int32)] * len(texts), lengths

    def build(self, train: Rows, validation: Rows) -> Built:
        """Fit the vocabulary and the log-count ratios on the training rows."""
        from ktrain import text

        data_train, data_validation, preprocessor = text.texts_from_array(
            list(train.texts), [int(label) for label in train.labels],
            list(validation.texts), [int(label) for label in validation.labels],
            class_names=list(self.classes), max_features=_VOCABULARY, lang="en",
            maxlen=self.preprocessing.max_length * _FEATURES_A_WORD,
            ngram_range=_NGRAMS, preprocess_mode="standard", verbose=0,
        )  # fmt: skip
        model: Any = text.text_classifier(
            "nbsvm", train_data=data_train, preproc=preprocessor, multilabel=False, verbose=0
        )
        return Built(
            model, preprocessor, data_train, data_validation, loss="categorical_crossentropy"
        )
