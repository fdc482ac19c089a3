"""What the worker does before it takes any work."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from incumbent.servers import part_launcher, supervisord
from tests.small_servers import serving

RUNS = [{"id": "r1", "name": "retrain reviews"}, {"id": "r2", "name": "watch"}]


class _Server(HTTPServer):
    """Keeps what it is asked; answers 500 to all while it is `broken`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.broken = False


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, query))
        found = json.dumps(RUNS if self.path.endswith("/filter") else {}).encode()
        self.send_response(500 if self.server.broken else 200)
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[_Server]:
    server = _Server()
    with serving(server) as address:
        monkeypatch.setenv("PREFECT_API_URL", f"{address}/api")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.setenv(supervisord.FOLDER_MARK, str(tmp_path))
        yield server


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that this process would have become."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: commands.append(command))
    return commands


def test_a_worker_that_is_alone_has_lost_the_runs_of_the_one_before(
    server: _Server, became: list[list[str]]
) -> None:
    part_launcher.main(["worker", "prefect", "worker"])
    (_, query), *ended = server.asked
    assert query["work_pools"] == {"name": {"any_": ["train"]}}
    assert set(query["flow_runs"]["state"]["type"]["any_"]) == {"RUNNING", "PENDING", "CANCELLING"}
    assert [path for path, _ in ended] == [f"/api/flow_runs/{r['id']}/set_state" for r in RUNS]
    assert all(asked["force"] and asked["state"]["type"] == "CRASHED" for _, asked in ended)
    assert became == [["prefect", "worker", "--name", part_launcher.worker_name(os.getpid())]]


def test_runs_that_a_killed_worker_left_go_on(
    server: _Server, became: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = supervisord.Process(pid=1, parent=1, part="worker")
    monkeypatch.setattr(supervisord, "processes", lambda _: [run])
    part_launcher.main(["worker", "prefect", "worker"])
    assert server.asked == []
    assert became


def test_a_server_that_cannot_be_told_keeps_no_worker_from_work(
    server: _Server, became: list[list[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    server.broken = True
    part_launcher.main(["worker", "prefect", "worker"])
    assert "refused flow_runs/filter: 500" in capfd.readouterr().err
    assert became
