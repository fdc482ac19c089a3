"""A Prefect server that goes away as a training takes its slot, has it, or gives it back."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from incumbent.servers.ports_and_commands import TRAINING
from incumbent.servers.prefect_api_client import PrefectApi
from tests.conftest import ROOT, Place
from tests.faults import away
from tests.faults.proxy import Door, Moment
from tests.faults.servers import GIVE_BACK, TAKE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

AWAY = 3.0  # seconds
LIMIT = f"tag:{TRAINING}"


class Server:
    """A Prefect server with a limit of one training, and the leases that it keeps."""

    def __init__(self, place: Place, killable: away.Killable) -> None:
        self.killable = killable
        self.address = f"{killable.address}/api"
        self.port = int(urlsplit(killable.address).port or 0)
        self._place = place
        self._leases = place.folder / "prefect" / "concurrency_leases"

    def restart(self) -> None:
        self.killable.kill()
        self.killable.start()

    def limit(self, trainings: int) -> None:
        self._ask("concurrency_limits/", {"tag": TRAINING, "concurrency_limit": trainings})

    def taken(self) -> int:
        """How many slots."""
        return int(self._ask(f"v2/concurrency_limits/{LIMIT}")["active_slots"])

    def leases(self) -> list[Path]:
        return [path for path in self._leases.glob("*.json") if path.name != "expirations.json"]

    def end_leases(self) -> None:
        """Let the minute pass for which leases were given."""
        past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
        for lease in self.leases():
            lease.write_text(json.dumps(json.loads(lease.read_text()) | {"expiration": past}))
        index = self._leases / "expirations.json"
        if index.exists():
            index.write_text(json.dumps(dict.fromkeys(json.loads(index.read_text()), past)))

    def release(self, lease: Path) -> None:
        self._ask("v2/concurrency_limits/decrement-with-lease", {"lease_id": lease.stem})

    @contextmanager
    def run(
        self, port: int, *, seconds: float = 0.5, patience: float = 60, renewal: float = 20
    ) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        """A run that takes its turn, of the server at a port; and the file of what it says."""
        log = self._place.folder / "log"
        arguments = map(str, (seconds, patience, renewal))
        with log.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.turns", *arguments],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                env=self._place.environment | {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"},
            )  # fmt: skip
        try:
            yield process, log
        finally:
            process.kill()
            process.wait()

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or "null")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    place = Place(tmp_path_factory.mktemp("server"))
    place.environment |= {
        "PREFECT_CLIENT_MAX_RETRIES": "8",  # as the command has it
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"
        ),
        "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "1",
    }
    with away.prefect(place) as killable:
        away.until(killable.answers, 180)
        found = Server(place, killable)
        PrefectApi(found.address).limit_tag(TRAINING, 1)
        yield found


@pytest.fixture(autouse=True)
def free(server: Server) -> Iterator[None]:
    """Each test begins with a free slot, and leaves one: nothing keeps it for ever."""
    yield
    server.limit(1)
    server.end_leases()
    away.until(lambda: server.taken() == 0, 60)


@pytest.mark.parametrize("moment", ["before it", "with its answer lost", "after it"])
def test_a_server_that_goes_away_as_the_slot_is_taken(server: Server, moment: Moment) -> None:
    lost = moment == "with its answer lost"
    # Once it is killed for good; what matters at the other moments is that it cannot be reached.
    door = Door(server.port, TAKE, moment, server.restart if lost else lambda: time.sleep(AWAY))
    with server.run(door.port) as (process, log):
        assert door.shut.wait(60), log.read_text()
        kept = False
        if lost:  # a killed server may have kept what it answered, or not
            words = "waiting for a slot", "working"
            away.until(lambda: any(word in log.read_text() for word in words), 120, log)
            kept = "waiting for a slot" in log.read_text()
        if kept:
            assert server.taken() == 1
            server.end_leases()
        code = process.wait(timeout=120)
    door.close()
    said = log.read_text()
    assert code == 0, said
    assert said.count("working") == said.count("done") == 1
    assert "Traceback" not in said
    # A server that is busy may be waited for once more, before; but never after it.
    assert said.count("is away since") == said.count("answers again"), said
    assert "is away since" in said or moment == "after it"
    assert "is away since" not in said.partition("working")[2], said
    if kept:
        assert "'gpu': 1 of 1 taken, by this run, whose answer was lost" in said
    assert server.taken() == (moment == "after it")  # nobody could give it back


@pytest.mark.parametrize("moment", ["before it", "with its answer lost", "after it"])
def test_a_server_that_goes_away_as_the_slot_is_given_back(server: Server, moment: Moment) -> None:
    door = Door(server.port, GIVE_BACK, moment, lambda: time.sleep(AWAY))
    with server.run(door.port) as (process, log):
        code = process.wait(timeout=120)
    door.close()
    said = log.read_text()
    assert door.shut.is_set()
    assert code == 0, said
    assert "Traceback" not in said
    assert said.count("working") == said.count("done") == 1  # it is not done again
    assert ("was not given back" in said) == (moment != "after it")
    assert server.taken() == (moment == "before it")


def test_a_server_that_stays_away_is_said_in_one_line(server: Server) -> None:
    door = Door(server.port, TAKE, "before it", lambda: time.sleep(4 * AWAY))
    with server.run(door.port, patience=2) as (process, log):
        code = process.wait(timeout=120)
    door.close()
    said = log.read_text()
    assert code == 4, said
    assert "Traceback" not in said
    line = (
        f"The Prefect server at http://127.0.0.1:{door.port}/api did not give a slot of the "
        "concurrency limit 'gpu': [Errno 111] Connection refused. Waited 2 s for it. Run again "
        "when it answers: what is done stays."
    )
    assert said.splitlines().count(line) == 1, said
    assert "working" not in said
    assert "Retry" not in said  # no stage is made again after that


def test_a_limit_that_lets_nobody_train_is_said_in_one_line(server: Server) -> None:
    server.limit(0)
    with server.run(server.port) as (process, log):
        code = process.wait(timeout=120)
    said = log.read_text()
    assert code == 4, said
    assert "Traceback" not in said
    assert said.count("`prefect gcl update tag:gpu --limit 1`") == 1, said


def test_a_slot_whose_lease_ended_is_taken_again(server: Server) -> None:
    with server.run(server.port, seconds=6, renewal=0.5) as (process, log):
        away.until(lambda: "working" in log.read_text(), 60)
        (lease,) = server.leases()
        before = lease.read_text()
        away.until(lambda: lease.read_text() != before, 30)  # it is renewed

        def taken_again() -> bool:
            if lease.exists():  # a renewal that is under way may have written it again
                server.release(lease)  # as the server does when it was not renewed for a minute
            return any(other != lease for other in server.leases())

        away.until(taken_again, 30)
        away.until(lambda: server.taken() == 1, 30)
        assert process.wait(timeout=120) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert server.taken() == 0
