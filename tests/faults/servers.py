"""Servers that are killed and started again in mid-run, and connections that are cut."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

from incumbent.servers.ports_and_commands import TRAINING
from incumbent.servers.prefect_api_client import PrefectApi
from tests.faults.ground import CHALLENGE, Ground, Trial
from tests.faults.kills import STAGES
from tests.faults.processes import Run, answers, free_port, prefect, tail, until
from tests.faults.proxy import Door, Moment, Proxy

TAKE = "/v2/concurrency_limits/increment-with-lease"
GIVE_BACK = "/v2/concurrency_limits/decrement-with-lease"

_AWAY = 10.0  # seconds that a server is gone
_SHORT = 3.0  # seconds that it is gone before it starts again
_FREE = 150.0  # seconds after which a slot is free that nobody could give back
_EVERY, _TRIES = 30, 5  # after how many requests one is cut, and how many runs


def cut(ground: Ground, quick: bool) -> Iterator[Trial]:
    """The connection to MLflow, at one request in 30: at a random byte of it or of its answer."""
    for number in range(1 if quick else _TRIES):
        ground.restore()
        with _mlflow(ground) as port:
            proxy = Proxy(port, _EVERY, seed=number)
            address = f"http://127.0.0.1:{proxy.port}"
            run = ground.fork("retrain", *CHALLENGE, MLFLOW_TRACKING_URI=address)
            trial = Trial(f"run {number + 1}")
            _ended(trial, run)
            proxy.close()
            trial.what += f": {proxy.cut} times"
            if not proxy.cut:
                trial.faults.append("no request was cut")
        yield ground.judge(trial, run)


def mlflow(ground: Ground, quick: bool) -> Iterator[Trial]:
    """The MLflow server, at each stage that writes to it; the run waits for it."""
    for stage in ("register",) if quick else ("train", "register", "promote"):
        ground.restore()
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        trial = Trial(f"MLflow in {stage}")
        with _mlflow(ground, port):
            run = ground.fork("retrain", *CHALLENGE, MLFLOW_TRACKING_URI=address)
            if not run.says(STAGES[stage]):
                trial.faults.append(f"did not come to {stage}")
        time.sleep(_AWAY)
        with _mlflow(ground, port):
            _ended(trial, run)
        yield ground.judge(trial, run)


def prefects(ground: Ground, quick: bool) -> Iterator[Trial]:
    """The Prefect server, in a process of its own that reports to it; the run waits for it."""
    for stage in ("train",) if quick else ("validate", "train", "promote"):
        ground.restore()
        port = free_port()
        address = f"http://127.0.0.1:{port}/api"
        home = ground.environment | {"PREFECT_HOME": str(ground.scratch / "another")}
        trial = Trial(f"Prefect in {stage}")
        server = prefect(home, port, ground.scratch)
        answers(f"{address}/health")
        run = ground.run(
            "retrain", *CHALLENGE, PREFECT_API_URL=address, PREFECT_HOME=home["PREFECT_HOME"]
        )
        if not run.says(STAGES[stage]):
            trial.faults.append(f"did not come to {stage}")
        server.kill()
        server.wait()
        time.sleep(_AWAY)
        server = prefect(home, port, ground.scratch)
        _ended(trial, run)
        server.kill()
        server.wait()
        yield ground.judge(trial, run)


def slots(ground: Ground, quick: bool) -> Iterator[Trial]:
    """The Prefect server, killed as the training takes its slot, and as it gives it back: when the
    server is asked, when it has done it and its answer is lost, and when it has answered. It is
    back some seconds later; the run waits, and in the end the slot is free."""
    moments: list[tuple[str, Moment]] = [
        (TAKE, "with its answer lost"), (TAKE, "before it"), (TAKE, "after it"),
        (GIVE_BACK, "before it"), (GIVE_BACK, "with its answer lost"), (GIVE_BACK, "after it"),
    ]  # fmt: skip
    for request, moment in moments[:1] if quick else moments:
        ground.restore()
        yield _slot(ground, request, moment)


def _slot(ground: Ground, request: str, moment: Moment) -> Trial:
    port = free_port()
    address = f"http://127.0.0.1:{port}/api"
    home = ground.environment | {
        "PREFECT_HOME": str(ground.scratch / "with a limit"),
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
            "prefect.server.concurrency.lease_storage.filesystem"  # as that of `make up` has it
        ),
    }
    server = prefect(home, port, ground.scratch)
    answers(f"{address}/health")
    PrefectApi(address).limit_tag(TRAINING, 1)

    def restart() -> None:
        nonlocal server
        server.kill()
        server.wait()
        time.sleep(_SHORT)
        server = prefect(home, port, ground.scratch)
        answers(f"{address}/health")

    trial = Trial(f"the slot is {'taken' if request == TAKE else 'given back'}, {moment}")
    door = Door(port, request, moment, restart)
    run = ground.run(
        "retrain", *CHALLENGE, PREFECT_HOME=home["PREFECT_HOME"],
        PREFECT_API_URL=f"http://127.0.0.1:{door.port}/api",
    )  # fmt: skip
    _ended(trial, run)
    if not door.shut.is_set():
        trial.faults.append("the server was not restarted")
    if not until(lambda: _taken(address) == 0, _FREE):
        trial.faults.append("the slot stays taken")
    door.close()
    server.kill()
    server.wait()
    return ground.judge(trial, run)


def _taken(address: str) -> int | None:
    """How many slots of the limit are taken; None while the server does not say."""
    try:
        with urllib.request.urlopen(
            f"{address}/v2/concurrency_limits/tag:{TRAINING}", timeout=5
        ) as answer:
            return int(json.load(answer)["active_slots"])
    except OSError:
        return None


def _ended(trial: Trial, run: Run) -> None:
    """The run that met the fault has to end well by itself."""
    code = run.end()
    if code is None:
        trial.hung = True
        trial.faults.append("hung")
    elif code:
        trial.faults.append(f"ended with {code}: {tail(run)}")


@contextlib.contextmanager
def _mlflow(ground: Ground, port: int = 0) -> Iterator[int]:
    """A real MLflow server on the place's store; it is killed at the end."""
    port = port or free_port()
    store = f"sqlite:///{ground.folder}/mlruns/mlflow.db"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (ground.scratch / "mlflow.log").open("a") as log:
        server = subprocess.Popen(
            command, cwd=ground.scratch, stdout=log, stderr=log, start_new_session=True,
            env=ground.environment | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )  # fmt: skip
    try:
        answers(f"http://127.0.0.1:{port}/health")
        yield port
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
