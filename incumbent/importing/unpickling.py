"""Load a predictor that any release of ktrain saved: to be called in the confined process alone.

The pickle names classes by the modules that they were in when it was written; libraries have moved
them since.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import pickle
import re
from pathlib import Path
from typing import Any

from incumbent.errors import StageError
from incumbent.importing.saved_predictor import PICKLE
from incumbent.kernels import ktrain_import

_MOVED = (
    # Keras's text preprocessing was a package of its own; in TensorFlow 2.16 Keras 2 became one.
    (
        r"(keras_preprocessing|keras(\.src)?\.preprocessing|tensorflow\.python\.keras\.preprocessing"
        r"|tf_keras\.preprocessing)\.text",
        "tf_keras.src.preprocessing.text",
    ),
    # scikit-learn 0.22 made its modules private.
    (r"sklearn\.preprocessing\.label", "sklearn.preprocessing._label"),
    # transformers 4 gave each family a package.
    (
        r"transformers\.(configuration|modeling_tf|tokenization)_(\w+)",
        r"transformers.models.\2.\1_\2",
    ),
)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The class, where it is now if it was moved."""
        for before, now in _MOVED:
            moved, changed = re.subn(f"^{before}$", now, module)
            if changed:
                return getattr(importlib.import_module(moved), name)
        return super().find_class(module, name)


def unpickled(data: bytes) -> Any:
    """What a pickle of any release holds. This runs the code in it."""
    return _Unpickler(io.BytesIO(data)).load()


def load(folder: Path, pickle_digest: str) -> Any:
    """A saved predictor as ktrain's `TextPredictor`. This runs the code in its files.

    Raises:
        StageError: if it cannot be loaded, or is not one of texts.
    """
    data = (folder / PICKLE).read_bytes()
    if hashlib.sha256(data).hexdigest() != pickle_digest:
        raise StageError(f"{folder / PICKLE} was changed since it was looked at. Import it again.")
    ktrain_import.load()
    from ktrain import core
    from ktrain.text.predictor import TextPredictor
    from ktrain.text.preprocessor import TextPreprocessor, TransformersPreprocessor
    from tensorflow.keras.preprocessing.text import Tokenizer
    from transformers import AutoConfig

    try:
        preprocessor = unpickled(data)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  whatever the code in it raises
        raise StageError(
            f"{PICKLE} cannot be unpickled: {type(error).__name__}: {error}. If it is of an old "
            "release of ktrain, load it there and save it again with a newer one."
        ) from None
    if not isinstance(preprocessor, TextPreprocessor):
        raise StageError(
            f"{PICKLE} holds a {type(preprocessor).__name__}; the preprocessor of a text "
            "classifier of ktrain is expected."
        )
    tokenizer = getattr(preprocessor, "tok", None)
    if isinstance(tokenizer, Tokenizer):  # an old one lacks attributes
        vars(tokenizer).update(vars(Tokenizer()) | vars(tokenizer))
    hugging_face = isinstance(preprocessor, TransformersPreprocessor)
    try:
        with ktrain_import.quiet():
            if hugging_face:  # it has the name of a hub, or of a folder on another machine
                preprocessor.model_name = str(folder)
                # One that an old release wrote lacks attributes.
                preprocessor.config = AutoConfig.from_pretrained(str(folder))
            model = core._load_model(str(folder), preproc=preprocessor)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001
        remedy = "Load it with the ktrain that saved it, and save it again with a newer one"
        if hugging_face:
            remedy = (
                "A Hugging Face model needs config.json and its tokenizer's files in the folder. "
                "ktrain before 0.26.3 did not save the latter: add them (vocab.txt or "
                "tokenizer.json, and tokenizer_config.json)"
            )
        raise StageError(
            f"The model cannot be loaded: {type(error).__name__}: {error} {remedy}."
        ) from None
    return TextPredictor(model, preprocessor)
