"""Trains twice, once left alone and once killed again and again; run as a module.

    python -m tests.training.killed FOLDER WEIGHTS DEVICES

DEVICES are virtual ones of the CPU. Each training is a process of its own, forked when all is
imported. The last line printed is a JSON list of two: metrics, steps and what was said.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from incumbent.data import ingestion


def main(folder: Path, weights: Path, count: int) -> None:
    from incumbent.kernels import ktrain_import

    ktrain_import.load()
    from incumbent.classifiers import catalogue
    from incumbent.config import DataConfig, PreprocessingConfig, ServingConfig, TrainingConfig
    from incumbent.encoders import encoded_texts
    from incumbent.training import callbacks, devices, fitting

    random.seed()  # a fork has what its parent had
    callbacks._REPORT_EVERY = 0.0
    dataset = ingestion.ingest(DataConfig(sample=200), folder)
    settings = {
        "model": "transformer", "weights": str(weights), "batch_size": 38, "learning_rate": 1e-3,
        "epochs": 6,
    }  # fmt: skip
    config = TrainingConfig.model_validate(settings | {"checkpoint_minutes": 0})
    classifier = catalogue.create(
        config, PreprocessingConfig(max_length=8), dataset.classes, folder
    )
    encoded = encoded_texts.encode(dataset, classifier.tokenize, classifier.recipe, 8, folder)

    def train(name: str, pipe: int) -> None:
        import tensorflow as tf

        if count > 1:
            cpu = tf.config.list_physical_devices("CPU")[0]
            parts = [tf.config.LogicalDeviceConfiguration()] * count
            tf.config.set_logical_device_configuration(cpu, parts)
            devices.several = lambda: [d.name for d in tf.config.list_logical_devices("CPU")]
        said: list[str] = []

        def on_step(_: callbacks.Progress) -> None:
            os.write(pipe, b".")

        trained = fitting.fit(
            classifier, encoded, folder / name / "predictor", "text",
            ServingConfig(precision="float32"), on_step, said.append,
        )  # fmt: skip
        answer = {"metrics": trained.metrics, "steps": trained.steps, "said": said}
        os.write(pipe, json.dumps(answer).encode())

    def process(name: str, kill_after: int | None = None) -> bytes:
        """Train in a process, which is killed soon after so many steps; gives what it wrote."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            train(name, writer)
            os._exit(0)
        os.close(writer)
        written = b""
        while part := os.read(reader, 1 << 16):
            written += part
            if kill_after is not None and len(written) >= kill_after:
                time.sleep(random.random() * 0.1)  # noqa: S311
                os.kill(child, signal.SIGKILL)
                kill_after = None
        os.close(reader)
        os.waitpid(child, 0)
        return written

    def answer(written: bytes) -> dict[str, Any]:
        return dict(json.loads(written.lstrip(b".")))

    whole = answer(process("whole"))
    for _ in range(1 if count > 1 else 2):
        process("killed", random.randrange(2, 20))  # noqa: S311
    sys.stdout.write("\n" + json.dumps([whole, answer(process("killed"))]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
