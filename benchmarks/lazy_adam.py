"""What lazy Adam does to accuracy: the embedded reviews, trained with it and with Keras's Adam.

    python benchmarks/lazy_adam.py [--rows N] [--seeds N]

Both start from the same weights and see the same batches; the predictions on the test rows are
compared row by row.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from incumbent.data import ingestion


def main() -> None:
    """Print accuracy and log loss of both, and the paired differences."""
    parser = argparse.ArgumentParser(description="Lazy Adam against Adam.")
    parser.add_argument("--rows", type=int, default=None, help="of each split (all)")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each (1)")
    given = parser.parse_args()
    for seed in range(1, given.seeds + 1):
        with tempfile.TemporaryDirectory(prefix="incumbent-bench-") as folder:
            compare(given.rows, seed, Path(folder))


def compare(rows: int | None, seed: int, workdir: Path) -> None:
    """Train both with one seed, and print what came of it."""
    from incumbent.kernels import ktrain_import

    ktrain_import.load()
    import tensorflow as tf

    from incumbent.config import DataConfig
    from incumbent.data import datasets
    from incumbent.kernels import lazy_adam

    data = DataConfig(sample=rows, text_column="Reviews", label_columns="Sentiment")
    dataset = ingestion.ingest(data, workdir)
    truth = datasets.load(dataset.test)["label"].to_numpy() == dataset.classes[1]
    losses = {}
    for name, adam in (
        ("lazy", lazy_adam.LazyAdam), ("dense", tf.keras.optimizers.legacy.Adam),
    ):  # fmt: skip
        chance = _predict(dataset, seed, workdir, name, adam)
        losses[name] = -np.log(np.where(truth, chance, 1 - chance))
        accuracy = np.mean((chance > 0.5) == truth)
        print(f"seed {seed} {name}: accuracy {accuracy:.2%}, log loss {losses[name].mean():.4f}")
    gap = losses["lazy"] - losses["dense"]
    error = gap.std() / np.sqrt(len(gap))
    print(f"seed {seed} log loss, lazy less dense: {gap.mean():+.4f}, standard error {error:.4f}")


def _predict(
    dataset: Any, seed: int, workdir: Path, name: str, adam: Callable[[], Any]
) -> NDArray[np.float64]:
    """Probabilities (n,) of the second class on the test rows."""
    import dataclasses

    from incumbent.classifiers import catalogue
    from incumbent.classifiers.transformer import TransformerClassifier
    from incumbent.config import PreprocessingConfig, ServingConfig, TrainingConfig
    from incumbent.data import datasets
    from incumbent.encoders import encoded_texts
    from incumbent.predictor import Predictor
    from incumbent.training import fitting

    config = TrainingConfig(model="transformer", epochs=1, seed=seed)
    classifier = catalogue.create(config, PreprocessingConfig(), dataset.classes, workdir)
    build = TransformerClassifier.build
    classifier.build = lambda *rows: dataclasses.replace(  # type: ignore[method-assign]
        build(classifier, *rows),  # type: ignore[arg-type]
        optimizer=adam,
    )
    encoded = encoded_texts.encode(dataset, classifier.tokenize, classifier.recipe, 64, workdir)
    folder = workdir / name / "predictor"
    trained = fitting.fit(
        classifier, encoded, folder, "Reviews", ServingConfig(precision="float32"),
        lambda _: None, lambda _: None,
    )  # fmt: skip
    texts = datasets.load(dataset.test)["text"].tolist()
    return Predictor().load(trained.served.folder).probabilities(texts)[:, 1]


if __name__ == "__main__":
    main()
