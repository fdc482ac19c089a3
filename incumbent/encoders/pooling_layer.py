"""A BERT that was trained by the mean of its tokens, as one that is read at its first token.

BERT's classifiers read the first token's state, and sentence-transformers' encoders taught that
token nothing: a head on it begins far behind one on the mean (on 45 intents, a macro F1 of 0.68 in
place of 0.82). A layer on top sets it right. Its attention looks at all tokens alike and passes
them on as they are, so that the first token's state becomes the mean, and it learns from there. It
is a layer as any other: ktrain saves and loads the model as it does every BERT.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from incumbent import __version__
from incumbent.encoders import pretrained_weights

_POOLING = Path("1_Pooling") / "config.json"  # as sentence-transformers writes it
_WEIGHTS = "model.safetensors"
_SCALE = 10.0  # of the mean against the first token's own state, which it is added to
_SPREAD = 0.02  # standard deviation of BERT's initial weights (Devlin et al.'s code)
# Of the pooler, whose tanh is to leave states as they are: normalized, they are 3 at the most.
_GENTLE = 0.1


def trained_by_mean(folder: Path) -> bool:
    """Whether the weights in a folder are a BERT that sentence-transformers trained by its mean."""
    if not ((folder / _POOLING).is_file() and (folder / _WEIGHTS).is_file()):
        return False
    kind = json.loads((folder / "config.json").read_text("utf-8")).get("model_type")
    pooling = json.loads((folder / _POOLING).read_text("utf-8"))
    return kind == "bert" and pooling.get("pooling_mode_mean_tokens") is True


def added(folder: Path, name: str, cache: Path) -> Path:
    """Return a folder with these weights and a pooling layer on top, made once.

    Args:
        folder: The weights; see `trained_by_mean`.
        name: Theirs, as in `training.weights`.
        cache: Where it is kept.
    """
    target = cache / "pooled" / f"{pretrained_weights.fingerprint(name)[:16]}-{__version__}"
    if target.is_dir():
        return target
    from safetensors.numpy import load_file, save_file

    partial = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for file in folder.iterdir():
        if file.is_file() and file.name != _WEIGHTS:
            shutil.copyfile(file, partial / file.name)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    tensors = load_file(folder / _WEIGHTS)
    prefix = "bert." if any(key.startswith("bert.") for key in tensors) else ""
    tensors |= {f"{prefix}{key}": array for key, array in _layer(config).items()}
    save_file(tensors, partial / _WEIGHTS, metadata={"format": "pt"})
    config["num_hidden_layers"] += 1
    (partial / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    pretrained_weights.install(partial, target)
    return target


def _layer(config: dict[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The layer's tensors and the pooler's, under PyTorch's names; kernels are (out, in)."""
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    random = np.random.default_rng(0)

    def small(*shape: int) -> NDArray[np.float32]:
        return random.normal(0, _SPREAD, shape).astype(np.float32)

    same, nothing = np.eye(hidden, dtype=np.float32), np.zeros((hidden, wide), np.float32)
    kernels = {
        # Scores near 0: every token counts as much. Were they 0, so would be their gradients.
        "attention.self.query": small(hidden, hidden), "attention.self.key": small(hidden, hidden),
        "attention.self.value": same, "attention.output.dense": _SCALE * same,
        "intermediate.dense": small(wide, hidden), "output.dense": nothing,
    }  # fmt: skip
    layer = f"encoder.layer.{config['num_hidden_layers']}"
    tensors = {"pooler.dense.weight": _GENTLE * same}
    tensors |= {f"{layer}.{name}.weight": array for name, array in kernels.items()}
    for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
        tensors[f"{layer}.{norm}.weight"] = np.ones(hidden, np.float32)
        tensors[f"{layer}.{norm}.bias"] = np.zeros(hidden, np.float32)
    for name, array in {"pooler.dense": same, **kernels}.items():
        bias = name if name == "pooler.dense" else f"{layer}.{name}"
        tensors[f"{bias}.bias"] = np.zeros(len(array), np.float32)
    return tensors
