from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from incumbent.cli import main
from incumbent.operations import status
from incumbent.servers.prefect_api_client import PrefectApi
from tests.small_servers import serving
from tests.web import browser

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """The command in this process: exit code, standard output, standard error."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main.main(arguments)
        return int(ended.value.code or 0), *capfd.readouterr()

    return run


def test_an_empty_folder_has_no_trouble_and_stays_empty(run: Run, here: Path) -> None:
    code, shown, _ = run("status")
    assert code == 0
    assert "prefect: none; `make up` starts one" in shown
    assert shown.rstrip().endswith("wrong\n  nothing")
    assert list(here.iterdir()) == []


def test_a_server_that_does_not_answer_is_named_with_its_address(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefect = f"http://127.0.0.1:{browser.free_port()}/api"
    monkeypatch.setenv("PREFECT_API_URL", prefect)
    code, shown, _ = run("status")
    assert code == 0
    assert f"prefect: DOES NOT ANSWER at {prefect}" in shown
    assert f"No Prefect server answers at {prefect} (" in shown
    assert "correct or unset PREFECT_API_URL" in shown


def test_servers_that_were_started_and_are_gone_are_named(run: Run, here: Path) -> None:
    port = browser.free_port()
    folder = here / ".incumbent" / "up"
    folder.mkdir(parents=True)
    addresses = {"prefect": f"http://127.0.0.1:{port}", "mlflow": f"http://127.0.0.1:{port}"}
    (folder / "up.json").write_text(json.dumps({**addresses, "database": "SQLite"}))
    code, shown, _ = run("status", "--json")
    assert code == 0
    trouble = json.loads(shown)["wrong"]
    assert len(trouble) == 2
    assert all("make up" in said for said in trouble)


@pytest.mark.slow
def test_the_local_store_is_enough_and_old_champions_are_named(store: Path, run: Run) -> None:
    from incumbent.tracking.registry_writes import Registry

    client = Registry().client
    client.create_registered_model("trial")
    version = client.create_model_version("trial", "nowhere:/model")
    client.set_registered_model_alias("trial", "champion", version.version)
    code, shown, _ = run("status", "--json")
    assert code == 0
    found = json.loads(shown)
    assert [(m["model_name"], m["champion"]) for m in found["models"]] == [("trial", 1)]
    assert found["wrong"] == []
    code, shown, _ = run("status", "--max-age", "0")
    assert code == 0
    assert "trial: the champion, version 1, is 0 days old, more than 0" in shown


RUN = {
    "id": "r1", "name": "retrain reviews", "deployment_id": "d1", "state_name": "Late",
    "state_type": "SCHEDULED", "next_scheduled_start_time": "2026-11-27T03:00:00Z",
    "expected_start_time": "2026-11-26T03:00:00Z", "start_time": "2020-11-26T03:00:05Z",
    "end_time": "2026-11-26T03:05:00+00:00", "state": {"message": "Boom.\nat line 3"},
}  # fmt: skip


class _Answers(BaseHTTPRequestHandler):
    """A Prefect server in a state that takes a bad night to get into."""

    busy = 2
    """So many requests are told to come again, as when SQLite's file is locked."""

    def do_POST(self) -> None:
        if _Answers.busy:
            _Answers.busy -= 1
            self.send_error(503)
            return
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        schedule = {"active": True, "schedule": {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}}
        deployment = {
            "id": "d1", "flow_id": "f1", "name": "reviews", "schedules": [schedule],
            "paused": False, "work_pool_name": "train",
        }  # fmt: skip
        wanted = query.get("flow_runs", {}).get("state", {}).get("type", {}).get("any_", [])
        crashed = {**RUN, "state_name": "Crashed", "state_type": "CRASHED"}
        answers = {
            "/api/flows/filter": [{"id": "f1", "name": "retrain"}],
            "/api/deployments/filter": [deployment],
            "/api/work_pools/filter": [{"name": "train", "status": "NOT_READY"}],
            "/api/flow_runs/filter": [crashed] if "CRASHED" in wanted else [RUN],
        }
        found = json.dumps(answers[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def bad_night(tmp_path: Path) -> Iterator[Callable[[], status.Status]]:
    """Looks at a server on which all went wrong."""
    with serving(HTTPServer(("127.0.0.1", 0), _Answers)) as address:
        yield lambda: status.look({"PREFECT_API_URL": f"{address}/api"}, tmp_path)


@pytest.mark.parametrize("start", [None, "2020-11-25T03:00:00Z"])
@pytest.mark.parametrize("timestamp", [None, "2020-11-26T04:00:00Z"])
def test_a_run_is_stuck_since_it_came_into_its_state(
    bad_night: Callable[[], status.Status], monkeypatch: pytest.MonkeyPatch,
    start: str | None, timestamp: str | None,
) -> None:  # fmt: skip
    due = "2020-11-26T03:00:00Z"
    monkeypatch.setitem(RUN, "state", {"timestamp": timestamp} if timestamp else None)
    monkeypatch.setitem(RUN, "start_time", start)  # the first, of a run that was retried
    monkeypatch.setitem(RUN, "expected_start_time", due)
    since = (timestamp or start or due).replace("Z", "+00:00")
    assert any(f"since {since}, for more than 24 hours" in said for said in bad_night().wrong)


def test_a_bad_night_is_told(bad_night: Callable[[], status.Status]) -> None:
    found = bad_night()
    (scheduled,) = found.scheduled
    assert scheduled.schedule == "0 3 * * * Europe/Berlin"
    assert scheduled.next == "2026-11-27T03:00:00+00:00"
    pool, crash, late, stuck = found.wrong
    assert "no worker polls the work pool 'train' (not ready)" in pool
    assert "retrain/reviews: its last run crashed, 2026-11-26T03:05:00+00:00: Boom. (" in crash
    assert "/runs/flow-run/r1)" in crash
    assert "a run is late, due 2026-11-26T03:00:00+00:00" in late
    assert "has been late since 2020-11-26T03:00:05+00:00, for more than 24 hours" in stuck
    assert "run r1" in stuck


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Flow run encountered an exception: NotWell: 1.5 GiB are free", False),
        ("Flow run encountered an exception: RuntimeError: unforeseen", True),
        ("", True),
    ],
)
def test_a_monitor_that_failed_by_itself_is_told_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, shown: bool
) -> None:
    failed = {**RUN, "state_name": "Failed", "state_type": "FAILED", "state": {"message": said}}
    monkeypatch.setattr(PrefectApi, "flows", lambda _: {"f1": "monitor"})
    monkeypatch.setattr(
        PrefectApi, "deployments",
        lambda _: [{"id": "d1", "flow_id": "f1", "name": "hourly", "schedules": []}],
    )  # fmt: skip
    monkeypatch.setattr(PrefectApi, "pools", lambda _: {})
    monkeypatch.setattr(
        PrefectApi, "runs", lambda _, *states, **__: [failed] if "FAILED" in states else []
    )
    found = status.look({"PREFECT_API_URL": "http://127.0.0.1:1/api"}, tmp_path, min_free=0.0)
    assert [t.key for t in found.troubles] == ["last run: monitor/hourly"] * shown
    assert "troubles" not in found.model_dump()
