"""The served model: an MLflow pyfunc that needs neither TensorFlow nor ktrain.

This one file goes into the registry as the model's code, so it imports nothing of incumbent: a
consumer needs only the requirements that are recorded with the model.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

SETTINGS = "incumbent.json"
TOKENIZER = "tokenizer.json"
ONNX = "model.onnx"
LINEAR = "linear.npz"
NBSVM = "nbsvm.npz"
WORDS = "words.json"
_TEXT = "text"  # what incumbent calls the column of texts, whatever the data does
_META = "registered_model_meta"  # MLflow's note beside a model that it took from a registry
_SERVING = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"  # set by MLflow's server
WHOLE = "whole"
"""In place of a truncation: the model is given the whole text."""
DIGEST = "predictor_digest"
"""Key in the registered model's own config: `folder_digest` of the predictor's folder."""
# As in `incumbent.label_sets`, which is not at hand in a registry: halves of surrogate pairs, too.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_CHUNK = 128  # rows between two reports of progress
WORD = r"\w+(?:['’]\w+)*"
"""A word to NBSVM, negations like "isn't" whole, so that a bigram is not spent on "isn t"."""

Words = list[tuple[int, int, int]]
"""For each token of a text: start and end (characters), and the index of its word."""


class Model(Protocol):
    """Texts (n,) that were shortened already, in; logits (n, n_classes) out."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]: ...  # noqa: D102


