"""SIGKILL in the middle of a training: the same command again resumes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest

from incumbent.encoders import pretrained_weights
from tests.conftest import Place, settings
from tests.trainings import write_bert

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warmed")]

OPTIONS = settings(
    "data.sample=200", "preprocessing.max_length=8", "training.model=transformer",
    "training.weights=weights",
    "training.epochs=20", "training.batch_size=19", "training.checkpoint_minutes=0.01",
    "evaluation.bootstrap_samples=100",
)  # fmt: skip
STEPS = 20 * 10


def test_the_same_command_resumes_a_killed_training(begun: Place) -> None:
    place = begun
    (place.folder / "weights").mkdir()
    write_bert(place.folder / "weights", pretrained_weights.resolve(pretrained_weights.BUNDLED))
    _kill_in_training(place)
    (unfinished,) = (place.folder / ".incumbent" / "runs").iterdir()
    assert list((unfinished / "checkpoints").glob("step-*.safetensors"))

    done = place.run("retrain", *OPTIONS, "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    resumed = [line for line in done.stderr.splitlines() if "resuming at step" in line]
    assert len(resumed) == 1, done.stderr
    step, total = map(int, resumed[0].split("resuming at step ")[1].split(" of "))
    assert 1 < step < total == STEPS
    assert not (unfinished / "checkpoints").exists()

    outcome: dict[str, Any] = json.loads(done.stdout)
    client = mlflow.MlflowClient(place.store, place.store)
    new = client.get_run(outcome["run_id"])
    old = client.get_run(new.data.tags["incumbent.resumes"])
    assert (old.info.status, new.info.status) == ("KILLED", "FINISHED")
    assert old.data.tags["incumbent.resumed_by"] == new.info.run_id
    assert outcome["run_id"] != old.info.run_id
    steps = [metric.step for metric in client.get_metric_history(new.info.run_id, "train_loss")]
    assert min(steps) > step
    assert max(steps) == STEPS


def _kill_in_training(place: Place) -> None:
    """Start the command, and kill it when it has saved a few checkpoints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "incumbent", "retrain", *OPTIONS],
        cwd=place.folder, env=place.environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + 240
        while not _saved(place.folder):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its server, too
        process.wait()


def _saved(folder: Path) -> bool:
    """Whether a step is saved that is not the first."""
    found = folder.glob(".incumbent/runs/*/checkpoints/step-*.safetensors")
    return any(not path.name.startswith("step-00000001-") for path in found)
