"""ktrain's fastText: a small network on the largest of the words' vectors, without weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from incumbent.classifiers.classifier_base import Built, Rows
from incumbent.classifiers.nbsvm import VOCABULARY, NbsvmClassifier
from incumbent.encoders import onnx_conversion
from incumbent.encoders.encoded_texts import recipe
from incumbent.predictor import ONNX, WORDS, WordSequence, padded, sigmoid, softmax, word_numbers


class FastTextClassifier(NbsvmClassifier):
    """`fasttext`: `max_length` counts words, and shorter texts are padded."""

    @property
    def recipe(self) -> str:
        """The settings of the preprocessing."""
        return recipe(fasttext=1, **self.preprocessing.model_dump())

    def build(self, train: Rows, validation: Rows) -> Built:
        """Fit the vocabulary on the training rows; all weights begin at random."""
        import tensorflow as tf
        from ktrain import text

        data_train, data_validation, preprocessor = text.texts_from_array(
            list(train.texts), self.targets(train.labels),
            list(validation.texts), self.targets(validation.labels),
            class_names=list(self.classes), max_features=VOCABULARY, lang="en",
            maxlen=self.preprocessing.max_length, ngram_range=1, preprocess_mode="standard",
            verbose=0,
        )  # fmt: skip
        model = text.text_classifier(
            "fasttext", train_data=data_train, preproc=preprocessor,
            multilabel=self.multilabel, verbose=0,
        )  # fmt: skip
        return Built(
            model, preprocessor, data_train, data_validation, self.loss, self.accuracy(),
            optimizer=tf.keras.optimizers.legacy.Adam,
        )  # fmt: skip

    def export(self, model: Any, preprocessor: Any, examples: Rows, folder: Path) -> None:
        """As ONNX over the numbers of words, beside the vocabulary."""
        import tensorflow as tf

        tokenizer, _ = preprocessor.get_preprocessor()
        vocabulary = {w: n for w, n in tokenizer.word_index.items() if n < tokenizer.num_words}
        (folder / WORDS).write_text(json.dumps(vocabulary), encoding="utf-8")
        limit = self.preprocessing.max_length
        ids = [padded(word_numbers(text, vocabulary), limit) for text in examples.texts]
        given = preprocessor.preprocess(list(examples.texts))
        trained = model.predict(given, verbose=0)
        model.layers[-1].activation = tf.keras.activations.linear  # softmax is the predictor's
        onnx_conversion.write_onnx(
            lambda ids: model(tf.ensure_shape(ids, [1, limit]), training=False), ids, folder / ONNX
        )
        probabilities = sigmoid if self.multilabel else softmax
        logits = WordSequence(folder, limit)(examples.texts)
        onnx_conversion.check(probabilities(logits), trained)
