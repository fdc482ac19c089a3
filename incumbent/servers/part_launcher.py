"""The process that supervisord starts for each server: it waits, then becomes the server.

As it takes its place, the process's number tells which worker it is.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from incumbent.errors import StageError
from incumbent.servers import supervisord
from incumbent.servers.ports_and_commands import POOL, WORKER
from incumbent.servers.prefect_api_client import PrefectApi

_ANSWER = 5  # seconds that a server may take to say that it is there
_PAUSE = 0.5  # seconds between two tries
_LEFT_SECONDS = 5  # that what a killed server left has to end
_UNDER_WAY = ("RUNNING", "PENDING", "CANCELLING")  # states that only a run's process ends
_LOST = "The run's process is gone, as after a power cut: no other of its worker's is left."


def worker_name(pid: int) -> str:
    """What the worker that is a process is called in Prefect."""
    return f"worker-{pid}"


def answers(address: str) -> bool:
    """Whether a server answers, be it to say that it does not let us in."""
    try:
        with urlopen(address, timeout=_ANSWER):  # noqa: S310  http only
            return True
    except HTTPError as error:
        return error.code < 500
    except (URLError, OSError, ValueError):
        return False


def health(clients: Mapping[str, str]) -> dict[str, str]:
    """The addresses at which the servers say that they are well, by their names."""
    return {
        "prefect": f"{clients['PREFECT_API_URL']}/health",
        "mlflow": f"{clients['MLFLOW_TRACKING_URI']}/health",
    }


def end_lost_runs(address: str) -> None:
    """Have a Prefect server know that the runs under way in our work pool have crashed.

    It would take them for running for ever, and what waits for them would wait for ever. That it
    cannot be told is no reason not to work.
    """
    api = PrefectApi(address)
    try:
        for run in api.runs(*_UNDER_WAY, pool=POOL):
            api.crash(run["id"], _LOST)
            sys.stderr.write(f"The run {run['name']} ({run['id']}) has crashed. {_LOST}\n")
    except StageError as error:
        sys.stderr.write(f"Runs whose process is gone may still be shown as running. {error}\n")


def main(arguments: Sequence[str]) -> None:
    """Become a part: its name, and its command.

    A server that was killed may have left a child that holds its port. What a killed worker left
    are runs, which go on; if it left nothing, its runs are lost. A worker waits for the servers:
    Prefect's gives up when there is none yet, and each try costs seconds of imports.
    """
    part, *command = arguments
    folder = Path(os.environ[supervisord.FOLDER_MARK])
    if part == WORKER:
        while not all(map(answers, health(os.environ).values())):
            time.sleep(_PAUSE)
        if not _left(folder, part):
            end_lost_runs(os.environ["PREFECT_API_URL"])
        command += ["--name", worker_name(os.getpid())]
    else:
        supervisord.end(_left(folder, part), folder, _LEFT_SECONDS)
    os.execv(command[0], command)  # noqa: S606  the supervisor's own configuration


def _left(folder: Path, part: str) -> list[supervisord.Process]:
    """The processes that a part left when it was killed."""
    found = supervisord.processes(folder)
    return [process for process in found if process.part == part and process.pid != os.getpid()]


if __name__ == "__main__":
    main(sys.argv[1:])
