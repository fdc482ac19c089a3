"""A training that is ended anywhere goes on as if it had not been."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent import datasets
from incumbent.classifiers import callbacks, libraries, training
from incumbent.classifiers.checkpoints import Checkpoints

pytestmark = pytest.mark.slow

Ready = Callable[..., Any]
ROOT = Path(__file__).parents[2]
STEPS = 10  # of an epoch: 190 rows in batches of 19, all of one length, so that little is compiled


class Killed(BaseException):
    """As near to SIGKILL as a test in one process comes: nothing is done because of it."""


@pytest.fixture(autouse=True)
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "_REPORT_EVERY", 0.0)


@pytest.fixture(scope="module")
def embedded(reviews: Callable[[int], datasets.Dataset]) -> datasets.Dataset:
    return reviews(200)


def train(run: Any, kill_at: int = 0) -> Any:
    """Train as `fit` does, or be killed in a step."""
    rows, held_out = training._rows(run.encoded, run.classifier.training)

    def on_step(progress: callbacks.Progress) -> None:
        run.progress.append(progress)
        if progress.step == kill_at and "learning_rate" in progress.metrics:
            raise Killed

    from incumbent.classifiers import resuming

    identity = resuming.identity(run.classifier, run.encoded.key)
    opened = Checkpoints.opened(run.folder / "checkpoints", identity, 0, run.said.append)
    with libraries.quiet(), libraries.scratch(), opened as saved:
        return training._fit(run.classifier, rows, held_out, saved, on_step, run.said.append)


def killed(run: Any, step: int) -> None:
    with pytest.raises(Killed):
        train(run, kill_at=step)


def assert_same(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    """Two runs came to the same, and were reported alike at every step."""
    (run, fitted), (run2, fitted2) = one, other
    assert fitted2.steps == fitted.steps
    assert fitted2.learning_rate == fitted.learning_rate
    assert fitted2.metrics == pytest.approx(fitted.metrics, abs=1e-4)
    weights = (each.predictor.model.get_weights() for each in (fitted, fitted2))
    for a, b in zip(*weights, strict=True):
        assert np.allclose(a, b, atol=1e-4)
    reported = [{(p.step, *p.metrics): p.metrics for p in r.progress} for r in (run, run2)]
    assert reported[0].keys() == reported[1].keys()
    for key, metrics in reported[0].items():
        assert reported[1][key] == pytest.approx(metrics, abs=1e-4), key


@pytest.mark.parametrize(
    ("settings", "kills"),
    [
        ({"epochs": 2}, (3, STEPS + 4)),
        ({"learning_rate": "auto", "lr_find_steps": 50}, (5,)),
        ({"schedule": "triangular", "epochs": 8, "early_stopping": 1, "learning_rate": 0.03}, (15,)),
        ({"schedule": "sgdr", "epochs": 2, "freeze_embeddings": True, "layer_decay": 0.8}, (STEPS,)),
        ({"precision": "mixed_float16"}, (7,)),
        ({"model": "bert", "epochs": 2}, (STEPS + 5,)),
        ({"model": "nbsvm", "epochs": 2, "learning_rate": 0.01}, (STEPS + 5,)),
    ],
)  # fmt: skip
def test_resumed_training_is_as_that_which_was_not_ended(
    prepare: Ready, embedded: datasets.Dataset, tiny_bert: Path,
    settings: dict[str, Any], kills: tuple[int, ...],
) -> None:  # fmt: skip
    given = {"weights": str(tiny_bert), "learning_rate": 1e-3, "batch_size": 19} | settings
    whole, broken = (
        prepare(embedded, folder, max_length=8, **given) for folder in ("whole", "broken")
    )
    expected = train(whole)
    for step in kills:
        killed(broken, step)
    found = train(broken)
    said = [line for line in broken.said if line.startswith("resuming")]
    total = whole.progress[0].total
    assert said == [f"resuming at step {step - 1} of {total}" for step in kills]
    assert_same((whole, expected), (broken, found))
