"""What is served: a ktrain predictor as an MLflow pyfunc.

This one file goes into the registry as the model's code, so it imports nothing of incumbent: a
consumer needs only the requirements that are recorded with the model.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from numpy.typing import NDArray

SETTINGS = "incumbent.json"
_CHUNK = 128  # rows predicted together: large enough to be quick, small enough to share lengths

Words = list[tuple[int, int, int]]
"""For each token of a text: start and end (characters), and the index of its word."""


class Predictor:
    """Label and class probabilities for texts, by the ktrain predictor in the artifacts."""

    def load_context(self, context: Any) -> None:
        """Load the ktrain predictor; called by MLflow."""
        self.load(Path(context.artifacts["predictor"]))

    def load(self, folder: Path) -> Predictor:
        """Load the ktrain predictor that `save_settings` completed in `folder`."""
        # ktrain needs Keras 2, and the Keras is chosen at TensorFlow's first import.
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("MPLBACKEND", "Agg")
        import ktrain

        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        self._predictor = ktrain.load_predictor(str(folder), batch_size=settings["batch_size"])
        self.classes: tuple[str, ...] = tuple(settings["classes"])
        self._text_column: str = settings["text_column"]
        self._shorten = shortener(folder, settings["truncation"], settings["max_length"])
        return self

    # Without annotations: MLflow would take them for a schema, and warn that they are none.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        """Classify texts.

        Args:
            context: MLflow's; not used after loading.
            model_input: A list of strings, a Series, or a frame whose first column is the text.
            params: None are known.

        Returns:
            One row a text, in order: `label`, then `probability_<class>` for each class.

        Raises:
            TypeError: if a row holds no text; the first such row is named.
        """
        texts = self._texts(model_input)
        probabilities = self.probabilities(texts)
        columns = {
            f"probability_{name}": probabilities[:, index]
            for index, name in enumerate(self.classes)
        }
        labels = np.array(self.classes, dtype=object)[probabilities.argmax(axis=1)]
        return pd.DataFrame({"label": labels, **columns})

    def probabilities(
        self, texts: Sequence[str], on_rows: Callable[[int], None] | None = None
    ) -> NDArray[np.float64]:
        """Class probabilities, shape (n, n_classes), in the order of `classes`.

        Texts are predicted in order of length, as ktrain pads each call to its longest text.

        Args:
            texts: The texts, (n,).
            on_rows: Told how many rows are done, after each chunk.
        """
        result = np.zeros((len(texts), len(self.classes)))
        short = self._shorten(texts)
        order = np.argsort([len(text) for text in short], kind="stable")
        for start in range(0, len(order), _CHUNK):
            rows = order[start : start + _CHUNK]
            result[rows] = self._predictor.predict_proba([short[row] for row in rows])
            if on_rows:
                on_rows(len(rows))
        return result

    def _texts(self, model_input: Any) -> list[str]:
        if isinstance(model_input, pd.DataFrame):
            # MLflow makes a frame of whatever it is given, and hands on the first column only.
            named = [name for name in (self._text_column, "text") if name in model_input.columns]
            model_input = model_input[named[0]] if named else model_input.iloc[:, 0]
        texts = list(model_input)
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise TypeError(f"row {index} of the input is {text!r}; a text is expected")
        return texts


def save_settings(
    folder: Path,
    *,
    classes: Sequence[str],
    text_column: str,
    truncation: str,
    max_length: int,
    batch_size: int,
) -> None:
    """Write what a ktrain predictor folder lacks: the truncation and the name of the column."""
    settings = {
        "classes": list(classes),
        "text_column": text_column,
        "truncation": truncation,
        "max_length": max_length,
        "batch_size": batch_size,
    }
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1), encoding="utf-8")


def shortener(
    folder: Path, truncation: str, max_length: int
) -> Callable[[Sequence[str]], list[str]]:
    """Return the function that cuts texts to the part that the model shall read.

    ktrain's preprocessing keeps the head of a long text; a tail is kept by cutting the text
    itself, at word boundaries, before it is tokenized. Tokens are those of `tokenizer.json` in
    `folder`, less two for the special ones; without that file, words.

    Args:
        folder: Where the tokenizer is.
        truncation: `head`, `tail` or `head_tail`: the first quarter and the last three (Sun et
            al. 2019, How to Fine-Tune BERT, section 5.3.1: 128 and 382 of 510 tokens).
        max_length: Longest input, in tokens.
    """
    file = folder / "tokenizer.json"
    if truncation == "head" and file.is_file():
        return list  # the model's own tokenizer does it
    budget = max_length - 2 if file.is_file() else max_length
    head = {"head": budget, "tail": 0, "head_tail": budget // 4}[truncation]
    words = _tokenizer_words(file) if file.is_file() else _plain_words

    def shorten(texts: Sequence[str]) -> list[str]:
        return [
            cut(text, tokens, head, budget - head)
            for text, tokens in zip(texts, words(texts), strict=True)
        ]

    return shorten


def cut(text: str, tokens: Words, head: int, tail: int) -> str:
    """Keep the first `head` and the last `tail` tokens of a text, cut between words."""
    if len(tokens) <= head + tail:
        return text
    first, last = head, len(tokens) - tail
    while first > 0 and tokens[first - 1][2] == tokens[first][2]:
        first -= 1
    while tail and last < len(tokens) - 1 and tokens[last - 1][2] == tokens[last][2]:
        last += 1
    start = text[: tokens[first - 1][1]] if first else ""
    end = text[tokens[last][0] :] if tail else ""
    return f"{start} {end}".strip()


def _tokenizer_words(file: Path) -> Callable[[Sequence[str]], list[Words]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def words(texts: Sequence[str]) -> list[Words]:
        return [
            [(*span, word) for span, word in zip(e.offsets, e.word_ids, strict=True)]
            for e in tokenizer.encode_batch(list(texts), add_special_tokens=False)
        ]

    return words


def _plain_words(texts: Sequence[str]) -> list[Words]:
    return [
        [(m.start(), m.end(), i) for i, m in enumerate(re.finditer(r"\S+", text))] for text in texts
    ]


class ServedPredictor(Predictor, mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
    """`Predictor` as MLflow wants it; it inherits `predict`, whose type hints are no schema."""


mlflow.models.set_model(ServedPredictor())