class Predictor:
    """Label and class probabilities for texts, by the exported model in a folder."""

    def load_context(self, context: Any) -> None:
        """Load the exported model; called by MLflow.

        Raises:
            ValueError: if its files are not those that were registered; none was read then.
        """
        folder = Path(context.artifacts["predictor"])
        registered = (context.model_config or {}).get(DIGEST)
        if registered and folder_digest(folder) != registered:
            raise ValueError(
                f"the files in {folder} are not those that were registered: they were damaged or "
                "changed. Restore them, or load another version."
            )
        self.load(folder)
        self.registered = _registered(folder.parent.parent)

    def load(self, folder: Path) -> Predictor:
        """Load the exported model that `save_settings` completed in `folder`."""
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        self.classes: tuple[str, ...] = tuple(settings["classes"])
        self.multilabel: bool = settings.get("multilabel", False)
        self.thresholds = np.array([
            settings.get("thresholds", {}).get(name, 0.5) for name in self.classes
        ])  # fmt: skip
        self.text_column: str | list[str] = settings["text_column"]
        self._shorten = shortener(folder, settings["truncation"], settings["max_length"])
        self._model: Model
        if (folder / NBSVM).is_file():
            self._model, self._shorten = Blend(folder, settings), list
        elif (folder / ONNX).is_file():
            of_words = (folder / WORDS).is_file()
            self._model = (WordSequence if of_words else Transformer)(
                folder, settings["max_length"]
            )
        else:
            self._model = Linear(folder)
        return self

    # Without annotations: MLflow would take them for a schema, and warn that they are none.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        """Classify texts.

        Args:
            context: MLflow's; not used after loading.
            model_input: Texts in any form that `given_texts` takes: a list, a Series, a frame or a
                dictionary that has the column of texts by its name, among any others.
            params: `version`: whether each answer also says by which `model_name` and `version` it
                was given; both are null where the model did not come from a registry.

        Returns:
            One row a text, in order and with the index of the input: `label`, then
            `probability_<class>` for each class. Where a text may have several labels, `label`
            holds those whose probability is at least their threshold (see `thresholds` in the
            settings; a half without them), joined by `|`, or `none`. A row without text (None, NaN,
            blank) has neither a label nor probabilities.

        Raises:
            ValueError: if a frame has no column of texts, or several that could be it.
            TypeError: if a row holds something else than a text; the first such row is named.
        """
        import pandas as pd

        texts, index = given_texts(model_input, self.text_column)
        there = [row for row, text in enumerate(texts) if text is not None]
        answers = self.answers([text for text in texts if text is not None])
        answers = answers.set_axis(there, axis=0).reindex(range(len(texts)))
        nothing: Any = None  # pandas' stubs know of no such value
        answers["label"] = answers["label"].astype(object).where(answers["label"].notna(), nothing)
        if len(there) < len(texts) and os.environ.get(_SERVING) == "true":
            # JSON knows no NaN, which MLflow's server would write.
            answers = answers.astype(object).where(answers.notna(), nothing)
        if index is not None:
            answers.index = index
        if (params or {}).get("version"):
            name, version = getattr(self, "registered", (None, None))
            for column, known in (("model_name", name), ("version", version)):
                told = pd.Series([known] * len(answers), answers.index, dtype=object)
                answers[column] = told
        return answers

    def answers(self, texts: Sequence[str]) -> pd.DataFrame:
        """The label and the probabilities of each text (n,), blank ones too: see `predict`."""
        import pandas as pd

        probabilities = self.probabilities(texts)
        columns = {
            f"probability_{name}": probabilities[:, index]
            for index, name in enumerate(self.classes)
        }
        names = np.array(self.classes, dtype=object)
        labels = (
            joined(probabilities >= self.thresholds, names)
            if self.multilabel
            else names[probabilities.argmax(axis=1)]
        )
        return pd.DataFrame({"label": pd.Series(labels, dtype=object), **columns})

    def probabilities(
        self, texts: Sequence[str], on_rows: Callable[[int], None] | None = None
    ) -> NDArray[np.float64]:
        """Class probabilities, shape (n, n_classes), in the order of `classes`.

        A text's are the same whichever texts it comes with.

        Args:
            texts: The texts, (n,).
            on_rows: Told how many rows are done, now and then.
        """
        result = np.zeros((len(texts), len(self.classes)))
        for start in range(0, len(texts), _CHUNK):
            short = self._shorten([plain(text) for text in texts[start : start + _CHUNK]])
            logits = self._model(short)
            result[start : start + len(short)] = (sigmoid if self.multilabel else softmax)(logits)
            if on_rows:
                on_rows(len(short))
        return result


def given_texts(model_input: Any, column: str | Sequence[str]) -> tuple[list[str | None], Any]:
    """The texts of what a model was given, None where a row has none, and the input's index.

    Args:
        model_input: A list, tuple, array or Series of texts, of NumPy, pandas or Arrow; a frame or
            a dictionary of columns, a list of such records, or an Arrow table; or one text.
        column: The column of texts. `text` is understood, too, and so are both in other case. Of a
            frame with one column alone that is the texts, whatever its name. Where texts have parts
            in several columns, these; one of them is enough.

    Returns:
        The texts (n,), and the index of the Series or frame, None where the input has none.

    Raises:
        ValueError: if a frame has no column of texts, or several that could be it.
        TypeError: if a row holds something else than a text; the first such row is named.
    """
    import pandas as pd

    rows = _rows(model_input)
    columns = [column] if isinstance(column, str) else column
    if isinstance(rows, pd.DataFrame) and len(columns) > 1:
        parts = [name for name in columns if name in rows.columns]
        if parts and len(rows):
            cells = rows[parts].astype(object).itertuples(index=False, name=None)
            return [together(part, row) for row, part in enumerate(cells)], rows.index
    if isinstance(rows, pd.DataFrame):
        found = _text_column(rows, columns[0]) if len(rows) else None
        rows = pd.Series([], rows.index, dtype=object) if found is None else found
    index = rows.index if isinstance(rows, pd.Series) else None
    values = rows.astype(object) if isinstance(rows, pd.Series) else rows
    return [_text(row, value) for row, value in enumerate(values)], index


def _rows(given: Any) -> Any:
    """What was given as a frame, a Series or a list of rows."""
    import pandas as pd

    if isinstance(given, str):
        return [given]
    if isinstance(given, (pd.DataFrame, pd.Series)):
        return given
    if hasattr(given, "to_pandas"):  # a table or an array of Arrow
        given = given.to_pandas()
        return given if isinstance(given, (pd.DataFrame, pd.Series)) else list(given)
    if isinstance(given, Mapping):
        several = any(not isinstance(v, str) and hasattr(v, "__len__") for v in given.values())
        return pd.DataFrame(given if several else {name: [v] for name, v in given.items()})
    if isinstance(given, np.ndarray):
        if given.ndim > 1 and given.size != len(given):
            raise ValueError(
                f"an array of the shape {given.shape} was given; one text a row is expected"
            )
        given = given.reshape(-1).tolist()
    if not isinstance(given, Iterable) or isinstance(given, (bytes, bytearray)):
        raise TypeError(f"{type(given).__name__} was given; texts are expected")
    rows = list(given)
    return pd.DataFrame(rows) if rows and all(isinstance(row, Mapping) for row in rows) else rows


def _text_column(frame: pd.DataFrame, column: str) -> pd.Series[Any]:
    """The one column of a frame that has the texts."""
    names = [str(name) for name in frame.columns]

    def folded(name: str) -> str:
        return name.strip().casefold()

    there = ", ".join(map(repr, names)) or "no columns"
    for known in (
        [i for i, name in enumerate(names) if name == column],
        [i for i, name in enumerate(names) if name == _TEXT],
        [i for i, name in enumerate(names) if folded(name) in (folded(column), _TEXT)],
        list(range(len(names))) if len(names) == 1 else [],
    ):
        if len(known) == 1:
            found: pd.Series[Any] = frame.iloc[:, known[0]]
            return found
        if known:
            could = ", ".join(repr(names[i]) for i in known)
            raise ValueError(
                f"several columns could be the texts: {could}. The column {column!r} is expected "
                "once; rename or leave out the others."
            )
    raise ValueError(
        f"no column {column!r} in the input, which has {there}. Rename the column of texts to "
        f"{column!r} or {_TEXT!r}, or give it alone."
    )


def _text(row: int, value: Any) -> str | None:
    """A row's text; None if it has none."""
    if hasattr(value, "as_py"):  # a scalar of Arrow
        value = value.as_py()
    if isinstance(value, str):
        return str(value) if value.strip() else None
    import pandas as pd

    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    raise TypeError(f"row {row} of the input is {value!r}; a text is expected")


