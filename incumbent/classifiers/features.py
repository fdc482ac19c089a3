"""Feature-based use of an encoder: it stays as it is, and a linear head is trained on its vectors.

Devlin et al. 2019, section 5.3, call it so. A head has few numbers to learn, so that few rows teach
it, and a run takes seconds.
"""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

from incumbent.classifiers.classifier_base import Built, Rows
from incumbent.classifiers.linear_head import fit_head, some_rows
from incumbent.classifiers.transformer import TransformerClassifier
from incumbent.encoders import onnx_conversion
from incumbent.encoders.frozen_encoder import FrozenEncoder
from incumbent.predictor import ONNX, TOKENIZER


class FeaturesClassifier(TransformerClassifier):
    """`features`: a frozen encoder's mean states under a logistic regression."""

    @cached_property
    def _encoder(self) -> FrozenEncoder:
        return FrozenEncoder(self.weights, self.preprocessing.max_length, self.workdir)

    def prepare(self, train: Rows, validation: Rows) -> None:
        """Embed the rows."""
        self._encoder.vectors([*train.texts, *validation.texts])

    def build(self, train: Rows, validation: Rows) -> Built:
        """Begin with the head that fits the training rows best."""
        import tensorflow as tf
        from tensorflow.keras import Sequential, layers

        from incumbent.encoders.embedded_texts import EmbeddedTexts

        encoder = self._encoder
        embedded = encoder.vectors([*train.texts, *validation.texts])
        vectors, held_out = embedded[: len(train.texts)], embedded[len(train.texts) :]
        activation = "sigmoid" if self.multilabel else "softmax"
        head = layers.Dense(len(self.classes), activation=activation)
        model = Sequential([layers.Input(shape=(vectors.shape[1],)), head])
        rows = some_rows(train.labels, len(vectors), self.training.seed)
        weights = self.class_weights(train.labels)
        head.set_weights(fit_head(vectors[rows], train.labels[rows], len(self.classes), weights))
        return Built(
            model, EmbeddedTexts(encoder, list(self.classes), self.multilabel),
            (vectors, self.targets(train.labels)), (held_out, self.targets(validation.labels)),
            self.loss, self.accuracy(),
            optimizer=tf.keras.optimizers.legacy.Adam,  # which is saved, for plain ktrain to load
        )  # fmt: skip

    def export(self, model: Any, preprocessor: Any, examples: Rows, folder: Path) -> None:  # noqa: ARG002
        """As ONNX, encoder and head in one, beside the tokenizer."""
        source = preprocessor.encoder.folder
        weights, bias = model.layers[-1].get_weights()
        onnx_conversion.append_linear(source / ONNX, weights, bias, folder / ONNX)
        shutil.copyfile(source / TOKENIZER, folder / TOKENIZER)

    def complete(self, folder: Path) -> None:
        """Leave it: there is no Hugging Face model in ktrain's folder, and none of our paths."""
