"""Models of a few weights, registered as retraining registers its own: nothing is trained."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from incumbent.config import TrackingConfig
from incumbent.predictor import LINEAR, WORDS, Predictor, folder_digest, save_settings

CLASSES = ("neg", "pos")
TEXTS = ["a good film", "a bad film", "good and bad", "neither", "bad bad bad", "so good"]


def write(folder: Path, *, good: float = 2.0, classes: tuple[str, ...] = CLASSES) -> Path:
    """Write a predictor that knows two words; `good` is what the first of them weighs."""
    folder.mkdir(parents=True)
    save_settings(folder, classes=classes, text_column="Reviews", truncation="head", max_length=64)
    words = np.zeros((3, len(classes)), np.float32)
    words[1, -1], words[2, 0] = good, 2.0
    (folder / WORDS).write_text(json.dumps({"good": 1, "bad": 2}), encoding="utf-8")
    np.savez(
        folder / LINEAR, words=words, keys=np.zeros(0, np.int64),
        grams=np.zeros((0, len(classes)), np.float32), bias=np.zeros(len(classes), np.float32),
        limit=128,
    )  # fmt: skip
    return folder


def register(
    folder: Path, name: str = "reviews", *, champion: bool = True, uri: str | None = None,
    **settings: Any,
) -> int:  # fmt: skip
    """Register such a model in the store of the environment, or at `uri`; gives its version."""
    from incumbent.tracking.mlflow_runs import RUN_DIGEST, Runs
    from incumbent.tracking.registry_writes import Registry

    predictor = write(folder / "served" / "predictor", **settings)
    examples = Predictor().load(predictor).answers(TEXTS).drop(columns="label")
    examples.index = pd.Index(TEXTS)
    run = Runs(TrackingConfig(), uri).start_run(name, {}, "test")
    registry = Registry(TrackingConfig(), uri)
    digest = folder_digest(predictor)
    version = registry.register(
        run, name, predictor, examples,
        {RUN_DIGEST: hashlib.sha256(str(folder).encode()).hexdigest(),
         "incumbent.predictor_digest": digest, "incumbent.precision": "float32"},
        "a small model",
    )  # fmt: skip
    Runs(TrackingConfig(), uri).end_run(run, "FINISHED")
    if champion:
        registry.set_alias(version, "champion")
    return version.version