def _registered(model: Path) -> tuple[str | None, int | None]:
    """The name and the version under which a model's folder was loaded from a registry."""
    try:
        text = (model / _META).read_text(encoding="utf-8")
    except OSError:
        return None, None
    import yaml

    about = yaml.safe_load(text) or {}
    version = about.get("model_version")
    return about.get("model_name"), None if version is None else int(version)


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files in a folder, in hex."""
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").hexdigest().encode())
    return digest.hexdigest()


def together(parts: Sequence[Any], row: int) -> str | None:
    """The text of a row from its parts, those that are missing or blank left out.

    As `incumbent.tables.table_reader` does it, so that a model is asked what it was trained on.

    Raises:
        TypeError: if a part is no text; the row is named.
    """
    texts = [_text(row, part) for part in parts]
    return "\n\n".join(text.strip() for text in texts if text is not None) or None


def plain(text: str) -> str:
    """A text as training reads it: plain line ends, and spaces for control characters."""
    return _CONTROL.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))


class Transformer:
    """An ONNX model over token ids, run by onnxruntime.

    Each text runs alone, on one core, and as many at once as there are cores: no text is padded,
    none waits for others, and none changes another's answer, as it would in a batch whose int8
    scale all share.
    """

    def __init__(self, folder: Path, max_length: int) -> None:
        from tokenizers import Tokenizer

        self._file = folder / ONNX
        self._sessions: dict[int, Any] = {}
        self._loading = threading.Lock()
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self._cores = _cores()
        self._session(1)  # that it loads shows now, not at the first question

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits (n, n_classes)."""
        encoded = self._tokenizer.encode_batch(list(texts))
        if len(encoded) == 1:  # nothing else to do meanwhile: all cores for one text
            return self._logits(self._session(self._cores), encoded[0].ids)[None]
        alone = self._session(1)
        with ThreadPoolExecutor(self._cores) as pool:
            rows = pool.map(lambda text: self._logits(alone, text.ids), encoded)
            return np.stack(list(rows))

    def _session(self, threads: int) -> Any:
        """The model on so many threads, loaded once; each holds its own copy of the weights."""
        with self._loading:
            if threads not in self._sessions:
                self._sessions[threads] = _session(self._file, threads)
            return self._sessions[threads]

    @staticmethod
    def _logits(session: Any, ids: Sequence[int]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(
            None, {"input_ids": np.array([ids], dtype=np.int32)}
        )[0][0]
        return logits


class Linear:
    """A linear model on word n-grams: each has a weight for each class.

    Words are numbered from 1; an n-gram's key is its words' numbers, `BITS` each. `linear.npz`
    holds `words` (n_words + 1, n_classes), `keys` (n_grams,) in ascending order, `grams` (n_grams,
    n_classes), `bias` (n_classes,) and `limit`: of a text's features, words first and long n-grams
    last, so many are taken, the last ones, as Keras's `pad_sequences` does.
    """

    BITS = 20
    LONGEST = 3  # words in an n-gram: 60 bits, and the sign stays free

    def __init__(self, folder: Path) -> None:
        self._numbers: dict[str, int] = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        with np.load(folder / LINEAR, allow_pickle=False) as arrays:
            self._words, self._grams = arrays["words"], arrays["grams"]
            self._keys, self._bias = arrays["keys"], arrays["bias"]
            self._limit = int(arrays["limit"])

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits (n, n_classes)."""
        return np.stack([self._logits(text) for text in texts])

    def _logits(self, text: str) -> NDArray[np.float32]:
        numbers = word_numbers(text, self._numbers)
        features = [self._words[numbers], *map(self._weights, self.keys(numbers))]
        taken = np.concatenate(features)[-self._limit :]
        logits: NDArray[np.float32] = self._bias + taken.sum(axis=0)
        return logits

    @classmethod
    def keys(cls, numbers: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """The keys of all pairs in a row of words, in order, then of all triples."""
        keys = numbers
        for length in range(2, cls.LONGEST + 1):
            keys = (keys[:-1] << cls.BITS) | numbers[length - 1 :]
            yield keys

    def _weights(self, keys: NDArray[np.int64]) -> NDArray[np.float32]:
        """Weights (n_known, n_classes) of those n-grams that the model knows."""
        if not len(self._keys):
            nothing: NDArray[np.float32] = self._words[:0]
            return nothing
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        known: NDArray[np.float32] = self._grams[at[self._keys[at] == keys]]
        return known


class WordSequence:
    """An ONNX model over the numbers of a text's words, padded to one length, by onnxruntime.

    As in `Linear`, words are numbered from 1 and others are passed over. Each text runs alone.
    """

    def __init__(self, folder: Path, max_length: int) -> None:
        self._numbers: dict[str, int] = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        self._length = max_length
        self._session = _session(folder / ONNX, _cores())

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits (n, n_classes)."""
        rows = [padded(word_numbers(text, self._numbers), self._length) for text in texts]
        return np.stack([self._session.run(None, {"input_ids": row[None]})[0][0] for row in rows])


# What Keras's Tokenizer takes for white space, the space itself apart.
_SEPARATORS = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))


