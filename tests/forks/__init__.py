"""Processes that have their libraries from the first moment, as forks of one that imported them.

The imports take longer than most of what tests train and ask. So one process of each kind makes
them, for all workers of a run, and runs modules in forks of itself, each as `python -m` would
(`__main__`). TensorFlow and onnxruntime make their threads when a model is built, which only the
forks do.

`training` and `answering` stand in for the modules that incumbent runs in processes of their own,
which the environment names.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LARGEST = 1 << 20  # bytes of a request
_ADDRESS, _MODULE = "FORKS_{}", "FORKED_{}"  # variables, by the kind


@dataclass(frozen=True)
class Forks:
    """Where to ask for forks of one kind: `training` has TensorFlow, `answering` MLflow."""

    kind: str
    address: str

    @classmethod
    def of(cls, folder: Path) -> Forks:
        return cls(folder.name, str(folder / "socket"))

    @staticmethod
    def start(folder: Path) -> None:
        """Start the process that they are forks of; it imports while others go on."""
        owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
        address = folder / "socket"
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.forks", str(address), str(owner), folder.name],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        while not address.exists():
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.02)

    def environment(self, module: str) -> dict[str, str]:
        """What a process needs in its environment to stand in for a module."""
        return {
            _ADDRESS.format(self.kind): self.address, _MODULE.format(self.kind): module,
            "PYTHONPATH": str(ROOT),
        }  # fmt: skip

    def run(self, module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a module in a fork, to its end."""
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as out,
            tempfile.TemporaryFile("w+", encoding="utf-8") as err,
            Path(os.devnull).open() as nothing,
        ):
            given = [str(argument) for argument in arguments]
            streams = nothing.fileno(), out.fileno(), err.fileno()
            with ask(self.address, module, given, os.environ, streams) as asked:
                code = os.waitstatus_to_exitcode(wait(asked))
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess([module, *given], code, out.read(), err.read())


def ask(
    address: str, module: str, arguments: Sequence[str], environment: Mapping[str, str],
    streams: Sequence[int],
) -> socket.socket:  # fmt: skip
    """Ask for a fork, which lives as long as the connection."""
    request = {
        "module": module, "arguments": list(arguments), "folder": str(Path.cwd()),
        "environment": dict(environment),
        "blocked": [int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
    }  # fmt: skip
    asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asked.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    asked.connect(address)
    socket.send_fds(asked, [json.dumps(request).encode()], list(streams))
    return asked


def wait(asked: socket.socket) -> int:
    """Wait for the end of a fork; gives its status."""
    answer = asked.recv(64)
    assert answer, "the process that forks is gone; its log is beside its socket"
    return int(answer)


def stand_in(kind: str) -> None:
    """Be a module that runs in a fork: pass SIGINT on, and end as it does.

    Killed, this process takes the fork with it.
    """
    address, module = (os.environ[name.format(kind)] for name in (_ADDRESS, _MODULE))
    with ask(address, module, sys.argv[1:], os.environ, (0, 1, 2)) as asked:
        signal.signal(signal.SIGINT, lambda *_: asked.send(str(signal.SIGINT.value).encode()))
        for stream in (0, 1):  # the fork's alone, so that their ends are seen
            os.close(stream)
        code = os.waitstatus_to_exitcode(wait(asked))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
