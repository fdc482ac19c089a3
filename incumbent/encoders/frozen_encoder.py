"""A pretrained encoder that is left as it is: texts become vectors, kept for later runs.

A text's vector is the mean of its tokens' states in the encoder's last layer, at a length of 1, as
sentence-transformers trained the bundled weights (Reimers & Gurevych 2019, section 3).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from incumbent import __version__
from incumbent.config import TrackingConfig
from incumbent.encoders import onnx_conversion, pretrained_weights, tokenizing
from incumbent.kernels import ktrain_import
from incumbent.predictor import ONNX, TOKENIZER, Transformer

_WORKDIR = Path(TrackingConfig().workdir)
_EXAMPLES = 8  # texts on which a new conversion is checked
_KEPT_AT_ONCE = 2048  # texts, after which a run that is ended loses no more
_AT_ONCE = 64  # texts that are asked for together: Ctrl-C waits for them
_DIGEST = 16  # bytes of a text's digest: 2**64 texts until two are likely to share one


class FrozenEncoder:
    """Pretrained weights as an ONNX model of texts, converted once, and what it made of texts.

    Args:
        name: The weights, as in `training.weights`.
        max_length: Longest input (tokens), special tokens included.
        workdir: Where the converted model and the vectors are kept.
    """

    def __init__(self, name: str, max_length: int, workdir: Path = _WORKDIR) -> None:
        self._name, self.max_length, self._workdir = name, max_length, workdir

    @cached_property
    def folder(self) -> Path:
        """Where the ONNX model and its tokenizer are, made by this release from these weights."""
        fingerprint = pretrained_weights.fingerprint(self._name)[:32]
        return self._workdir / "encoders" / f"{fingerprint}-{__version__}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Be unpickled with the default workdir: the folders of this machine say nothing there."""
        return FrozenEncoder, (self._name, self.max_length)

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors (n, n_units) of texts (n,), of which the first `max_length` tokens count.

        Raises:
            ConfigError: if the weights are not to be had.
            StageError: if they cannot be converted.
        """
        self._convert(texts[:_EXAMPLES])
        kept = self.folder / f"vectors-{self.max_length}"
        known = _read(kept)
        keys = [_digest(text) for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            encoder = Transformer(self.folder, self.max_length)
        made: dict[bytes, NDArray[np.float32]] = {}
        for start in range(0, len(new), _AT_ONCE):
            part = list(new)[start : start + _AT_ONCE]
            made |= zip(part, encoder([new[key] for key in part]), strict=True)
            if len(made) >= _KEPT_AT_ONCE or start + _AT_ONCE >= len(new):
                _write(kept, made)
                known, made = known | made, {}
        return np.stack([known[key] for key in keys])

    def _convert(self, texts: Sequence[str]) -> None:
        """Make the ONNX model, checked on some texts, and its tokenizer, unless they are there."""
        if self.folder.is_dir():
            return
        with ktrain_import.importing():
            import tensorflow  # noqa: F401
            from tokenizers import Tokenizer
            from transformers import TFAutoModel

        weights = pretrained_weights.resolve(self._name)
        tokenizer = pretrained_weights.tokenizer_folder(weights, self._workdir) / TOKENIZER
        reader = Tokenizer.from_file(str(tokenizer))
        ids, _ = tokenizing.tokenize(reader, texts, texts, self.max_length)
        with ktrain_import.quiet():
            model = TFAutoModel.from_pretrained(str(weights))
        partial = self.folder.with_name(f"{self.folder.name}.{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        onnx_conversion.write_onnx(lambda ids: _pooled(model, ids), ids, partial / ONNX)
        shutil.copyfile(tokenizer, partial / TOKENIZER)
        pretrained_weights.install(partial, self.folder)


def _pooled(model: Any, ids: Any) -> Any:
    """The mean state of the tokens (n, n_tokens), at a length of 1: (n, n_units)."""
    import tensorflow as tf

    states = model(
        {"input_ids": ids, "attention_mask": tf.ones_like(ids)}, training=False
    ).last_hidden_state
    mean = tf.reduce_mean(states, axis=1)
    return mean / tf.sqrt(tf.reduce_sum(mean * mean, axis=-1, keepdims=True))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST).digest()


def _read(folder: Path) -> dict[bytes, NDArray[np.float32]]:
    known: dict[bytes, NDArray[np.float32]] = {}
    for file in sorted(folder.glob("*.npz")):
        with np.load(file, allow_pickle=False) as arrays:
            keys, made = arrays["keys"], arrays["vectors"]
        known.update(zip((key.tobytes() for key in keys), made, strict=True))
    return known


def _write(folder: Path, made: dict[bytes, NDArray[np.float32]]) -> None:
    """Keep some vectors, in a file of their own, named by the texts."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = b"".join(made)
    file = folder / f"{hashlib.blake2b(keys, digest_size=_DIGEST).hexdigest()}.npz"
    partial = file.with_suffix(f".{os.getpid()}")
    with partial.open("wb") as stream:
        array = np.frombuffer(keys, np.uint8).reshape(-1, _DIGEST)
        np.savez(stream, keys=array, vectors=np.stack(list(made.values())))
    partial.replace(file)
