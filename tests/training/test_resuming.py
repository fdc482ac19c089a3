"""A training that is ended anywhere goes on as if it had not been."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from incumbent.data import datasets
from incumbent.kernels import ktrain_import
from incumbent.training import callbacks, fitting
from incumbent.training.checkpoints import Checkpoints
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

Ready = Callable[..., Any]
STEPS = 10  # of an epoch: 190 rows in batches of 19, all of one length, so that little is compiled


@pytest.fixture(autouse=True)
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "_REPORT_EVERY", 0.0)


@pytest.fixture(scope="module")
def embedded(reviews: Callable[[int], datasets.Dataset]) -> datasets.Dataset:
    return reviews(200)


@pytest.fixture(scope="module")
def one_layer(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """The small BERT without its second layer."""
    folder = tmp_path_factory.mktemp("one-layer")
    shutil.copytree(tiny_bert, folder, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    return folder


def train(
    run: Any, at: int = 0, do: Callable[[], object] = lambda: None,
    minutes: float | Literal["auto"] = 0,
) -> Any:  # fmt: skip
    """Train as `fit` does, with a checkpoint after each step, and do something in one."""
    ktrain_import.load()
    rows, held_out = fitting.split(run.encoded, run.classifier.training)

    def on_step(progress: callbacks.Progress) -> None:
        run.progress.append(progress)
        if progress.step == at and "learning_rate" in progress.metrics:
            do()

    from incumbent.training import resuming

    identity = resuming.identity(run.classifier, run.encoded.key)
    opened = Checkpoints.opened(run.folder / "checkpoints", identity, minutes, run.said.append)
    with ktrain_import.quiet(), ktrain_import.scratch(), opened as saved:
        return fitting._fit(run.classifier, rows, held_out, saved, on_step, run.said.append)


@pytest.mark.parametrize(
    ("settings", "at"),
    [
        ({"epochs": 2}, STEPS + 4),
        ({"learning_rate": "auto", "lr_find_steps": 50, "precision": "mixed_float16"}, 5),
        (
            {
                "schedule": "triangular", "epochs": 8, "early_stopping": 1, "learning_rate": 0.03,
                "freeze_embeddings": True, "layer_decay": 0.8,
            },
            STEPS + 1,
        ),
        (
            {
                "schedule": "linear", "epochs": 3, "keep": "best", "clip_norm": 1.0,
                "weight_decay": 0.01,
            },
            2 * STEPS + 5,
        ),
        (
            {
                "schedule": "plateau", "epochs": 4, "learning_rate": 0.03,
                "class_weights": {"neg": 4},
            },
            2 * STEPS + 5,
        ),
        ({"model": "bert", "epochs": 2}, STEPS + 5),
        (
            {
                "model": "nbsvm", "epochs": 2, "learning_rate": 0.01, "schedule": "sgdr",
                "class_weights": "balanced",
            },
            STEPS + 5,
        ),
    ],
    ids=["onecycle", "auto", "triangular", "linear", "plateau", "bert", "nbsvm"],
)  # fmt: skip
def test_resumed_training_is_as_that_which_was_not_ended(
    prepare: Ready, embedded: datasets.Dataset, one_layer: Path,
    settings: dict[str, Any], at: int,
) -> None:  # fmt: skip
    given = {"weights": str(one_layer), "learning_rate": 1e-3, "batch_size": 19} | settings
    whole, resumed = (prepare(embedded, name, max_length=8, **given) for name in ("one", "two"))
    expected = train(whole, at, lambda: shutil.copytree(whole.folder, resumed.folder))
    found = train(resumed)

    total = STEPS * given.get("epochs", 1)
    assert f"resuming at step {at - 1} of {total}" in resumed.said
    assert resumed.progress[0].step == at
    assert (found.steps, found.learning_rate) == (expected.steps, expected.learning_rate)
    assert found.metrics == pytest.approx(expected.metrics, abs=1e-4)
    weights = (each.predictor.model.get_weights() for each in (expected, found))
    for one, other in zip(*weights, strict=True):
        assert np.allclose(one, other, atol=1e-4)
    steps = {(state.step, *state.metrics): state.metrics for state in whole.progress}
    for state in resumed.progress:
        assert state.metrics == pytest.approx(steps[state.step, *state.metrics], abs=1e-4)


def test_a_full_disk_is_told_once_and_does_not_end_the_training(
    prepare: Ready, embedded: datasets.Dataset
) -> None:
    run = prepare(embedded, model="nbsvm", learning_rate=0.01, batch_size=19, max_length=8)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        fitted = train(run, 1, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (999, limits[1])))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert fitted.steps == STEPS
    (told,) = (line for line in run.said if "cannot be written" in line)
    assert "File too large" in told
    assert [path.name for path in (run.folder / "checkpoints").iterdir()] == ["lock"]


def test_an_interrupt_saves_the_step_that_it_came_in(
    prepare: Ready, embedded: datasets.Dataset
) -> None:
    run = prepare(embedded, model="nbsvm", learning_rate=0.01, batch_size=19, max_length=8)
    with pytest.raises(KeyboardInterrupt):
        train(run, 4, lambda: os.kill(os.getpid(), signal.SIGINT), "auto")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert train(run, minutes="auto").steps == STEPS
    assert f"resuming at step 4 of {STEPS}" in run.said


@pytest.mark.parametrize("devices", [1, 2])
def test_killed_at_random_moments_it_ends_with_the_same_metrics(
    warmed: None, tmp_path: Path, one_layer: Path, devices: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.killed", tmp_path, one_layer, str(devices)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    whole, killed = json.loads(done.stdout.splitlines()[-1])
    assert not any(line.startswith("resuming") for line in whole["said"])
    assert any(line.startswith("resuming") for line in killed["said"])
    assert killed["steps"] == whole["steps"]
    assert killed["metrics"] == pytest.approx(whole["metrics"], abs=1e-3)
    for name in ("whole", "killed"):
        assert (tmp_path / name / "trained.json").is_file()
        assert not (tmp_path / name / "checkpoints").exists()
