"""Servers that are killed and started again in mid-run, and connections that are cut."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.faults.ground import CHALLENGE, Ground, Trial
from tests.faults.kills import STAGES
from tests.faults.processes import Run, answers, free_port, prefect, tail
from tests.faults.proxy import Proxy

_AWAY = 10.0  # seconds that a server is gone
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