def word_numbers(text: str, numbers: dict[str, int]) -> NDArray[np.int64]:
    """The numbers (n_known,) of those words of a text that have one, as Keras's Tokenizer does."""
    words = text.lower().translate(_SEPARATORS).split(" ")
    known = (numbers.get(word) for word in words if word)
    return np.array([n for n in known if n is not None], dtype=np.int64)


def padded(numbers: NDArray[np.int64], length: int) -> NDArray[np.int32]:
    """The last `length` numbers, after zeros if there are fewer: Keras's `pad_sequences`."""
    last = numbers[-length:]
    return np.concatenate([np.zeros(length - len(last), np.int32), last.astype(np.int32)])


class Nbsvm:
    """A linear model on the set of a text's words, pairs and triples: each counts once.

    Words are numbered from 1, and keyed as in `Linear`. `nbsvm.npz` holds `keys` (n_grams,) in
    ascending order, `weights` (n_grams, n) and `bias` (n,), n being the number of classes or
    labels; of two classes only the second has weights.
    """

    def __init__(self, folder: Path, multilabel: bool) -> None:
        self._multilabel = multilabel
        self._numbers: dict[str, int] = json.loads((folder / WORDS).read_text(encoding="utf-8"))
        with np.load(folder / NBSVM, allow_pickle=False) as arrays:
            self._keys, self._weights = arrays["keys"], arrays["weights"]
            self._bias = arrays["bias"]

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits (n, n_classes)."""
        odds = np.stack([self._odds(text) for text in texts])
        if self._multilabel:
            return odds
        if odds.shape[1] == 1:
            return np.hstack([np.zeros_like(odds), odds])
        # Of each class against the rest: what they give it, which softmax then normalizes.
        certainty: NDArray[np.float32] = -np.logaddexp(0, -odds)
        return certainty

    def _odds(self, text: str) -> NDArray[np.float32]:
        words = re.findall(WORD, text.lower())
        # An unknown word is 0. It makes no n-gram look known but one that stands beside it anyway,
        # as 0 before a key leaves the key as it is; and the text's set holds each key once.
        numbers = np.array([self._numbers.get(word, 0) for word in words], dtype=np.int64)
        keys = np.unique(np.concatenate([numbers, *Linear.keys(numbers)]))
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        known = at[self._keys[at] == keys]
        odds: NDArray[np.float32] = self._bias + self._weights[known].sum(axis=0)
        return odds


class Blend:
    """A transformer and an NBSVM, averaged in log-odds by `blend_weight`, the transformer's share.

    The transformer reads the part of a text that it shall read, NBSVM the whole.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._shorten = shortener(folder, settings["truncation"], settings["max_length"])
        self._transformer = Transformer(folder, settings["max_length"])
        self._nbsvm = Nbsvm(folder, settings["multilabel"])
        self._weight: float = settings["blend_weight"]

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Logits (n, n_classes)."""
        return pooled(*self.parts(texts), self._weight)

    def parts(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The logits of the transformer and of NBSVM, both (n, n_classes)."""
        return self._transformer(self._shorten(texts)), self._nbsvm(texts)


