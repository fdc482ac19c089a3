"""A sweep goes the whole way, is killed and resumed, and its winner is decided about."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest

from tests.conftest import Place, settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warmed")]

SPACE = """
training.learning_rate: {low: 1.0e-3, high: 5.0e-2, log: true}
training.weight_decay: {choices: [0.0, 0.1]}  # which NBSVM is trained without
"""
OPTIONS = [
    "sweep", "--space", "space.yaml", "--trials", "6", "--json",
    *settings("data.sample=200", "training.model=nbsvm", "training.epochs=3",
              "promotion.min_accuracy=0.0", "promotion.min_gain_over_baseline=-1",
              "evaluation.bootstrap_samples=200"),
]  # fmt: skip


def rows(database: Path, query: str) -> list[Any]:
    with sqlite3.connect(database, timeout=60) as connection:
        return connection.execute(query).fetchall()


def test_a_sweep_is_killed_and_resumed_and_ends_in_a_challenger(begun: Place) -> None:
    (begun.folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    trials = begun.folder / "mlruns" / "sweeps.db"
    first = subprocess.Popen(
        [sys.executable, "-m", "incumbent", *OPTIONS], cwd=begun.folder, env=begun.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    # Killed in a trial that trains: its MLflow run is known then.
    while not (trials.is_file() and _training(trials)):
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    (lost,) = _training(trials)
    rows(trials, "UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-1 hour')")

    outcome = _json(begun)
    assert outcome["decision"] == "promoted", outcome["reason"]
    assert outcome["reason"].endswith("It is the winner of a sweep of 6 trials.")
    assert outcome["trials"] == 6
    assert outcome["best"]["training.weight_decay"] == 0.0
    assert 0 < outcome["value"] < 1
    assert set(outcome["best"]) == {"training.learning_rate", "training.weight_decay"}

    # Of the seven trials in the database one is that which was killed, and was tried again.
    states = dict(rows(trials, "SELECT number, state FROM trials"))
    assert len(states) == 7
    assert [number for number, state in states.items() if state == "FAIL"] == [lost]
    assert set(states.values()) == {"COMPLETE", "PRUNED", "FAIL"}

    _see_mlflow(begun, outcome)
    (entry,) = begun.json("history")
    assert entry["sweep_trials"] == 6
    assert begun.json("explain", "1")["differences"] == []
    report = (begun.folder / outcome["report"]).read_text(encoding="utf-8")
    assert 'alt="sweep parallel coordinates"' in report
    assert "winner of a sweep of 6 trials" in report
    assert not list(begun.folder.glob(".incumbent/sweeps/*/trials/*"))

    again = _json(begun)
    assert again["decision"] == "skipped"
    assert {key: again[key] for key in ("trials", "best", "value", "study")} == {
        key: outcome[key] for key in ("trials", "best", "value", "study")
    }


def _training(trials: Path) -> list[int]:
    """The numbers of trials that run and have an MLflow run."""
    try:
        found = rows(
            trials,
            "SELECT number FROM trials JOIN trial_user_attributes USING (trial_id) "
            "JOIN trial_heartbeats USING (trial_id) WHERE state = 'RUNNING' AND key = 'run_id'",
        )
    except sqlite3.OperationalError:  # the tables are still to come
        return []
    return [number for (number,) in found]


def _json(place: Place) -> Any:
    done = place.run(*OPTIONS)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Trial" not in done.stderr  # Optuna's own lines
    return json.loads(done.stdout)


def _see_mlflow(place: Place, outcome: dict[str, Any]) -> None:
    client = mlflow.MlflowClient(place.store, place.store)
    (experiment,) = [e for e in client.search_experiments() if e.name == "reviews"]
    runs = client.search_runs([experiment.experiment_id])
    (sweep,) = [run for run in runs if run.info.run_name == "sweep"]
    nested = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == sweep.info.run_id]
    assert sweep.info.status == "FINISHED"
    assert sweep.data.metrics["held_out_log_loss"] == outcome["value"]
    plots = [file.path for file in client.list_artifacts(sweep.info.run_id, "plots")]
    assert "plots/sweep_parallel_coordinates.png" in plots
    assert len(nested) == 7
    assert sorted(run.info.status for run in nested) == ["FINISHED"] * 6 + ["KILLED"]
    states = {run.data.tags.get("incumbent.trial_state") for run in nested}
    assert states == {"finished", "pruned", None}
    best = min(
        (run for run in nested if "held_out_log_loss" in run.data.metrics),
        key=lambda run: run.data.metrics["held_out_log_loss"],
    )
    assert best.data.metrics["held_out_log_loss"] == outcome["value"]
    rate = float(best.data.params["training.learning_rate"])
    assert rate == outcome["best"]["training.learning_rate"]
    assert client.get_run(outcome["run_id"]).data.tags["incumbent.sweep"] == outcome["study"]
