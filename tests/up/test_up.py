"""The servers of one machine, for real: up, a run, a death, down."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import urllib.error
from collections.abc import Iterator

import pytest

from incumbent.operations import status
from incumbent.tracking.registry_writes import Registry
from tests.conftest import Place
from tests.up.machine import Machine

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warmed")]

QUICK = {
    "data": {"sample": 200},
    "training": {"model": "nbsvm", "learning_rate": 0.01, "epochs": 3},
    "promotion": {"min_accuracy": 0.4, "min_gain_over_baseline": -0.5},
    "evaluation": {"bootstrap_samples": 100},
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, warmed: None) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    try:
        machine.up()
        yield machine
    finally:
        done = machine.run("down")
        assert done.returncode == 0, done.stderr
        assert machine.left() == []


def test_twice_does_no_harm(machine: Machine) -> None:
    before = machine.processes()
    assert set(before) == {"prefect", "mlflow", "worker"}
    addresses = machine.up()
    assert machine.processes() == before
    assert addresses["PREFECT_API_URL"] == machine.api
    assert addresses["MLFLOW_TRACKING_URI"] == machine.mlflow


def test_other_settings_are_not_taken_on_silently(machine: Machine) -> None:
    before = machine.processes()
    done = machine.run("up", INCUMBENT_MLFLOW_PORT="5999")
    assert done.returncode == 2
    assert f"mlflow: {machine.mlflow}, not http://127.0.0.1:5999" in done.stderr
    assert "make down" in done.stderr
    assert machine.processes() == before


def test_the_night_is_scheduled(machine: Machine) -> None:
    deployment = machine.ask("deployments/name/retrain/reviews")
    (schedule,) = deployment["schedules"]
    assert schedule["active"]
    assert schedule["schedule"]["timezone"]
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"


def test_one_run_trains_at_a_time(machine: Machine) -> None:
    limit = machine.ask("v2/concurrency_limits/tag:gpu")
    assert (limit["limit"], limit["active"]) == (1, True)


def test_the_form_is_the_config_and_wrong_values_start_no_run(machine: Machine) -> None:
    schema = machine.ask("deployments/name/retrain/reviews")["parameter_openapi_schema"]
    training = schema["definitions"]["TrainingConfig"]
    assert "default" in training["properties"]["epochs"]
    for wrong in ({"trainin": {}}, {"training": {"epochs": "many"}}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            machine.start_run("retrain/reviews", {"config": wrong})
        assert refused.value.code == 409
        assert b"Validation failed" in refused.value.read()


def test_a_run_of_the_worker_is_seen_everywhere(machine: Machine) -> None:
    flow_run = machine.start_run("retrain/reviews", {"config": QUICK})
    assert machine.wait_for_run(flow_run) == "COMPLETED", machine.up_folder / "worker.log"
    found = status.look({}, machine.folder)
    assert [server.answers for server in found.servers] == [True, True]
    assert [server.address for server in found.servers] == [machine.api, machine.mlflow]
    scheduled = {one.deployment: one.next for one in found.scheduled}
    assert set(scheduled) == {"retrain/reviews", "watch/inbox", "monitor/hourly"}
    assert all(scheduled.values())
    assert [run for run in found.running if run.flow_run_id == flow_run] == []
    (model,) = found.models
    assert (model.model_name, model.champion, model.decision) == ("reviews", 1, "promoted")
    assert found.wrong == []
    # The server's store is that of local runs.
    versions = Registry(uri=machine.store).versions("reviews")
    assert [version.aliases for version in versions] == [("challenger", "champion")]


def test_the_last_address_that_is_gone_ends_the_notices(machine: Machine) -> None:
    def ours() -> list[str]:
        return [one["name"] for one in machine.ask("automations/filter", {})
                if one["name"].startswith("incumbent: ")]  # fmt: skip

    machine.up(INCUMBENT_NOTICE_WEBHOOK="http://127.0.0.1:9/hook")
    assert "incumbent: failed" in ours()
    machine.up()
    assert ours() == []


def test_whoever_dies_is_started_again(machine: Machine) -> None:
    """Killed outright, so that a child of the server may be left holding its port."""
    before = machine.processes()
    os.kill(before["mlflow"], signal.SIGKILL)
    machine.up()
    after = machine.processes()
    assert after["mlflow"] != before["mlflow"]
    assert {**after, "mlflow": 0} == {**before, "mlflow": 0}


def test_what_ran_when_the_power_failed_has_crashed(machine: Machine) -> None:
    found = machine.ask("deployments/name/retrain/reviews")
    path = f"deployments/{found['id']}/create_flow_run"
    lost = {}
    for state in ("PENDING", "RUNNING", "CANCELLING"):
        lost[state] = machine.ask(path, {"state": {"type": "PENDING"}})["id"]
        asked = {"state": {"type": state}, "force": True}
        machine.ask(f"flow_runs/{lost[state]}/set_state", asked)
    by_hand = machine.ask("flow_runs/", {"flow_id": found["flow_id"], "state": {"type": "RUNNING"}})
    for process in sorted(machine.left(), key=lambda process: process.part):  # supervisor first
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    machine.up()
    states = {state: machine.ask(f"flow_runs/{run}")["state_type"] for state, run in lost.items()}
    assert states == dict.fromkeys(lost, "CRASHED")
    # One that no worker was to take may well go on, elsewhere.
    assert machine.ask(f"flow_runs/{by_hand['id']}")["state_type"] == "RUNNING"
    # Its place among the runs of the deployment is free again.
    limit = machine.ask("deployments/name/retrain/reviews")["global_concurrency_limit"]
    assert limit["active_slots"] == 0


def test_a_lost_supervisor_is_said_and_what_it_left_is_ended(machine: Machine) -> None:
    (supervisor,) = {p.pid for p in machine.left() if not p.part}
    os.kill(supervisor, signal.SIGKILL)
    os.kill(next(p.pid for p in machine.left() if p.part == "prefect"), signal.SIGKILL)
    trouble = status.look({}, machine.folder).wrong
    assert any(f"No Prefect server answers at {machine.api}" in said for said in trouble)
    assert machine.left()
    done = machine.run("down")
    assert (done.returncode, done.stdout) == (0, "stopped\n")
    assert machine.left() == []
    assert machine.run("down").stdout == "nothing ran here\n"


@pytest.mark.parametrize("number", [0, 1])
def test_a_taken_port_is_named(tmp_path_factory: pytest.TempPathFactory, number: int) -> None:
    other = Machine(tmp_path_factory.mktemp("other"))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", other.ports[number]))
        listener.listen()
        done = other.run("up")
    assert done.returncode == 2
    variable = ("INCUMBENT_PREFECT_PORT", "INCUMBENT_MLFLOW_PORT")[number]
    assert f"Port {other.ports[number]} cannot be had" in done.stderr
    assert f"set {variable} to a free port" in done.stderr
    assert other.left() == []


@pytest.mark.parametrize("text", [None, "deployments: [{entrypoint: x}]", "a: [", "- b"])
def test_a_folder_without_deployments_is_no_project(place: Place, text: str | None) -> None:
    if text is not None:
        (place.folder / "deployments").mkdir()
        (place.folder / "deployments" / "prefect.yaml").write_text(text)
    done = place.run("up")
    assert done.returncode == 2
    assert str(place.folder / "deployments" / "prefect.yaml") in done.stderr
    assert "Run in the project's root folder" in done.stderr
    assert "Traceback" not in done.stderr
