"""NBSVM (Wang & Manning 2012) and logistic regression through ktrain: quick, without weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from incumbent.classifiers.classifier_base import Built, Classifier, Rows
from incumbent.encoders import onnx_conversion
from incumbent.encoders.encoded_texts import Ids, recipe
from incumbent.evaluation.nbsvm_baseline import ALPHA
from incumbent.predictor import LINEAR, WORDS, Linear, shortener, sigmoid, softmax

_NGRAMS = 3  # ktrain's NBSVM notebook: words, pairs and triples
VOCABULARY = 80_000  # words; the same notebook
_NO_TOKENIZER = Path("no-tokenizer")  # texts are cut by words
_FEATURES_A_WORD = 3  # a word, the pair and the triple that end in it


class NbsvmClassifier(Classifier):
    """`nbsvm` and `logreg`: linear models on word n-grams; `max_length` counts words."""

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
        """Fit the vocabulary, and for NBSVM the log-count ratios, on the training rows."""
        import tensorflow as tf
        from ktrain import text

        data_train, data_validation, preprocessor = text.texts_from_array(
            list(train.texts), self.targets(train.labels),
            list(validation.texts), self.targets(validation.labels),
            class_names=list(self.classes), max_features=VOCABULARY, lang="en",
            maxlen=self.preprocessing.max_length * _FEATURES_A_WORD,
            ngram_range=_NGRAMS, preprocess_mode="standard", verbose=0,
        )  # fmt: skip
        if self.multilabel:
            ids, targets = data_train
            size = preprocessor.max_features
            if self.training.model == "nbsvm":
                ratios = _ratios(ids, targets > 0.5, size)
            else:
                ratios = np.ones((size, len(self.classes)), np.float32)
                ratios[0] = 0
            model = _one_for_each_label(targets, ratios, ids.shape[1])
        else:
            model = text.text_classifier(
                self.training.model,
                train_data=data_train,
                preproc=preprocessor,
                multilabel=False,
                verbose=0,
            )
        return Built(
            model, preprocessor, data_train, data_validation, self.loss, self.accuracy(),
            optimizer=tf.keras.optimizers.legacy.Adam,
        )  # fmt: skip

    def export(self, model: Any, preprocessor: Any, examples: Rows, folder: Path) -> None:
        """As one table of weights for words and one for n-grams; see `Linear`."""
        tokenizer, numbers = preprocessor.get_preprocessor()
        vocabulary = {w: n for w, n in tokenizer.word_index.items() if n < tokenizer.num_words}
        # Its embeddings: the fixed ratios and the weights, both (n_features, 1 or k). It sums their
        # products over a text's features, or scales their mean.
        ratios, weights, *scaling = (a for layer in model.layers for a in layer.get_weights())
        scale, bias = scaling or (preprocessor.maxlen, np.zeros(len(self.classes)))
        products = (ratios * weights * (scale / preprocessor.maxlen)).astype(np.float32)
        known = {gram: number for gram, number in numbers.items() if number < len(products)}
        keys = np.zeros(len(known), dtype=np.int64)
        for length in range(2, Linear.LONGEST + 1):
            of_length = np.array([len(gram) == length for gram in known], dtype=bool)
            words = np.array([g for g in known if len(g) == length], np.int64).reshape(-1, length)
            for column in words.T:
                keys[of_length] = (keys[of_length] << Linear.BITS) | column
        order = np.argsort(keys)
        np.savez(
            folder / LINEAR,
            words=products[: len(vocabulary) + 1],
            keys=keys[order],
            grams=products[np.array(list(known.values()), np.int64)[order]],
            bias=bias.astype(np.float32),
            limit=preprocessor.maxlen,
        )
        (folder / WORDS).write_text(json.dumps(vocabulary), encoding="utf-8")
        probabilities = sigmoid if self.multilabel else softmax
        onnx_conversion.check(
            probabilities(Linear(folder)(examples.texts)),
            model.predict(preprocessor.preprocess(list(examples.texts)), verbose=0),
        )


def _one_for_each_label(
    targets: NDArray[np.float32], ratios: NDArray[np.float32], width: int
) -> Any:
    """A linear Keras model for labels of which a row may have any.

    ktrain builds its own for classes alone, and fastText in its place for labels. As there, each
    n-gram's ratio (fixed) is multiplied by a weight of the n-gram (learned); here each label has
    weights of its own, and begins with its share of the rows as its bias.

    Args:
        targets: 1 where a row has a label (n, k).
        ratios: Of each n-gram, for each label (n_grams, k); see `_ratios`.
        width: How many n-grams a row has.
    """
    from tensorflow.keras import Model, layers

    size, k = ratios.shape
    given = layers.Input(shape=(width,))
    fixed = layers.Embedding(size, k, weights=[ratios], trainable=False)(given)
    learned = layers.Embedding(size, k, embeddings_initializer="zeros")(given)
    mean = layers.GlobalAveragePooling1D()(layers.Multiply()([fixed, learned]))
    # Times the width the mean is the sum.
    scale = layers.EinsumDense("nk,k->nk", output_shape=(k,), bias_axes="k")
    logits = scale(mean)
    share = (targets.sum(axis=0) + ALPHA) / (len(targets) + 2 * ALPHA)
    scale.set_weights([np.full(k, width, np.float32), np.log(share / (1 - share))])
    return Model(given, layers.Activation("sigmoid")(logits))


def _ratios(ids: NDArray[np.int32], has: NDArray[np.bool_], size: int) -> NDArray[np.float32]:
    """Log ratio of the rows with an n-gram that have a label to those that lack it (size, k).

    Not divided by how many rows have the label, as the paper's is: the bias says how rare it is,
    and an n-gram seen once need not say so again. It is 0 for n-grams of no row.
    """
    from scipy.sparse import csr_array

    rows, places = np.nonzero(ids)
    counts = csr_array((np.ones(len(rows)), (rows, ids[rows, places])), shape=(len(ids), size))
    once = (counts > 0).T.astype(np.float64)  # an n-gram counts once a row
    having, lacking = once @ has.astype(np.float64), once @ (~has).astype(np.float64)
    return np.asarray(np.log((having + ALPHA) / (lacking + ALPHA)), dtype=np.float32)
