"""The worker of `incumbent up`: Prefect's own, once both servers answer.

Prefect's worker gives up when its server is not there yet, and each try costs seconds of imports.
It takes the place of this process, so that a process's number tells which worker it is.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

_ANSWER = 5  # seconds that a server may take to say that it is there
_PAUSE = 0.5  # seconds between two tries


def name(pid: int) -> str:
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


def health(clients: dict[str, str]) -> dict[str, str]:
    """The addresses at which the servers say that they are well, by their names."""
    return {
        "prefect": f"{clients['PREFECT_API_URL']}/health",
        "mlflow": f"{clients['MLFLOW_TRACKING_URI']}/health",
    }


def main(arguments: Sequence[str]) -> None:
    """Become a worker of a pool."""
    (pool,) = arguments
    clients = {key: os.environ[key] for key in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")}
    while not all(answers(address) for address in health(clients).values()):
        time.sleep(_PAUSE)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool]
    command += ["--type", "process", "--name", name(os.getpid())]
    os.execv(sys.executable, command)  # noqa: S606  a fixed command


if __name__ == "__main__":
    main(sys.argv[1:])
