"""What is made once in a run of the tests, by whichever worker needs it first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from incumbent.runtime import file_locks


def folder(factory: pytest.TempPathFactory) -> Path:
    """The folder that all workers of this run have in common."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    common = base / "shared"
    common.mkdir(exist_ok=True)
    return common


def once(made: Path, make: Callable[[Path], None]) -> Path:
    """A folder that is made by the first who asks for it, at its place; the others wait."""
    done = made.with_name(f"{made.name}.done")
    with file_locks.waited_for(made.with_name(f"{made.name}.lock"), lambda: None):
        if not done.exists():
            shutil.rmtree(made, ignore_errors=True)  # another's try that failed
            made.mkdir()
            make(made)
            done.touch()
    return made


def make_databases(made: Path) -> None:
    """Make the databases that MLflow and Prefect make when they begin: `*.db`."""
    from tests.faults.processes import answers, free_port

    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_"))}
    environment |= {"MLFLOW_TRACKING_URI": f"sqlite:///{made}/mlflow.db", "PREFECT_HOME": str(made)}
    environment["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    port = free_port()
    command = [sys.executable, "-m"]
    with subprocess.Popen(
        [*command, "incumbent.servers.temporary_prefect_server", str(port)],
        env=environment,
        stdin=subprocess.PIPE,
    ) as server:
        subprocess.run(
            [*command, "incumbent", "models"], env=environment, check=True, cwd=made,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        answers(f"http://127.0.0.1:{port}/api/health")
        assert server.stdin is not None
        server.stdin.close()  # at which it ends
        server.wait(60)
