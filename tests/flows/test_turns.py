"""Two runs on one Prefect server train one after the other, and a dead one is not waited for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from incumbent.servers import part_launcher
from incumbent.servers.ports_and_commands import TRAINING
from incumbent.servers.prefect_api_client import PrefectApi
from tests.conftest import Place, settings
from tests.web import browser

pytestmark = pytest.mark.slow

QUICK = (
    "data.sample=200", "training.model=nbsvm", "training.learning_rate=0.01",
    "evaluation.bootstrap_samples=100",
)  # fmt: skip


@pytest.fixture
def address(begun: Place) -> Iterator[str]:
    """A Prefect server as `make up` starts and sets it up; its API."""
    place = begun
    from incumbent.servers.ports_and_commands import Servers

    port = browser.free_port()
    servers = Servers(root=place.folder, prefect_port=port, mlflow_port=0)
    own = {k: v for k, v in place.environment.items() if k.startswith("PREFECT_")}
    with (place.folder / "prefect.log").open("w") as log:
        process = subprocess.Popen(
            servers.command("prefect"), cwd=place.folder, env=servers.environment() | own,
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        address = servers.clients["PREFECT_API_URL"]
        end = time.monotonic() + 180
        while not part_launcher.answers(f"{address}/health"):
            assert process.poll() is None, (place.folder / "prefect.log").read_text()
            assert time.monotonic() < end
            time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def retraining(place: Place, address: str, name: str, *changes: str) -> Iterator[Any]:
    """A run in the background, which has a store of its own; its output is in a file."""
    folder = place.folder / name
    folder.mkdir()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "incumbent", "retrain", *settings(*QUICK, *changes)],
            cwd=folder, env=place.environment | {"PREFECT_API_URL": address},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(log: Path, words: str, seconds: float = 300) -> str:
    """The line of a log that has these words, once it is there."""
    end = time.monotonic() + seconds
    while True:
        for line in log.read_text().splitlines():
            if words in line:
                return line
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.2)


def ask(address: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{address}/{path}", data, headers), timeout=30
    ) as answer:
        return json.load(answer)


def test_runs_train_in_turn_and_a_dead_one_gives_its_slot_back(place: Place, address: str) -> None:
    PrefectApi(address).limit_tag(TRAINING, 3)
    PrefectApi(address).limit_tag(TRAINING, 1)
    PrefectApi(address).limit_tag(TRAINING, None)  # as it is
    with retraining(place, address, "long", "training.epochs=1000") as long:
        wait_for(place.folder / "long" / "log", "no GPU: training")
        assert "tensorflow" not in Path(f"/proc/{long.pid}/maps").read_text()
        with retraining(place, address, "short") as short:
            said = wait_for(place.folder / "short" / "log", "waiting for a slot")
            assert "'gpu': 1 of 1 taken, by 'retrain reviews' (" in said
            limit = ask(address, f"v2/concurrency_limits/tag:{TRAINING}")
            assert (limit["limit"], limit["active_slots"]) == (1, 1)
            assert "no GPU: training" not in (place.folder / "short" / "log").read_text()

            long.kill()
            _let_a_minute_pass(place)
            assert short.wait(timeout=300) == 0, (place.folder / "short" / "log").read_text()
    assert "no GPU: training" in (place.folder / "short" / "log").read_text()
    limit = ask(address, f"v2/concurrency_limits/tag:{TRAINING}")
    assert limit["active_slots"] == 0


def _let_a_minute_pass(place: Place) -> None:
    """The killed run's lease is of a minute; the test makes it one that is over."""
    (lease,) = (
        path for path in (place.folder / "prefect" / "concurrency_leases").glob("*.json")
        if path.name != "expirations.json"
    )  # fmt: skip
    folder = lease.parent
    content = json.loads(lease.read_text())
    left = datetime.fromisoformat(content["expiration"]) - datetime.now(UTC)
    assert left <= timedelta(seconds=60)
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    lease.write_text(json.dumps(content | {"expiration": past}))
    index = folder / "expirations.json"
    index.write_text(json.dumps(dict.fromkeys(json.loads(index.read_text()), past)))
