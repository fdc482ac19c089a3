"""Servers that go away in the middle of a run: it waits, loses nothing, and does nothing twice."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import mlflow as client_of
import pytest

from incumbent.encoders import pretrained_weights
from incumbent.tracking.registry_writes import Registry
from tests.conftest import Place, settings
from tests.faults import away
from tests.trainings import write_bert

# Each run is one of several processes, which a busy machine takes its time for.
pytestmark = [
    pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.usefixtures("warmed")
]  # fmt: skip

EPOCHS, STEPS = 50, 10
LONG = settings(
    "data.sample=200", "preprocessing.max_length=8", "training.model=transformer",
    "training.weights=weights",
    f"training.epochs={EPOCHS}", "training.batch_size=19", "promotion.on_min_accuracy=off",
    "promotion.on_baseline=off", "evaluation.bootstrap_samples=100",
)  # fmt: skip
QUICK = settings(
    "data.sample=300", "training.model=nbsvm", "training.learning_rate=0.01", "training.epochs=3",
    "promotion.on_min_accuracy=off", "promotion.on_baseline=off",
    "evaluation.bootstrap_samples=100",
)  # fmt: skip
AWAY = 10  # seconds, and those that servers take to start


def test_both_servers_are_killed_in_mid_training_and_come_back(begun: Place) -> None:
    place = begun
    (place.folder / "weights").mkdir()
    write_bert(place.folder / "weights", pretrained_weights.resolve(pretrained_weights.BUNDLED))
    with away.mlflow(place) as tracking, away.prefect(place) as orchestration:
        away.until(lambda: tracking.answers() and orchestration.answers(), 180)
        place.environment["MLFLOW_TRACKING_URI"] = tracking.address
        place.environment["PREFECT_API_URL"] = f"{orchestration.address}/api"
        errors = (place.folder / "errors").open("w+")
        with errors:
            run = subprocess.Popen(
                [sys.executable, "-m", "incumbent", "retrain", *LONG, "--json"],
                cwd=place.folder, env=place.environment, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
            try:
                away.until(lambda: run.poll() is not None or _steps(place) > 0, 600)
                tracking.kill()
                orchestration.kill()
                logged = _steps(place)
                time.sleep(AWAY)
                orchestration.start(wait=False)
                tracking.start(wait=False)
                output, _ = run.communicate(timeout=1200)
            finally:
                run.kill()
            errors.seek(0)
            said = errors.read()
        assert run.returncode == 0, said[-5000:]
        assert f"MLflow at {tracking.address} is away since" in said
        assert f"MLflow at {tracking.address} answers again, after" in said
        assert "Traceback" not in said
        outcome = json.loads(output)
        assert outcome["decision"] == "promoted"

        client = client_of.MlflowClient(tracking.address)
        history = client.get_metric_history(outcome["run_id"], "validation_loss")
        assert logged < EPOCHS
        assert sorted(m.step for m in history) == [STEPS * (e + 1) for e in range(EPOCHS)]
        times = [m.timestamp for m in sorted(history, key=lambda m: m.step)]
        assert times == sorted(times)
        _is_done_once(client, outcome["run_id"])


def test_every_kind_of_write_loses_its_first_answer(begun: Place) -> None:
    place = begun
    with (
        away.mlflow(place) as tracking,
        away.losing_answers(tracking.address) as (address, lost),
    ):
        away.until(tracking.answers, 180)
        place.environment["MLFLOW_TRACKING_URI"] = address
        outcome = place.json("retrain", *QUICK)
        assert outcome["decision"] == "promoted"
        assert "POST /api/2.0/mlflow/model-versions/create" in lost
        assert "POST /api/2.0/mlflow/runs/log-batch" in lost
        assert "PUT artifacts" in lost
        client = client_of.MlflowClient(tracking.address)
        (run,) = client.search_runs([client.get_experiment_by_name("reviews").experiment_id])
        assert run.info.run_id == outcome["run_id"]
        _is_done_once(client, run.info.run_id)


def test_every_kind_of_read_loses_its_first_answer(begun: Place) -> None:
    place = begun
    tag = {"incumbent.entry": "{}"}
    with (
        away.mlflow(place) as tracking,
        away.losing_answers(tracking.address, reads=True) as (address, lost),
    ):
        away.until(tracking.answers, 180)
        registry = Registry(uri=tracking.address)
        number = registry.append("reviews.ledger", tag, None, "decision", "text")
        registry.uri, registry.client = address, client_of.MlflowClient(address)
        assert [v.version for v in registry.versions("reviews.ledger")] == [number]
        assert registry.names() == []
        assert registry.version("reviews.ledger", number or 0).tags == tag
        assert registry.find("reviews", "a digest") is None
        asked = {kind.rpartition("mlflow/")[2] for kind in lost}
        assert asked == {
            "registered-models/search", "model-versions/search", "model-versions/get"
        }  # fmt: skip


def _is_done_once(client: client_of.MlflowClient, run_id: str) -> None:
    """One version, one decision, one model, one set of tables."""
    (version,) = client.search_model_versions("name = 'reviews'")
    assert version.run_id == run_id
    assert len(client.search_model_versions("name = 'reviews.ledger'")) == 1
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert len(client.search_logged_models([run.info.experiment_id])) == 1
    table = Path(client.download_artifacts(run_id, "top_losses.json"))
    assert len(json.loads(table.read_text())["data"]) == 20
    assert len(run.inputs.dataset_inputs) == 2
    for name in run.data.metrics:
        history = client.get_metric_history(run_id, name)
        assert len({(m.step, m.value) for m in history}) == len(history), name


def _steps(place: Place) -> int:
    """How many epochs have reached the store."""
    file = place.folder / "mlruns" / "mlflow.db"
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            query = "SELECT COUNT(*) FROM metrics WHERE key = 'validation_loss'"
            return int(database.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0
