"""A real MLflow server that is killed and comes back, and one whose answers are lost."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from incumbent.config import TrackingConfig
from incumbent.errors import RegistryError, StoreAway
from incumbent.tracking.metrics_buffer import MetricsBuffer
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_writes import Registry
from tests.conftest import Place
from tests.faults import away
from tests.faults.processes import until
from tests.web.browser import free_port

pytestmark = [
    pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.usefixtures("warmed")
]  # fmt: skip


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, databases: Path, warmed: None
) -> Iterator[away.Killable]:
    place = Place(tmp_path_factory.mktemp("server"))
    place.begin_with(databases)
    with away.mlflow(place) as server:
        away.until(server.answers, 600)
        yield server


def test_what_is_logged_and_written_while_the_server_is_away_arrives_once(
    server: away.Killable, caplog: pytest.LogCaptureFixture
) -> None:
    tracking = TrackingConfig(patience=600)
    runs, registry = Runs(tracking, server.address), Registry(tracking, server.address)
    run = runs.start_run("reviews", {"prefect.flow_run_id": "one"}, "a run")
    server.kill()

    def come_back() -> None:
        """When the metrics wait for it, and the rest."""
        if until(lambda: caplog.text.count("is away since") == 2, 600):
            server.start(wait=False)

    threading.Thread(target=come_back).start()
    start = time.monotonic()
    with MetricsBuffer(runs, run) as metrics:
        for step in range(1000):
            metrics.log({"train_loss": 1.0}, step)
        assert time.monotonic() - start < 5  # training does not wait
        number = registry.append("away.ledger", {"incumbent.entry": "{}"}, None, "d", "text")
        runs.log_table(run, pd.DataFrame({"a": [1, 2]}), "table.json")
    assert [v.version for v in registry.versions("away.ledger")] == [number]
    history = runs.client.get_metric_history(run.run_id, "train_loss")
    assert [metric.step for metric in history] == list(range(1000))
    said = [message for message in caplog.messages if server.address in message]
    assert any("is away since" in message and "Waiting up to 600 s" in message for message in said)
    assert any("answers again" in message for message in said)
    assert len(said) <= 4  # one line as it goes, one as it is back; for the metrics, and the rest


def test_an_answer_that_is_lost_is_no_second_write(server: away.Killable, tmp_path: Path) -> None:
    with away.losing_answers(server.address) as (address, lost):
        tracking = TrackingConfig(patience=600)
        runs, registry = Runs(tracking, address), Registry(tracking, address)
        run = runs.start_run("lost", {"prefect.flow_run_id": "two"}, "a run")
        runs.log_params(run, {"a": 1})
        runs.log_metrics(run, {"accuracy": 0.9})
        runs.tag(run, {"a": "b"})
        runs.log_table(run, pd.DataFrame({"a": [1, 2]}), "table.json")
        number = registry.append("lost.ledger", {"incumbent.entry": "{}"}, None, "d", "text")
        registry.set_alias(registry.version("lost.ledger", number), "challenger")
        runs.end_run(run, "FINISHED")
    wanted = ("runs/create", "log-batch", "runs/set-tag", "model-versions/create", "artifacts")
    assert all(any(kind in write for write in lost) for kind in wanted), lost
    client = Runs(TrackingConfig(), server.address).client
    experiment = client.get_experiment_by_name("lost")
    assert [found.info.run_id for found in client.search_runs([experiment.experiment_id])] == [
        run.run_id
    ]
    assert len(client.get_metric_history(run.run_id, "accuracy")) == 1
    table = Path(client.download_artifacts(run.run_id, "table.json", str(tmp_path)))
    assert json.loads(table.read_text())["data"] == [[1], [2]]
    (entry,) = client.search_model_versions("name = 'lost.ledger'")
    assert int(entry.version) == number


def test_a_server_that_stays_away_is_said_after_the_patience(server: away.Killable) -> None:
    runs = Runs(TrackingConfig(patience=2), server.address)
    server.kill()
    with pytest.raises(StoreAway) as caught:
        runs.finished("reviews", "0" * 64)
    assert str(caught.value) == (
        f"MLflow at {server.address} could not search the runs: [Errno 111] Connection refused. "
        "Waited 2 s for it (tracking.patience). Run again when it answers: what is done stays."
    )


def test_a_server_that_never_answered_is_not_waited_for() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    start = time.monotonic()
    with pytest.raises(RegistryError, match=f"No MLflow server answers at {address}"):
        Runs(TrackingConfig(patience=600), address)
    assert time.monotonic() - start < 10
