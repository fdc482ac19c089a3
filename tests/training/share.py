"""Trains on so many virtual CPU devices, which a process sets up but once; run as a module.

    python -m tests.training.share DEVICES FOLDER SETTINGS

FOLDER holds rows.json (texts, labels); SETTINGS are the training config's, as JSON. The loss of
each step, and a prediction of the saved model, are printed as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd


def main(count: int, folder: Path, settings: dict[str, Any]) -> None:
    from incumbent.kernels import ktrain_import

    ktrain_import.load()
    import tensorflow as tf

    from incumbent import predictor
    from incumbent.classifiers import catalogue
    from incumbent.config import PreprocessingConfig, ServingConfig, TrainingConfig
    from incumbent.data import datasets
    from incumbent.encoders import encoded_texts
    from incumbent.training import devices, fitting

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * count
    )
    devices.several = lambda: [device.name for device in tf.config.list_logical_devices("CPU")]
    content = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    frame = pd.DataFrame({"text": content["texts"], "label": content["labels"]})
    frame = frame.assign(row=range(len(frame)), found="text", control=False)
    dataset = datasets.save([frame], [frame], ("train", "test"), folder / "datasets")
    config = TrainingConfig.model_validate({"model": "transformer", "epochs": 1} | settings)
    classifier = catalogue.create(
        config, PreprocessingConfig(max_length=32), dataset.classes, folder
    )
    encoded = encoded_texts.encode(dataset, classifier.tokenize, classifier.recipe, 32, folder)
    losses: list[float] = []
    reports: list[dict[str, float]] = []
    original = tf.keras.callbacks.CallbackList.on_train_batch_end

    def noted(self: Any, batch: int, logs: Any = None) -> None:
        losses.append(float(logs["loss"]))
        original(self, batch, logs)

    tf.keras.callbacks.CallbackList.on_train_batch_end = noted
    target = folder / f"run-{count}-{config.precision}-{config.head}" / "predictor"
    trained = fitting.fit(
        classifier, encoded, target, "text", ServingConfig(precision="float32"),
        lambda state: reports.append(state.metrics), str,
    )  # fmt: skip
    served = predictor.Predictor().load(trained.served.folder)
    probabilities = served.probabilities(content["texts"][:5])
    answer = {
        "losses": losses, "metrics": trained.metrics, "probabilities": probabilities.tolist(),
        "policy": tf.keras.mixed_precision.global_policy().name,
    }  # fmt: skip
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
