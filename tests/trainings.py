"""What the classifiers' tests share: small real data, and weights small enough to train at once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from incumbent.classifiers import catalogue
from incumbent.classifiers.classifier_base import Classifier
from incumbent.config import DataConfig, PreprocessingConfig, ServingConfig, TrainingConfig
from incumbent.data import datasets, ingestion
from incumbent.encoders import encoded_texts, pretrained_weights
from incumbent.kernels import ktrain_import
from incumbent.training import fitting
from incumbent.training.callbacks import Progress
from incumbent.training.checkpoints import Checkpoints
from incumbent.training.fitting import TrainedModel, fit, served_folder

HIDDEN, LAYERS, HEADS = 32, 2, 2


@dataclass
class Run:
    """One training: what it took, what it said, and what came of it."""

    classifier: Classifier
    encoded: encoded_texts.Encoded
    folder: Path
    serving: ServingConfig = field(default_factory=lambda: ServingConfig(precision="float32"))
    trained: TrainedModel | None = None
    progress: list[Progress] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def fit(self) -> TrainedModel:
        self.trained = fit(
            self.classifier, self.encoded, self.folder, "Reviews", self.serving,
            self.progress.append, self.said.append,
        )  # fmt: skip
        return self.trained

    def train(self) -> None:
        """Train as `fit` does, and neither save nor export what came of it."""
        ktrain_import.load()
        rows, held_out = fitting.split(self.encoded, self.classifier.training)
        opened = Checkpoints.opened(self.folder / "checkpoints", "", "auto", self.said.append)
        with ktrain_import.quiet(), ktrain_import.scratch(), opened as saved:
            fitting._fit(
                self.classifier, rows, held_out, saved, self.progress.append, self.said.append
            )

    @property
    def served(self) -> Path:
        """The folder of the exported model."""
        return served_folder(self.folder)

    def reported(self, name: str) -> list[float]:
        return [state.metrics[name] for state in self.progress if name in state.metrics]


@pytest.fixture(scope="session")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The caches of all runs."""
    return tmp_path_factory.mktemp("workdir")


@pytest.fixture(scope="session")
def reviews(workdir: Path) -> Callable[[int], datasets.Dataset]:
    """So many of the embedded reviews."""
    return lambda rows: ingestion.ingest(DataConfig(sample=rows), workdir)


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[..., datasets.Dataset]:
    """A dataset of given texts and labels, the same for training and test."""

    def make(texts: list[str], labels: list[str]) -> datasets.Dataset:
        frame = pd.DataFrame({"text": texts, "label": labels})
        frame = frame.assign(row=range(len(frame)), found="text", control=False)
        return datasets.save([frame], [frame], ("train", "test"), tmp_path / "datasets")

    return make


def ready(
    data: datasets.Dataset, workdir: Path, folder: Path, max_length: int = 32,
    truncation: str = "head", **given: Any,
) -> Run:  # fmt: skip
    """A run that is ready to be fitted; further arguments are the training config's."""
    preprocessing = PreprocessingConfig.model_validate(
        {"max_length": max_length, "truncation": truncation}
    )
    config = TrainingConfig.model_validate(
        {"model": "transformer", "epochs": 1, "batch_size": 16, **given}
    )
    classifier = catalogue.create(
        config, preprocessing, data.classes, workdir, multilabel=data.multilabel
    )
    encoded = encoded_texts.encode(data, classifier.tokenize, classifier.recipe, 512, workdir)
    return Run(classifier, encoded, folder / "predictor")


@pytest.fixture
def prepare(tmp_path: Path, workdir: Path) -> Callable[..., Run]:
    """Makes a run ready, in a folder of the test; see `ready`."""
    return lambda data, folder="run", **given: ready(data, workdir, tmp_path / folder, **given)


@pytest.fixture(scope="session")
def bundled() -> Path:
    """The folder of the bundled MiniLM weights."""
    return pretrained_weights.resolve(pretrained_weights.BUNDLED)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory, bundled: Path) -> Path:
    """A BERT of 2 layers of 32 random units, with MiniLM's vocabulary, named as PyTorch does."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    write_bert(folder, bundled)
    return folder


def write_bert(folder: Path, bundled: Path, scale: float = 0.05) -> None:
    """Write a small BERT; weights are normal with this scale (NaN gives a broken one)."""
    from safetensors.numpy import save_file

    for file in ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copyfile(bundled / file, folder / file)
    config = json.loads((bundled / "config.json").read_text("utf-8")) | {
        "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "intermediate_size": 2 * HIDDEN,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    random = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray[Any, Any]:
        return random.normal(0, 1, shape).astype("float32") * np.float32(scale)

    tensors: dict[str, np.ndarray[Any, Any]] = {}

    def dense(name: str, rows: int, columns: int) -> None:
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = normal(rows, columns), normal(rows)

    def norm(name: str) -> None:
        tensors[f"{name}.weight"] = 1 + normal(HIDDEN)
        tensors[f"{name}.bias"] = normal(HIDDEN)

    for name, size in (
        ("word", config["vocab_size"]), ("position", 512), ("token_type", 2),
    ):  # fmt: skip
        tensors[f"embeddings.{name}_embeddings.weight"] = normal(size, HIDDEN)
    norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        base = f"encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            dense(f"{base}.attention.self.{name}", HIDDEN, HIDDEN)
        dense(f"{base}.attention.output.dense", HIDDEN, HIDDEN)
        norm(f"{base}.attention.output.LayerNorm")
        dense(f"{base}.intermediate.dense", 2 * HIDDEN, HIDDEN)
        dense(f"{base}.output.dense", HIDDEN, 2 * HIDDEN)
        norm(f"{base}.output.LayerNorm")
    dense("pooler.dense", HIDDEN, HIDDEN)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.fixture(scope="session")
def broken_bert(tmp_path_factory: pytest.TempPathFactory, bundled: Path) -> Path:
    """The small BERT with NaN for every weight."""
    folder = tmp_path_factory.mktemp("broken-bert")
    write_bert(folder, bundled, scale=float("nan"))
    return folder
