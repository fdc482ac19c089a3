"""ktrain's preprocessor of a head on a frozen encoder: texts in, their vectors out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ktrain.text.preprocessor import TextPreprocessor
from numpy.typing import NDArray

from incumbent.encoders.frozen_encoder import FrozenEncoder


class EmbeddedTexts(TextPreprocessor):  # type: ignore[misc]
    """Loaded with a predictor, it takes the weights by their name in `training.weights`."""

    def __init__(self, encoder: FrozenEncoder, classes: list[str], multilabel: bool) -> None:
        super().__init__(encoder.max_length, classes, multilabel=multilabel)
        self.preprocess_train_called = True
        self.encoder = encoder

    def preprocess(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors (n, n_units) of texts (n,)."""
        return self.encoder.vectors(texts)