def pooled(
    one: NDArray[np.float32], other: NDArray[np.float32], weight: float
) -> NDArray[np.float32]:
    """Logits (n, k) of two models averaged, `weight` (0 to 1) being that of the first.

    Softmax then gives the normalized weighted geometric mean of their probabilities, the
    logarithmic opinion pool (Heskes 1998): a constant in a row of logits cancels.
    """
    return weight * one + (1 - weight) * other


def _session(file: Path, threads: int) -> Any:
    """An ONNX model, loaded to run on so many threads."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else it reports usage to its maker
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sigmoid(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities (n, n_labels) from logits, of each label by itself."""
    probabilities: NDArray[np.float64] = 0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64)))
    return probabilities


def softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities (n, n_classes) from logits."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def joined(has: NDArray[np.bool_], names: NDArray[Any]) -> list[str]:
    """The labels (n,) of each row as one text; `has` (n, k) says which of the sorted names."""
    return ["|".join(names[row]) or "none" for row in has]


def save_settings(
    folder: Path,
    *,
    classes: Sequence[str],
    text_column: str | Sequence[str],
    truncation: str,
    max_length: int,
    multilabel: bool = False,
) -> None:
    """Write what is wanted besides the model: classes, truncation and the column's name."""
    settings = {
        "classes": list(classes),
        "text_column": text_column if isinstance(text_column, str) else list(text_column),
        "truncation": truncation,
        "max_length": max_length,
        "multilabel": multilabel,
    }
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1), encoding="utf-8")


def add_settings(folder: Path, **more: Any) -> None:
    """Complete what `save_settings` wrote with what was fitted since."""
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    (folder / SETTINGS).write_text(json.dumps(settings | more, indent=1), encoding="utf-8")


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
            al. 2019, How to Fine-Tune BERT, section 5.3.1: 128 and 382 of 510 tokens); or `whole`.
        max_length: Longest input, in tokens.
    """
    file = folder / TOKENIZER
    if truncation == WHOLE or (truncation == "head" and file.is_file()):
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


if __package__ != "incumbent":  # run by MLflow as a model's code, not imported from the package
    import mlflow

    class ServedPredictor(Predictor, mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
        """`Predictor` as MLflow wants it; it inherits `predict`, whose type hints are no schema."""

    mlflow.models.set_model(ServedPredictor())
