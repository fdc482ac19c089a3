"""Processes that have ktrain and TensorFlow from their first moment.

The import takes longer than most of what tests train. So one process makes it, for all workers of a
run, and runs modules in forks of itself, each as `python -m` would. TensorFlow makes its threads
when a model is built, which only the forks do.

Run as a module, this is that process: `python -m tests.forks ADDRESS OWNER`. It listens on a socket
of the file system for lines of JSON, each with the standard streams of the process to be: `module`,
`arguments`, `folder`, `environment`, and `blocked` signals. It answers with the exit status, as
`os.waitpid` gives it, once there is one. The number of a signal that comes on the connection is
passed on. A fork is killed when who asked for it is gone, and all ends within a second when the
process OWNER does.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parent.parent
ADDRESS = "TESTS_FORKS"
"""The variable that tells a process where to ask for a fork."""
_LARGEST = 1 << 20  # bytes of a request


@dataclass(frozen=True)
class Forks:
    """Where to ask for them."""

    address: str

    @classmethod
    def of(cls, folder: Path) -> Forks:
        return cls(str(folder / "socket"))

    @staticmethod
    def start(folder: Path) -> None:
        """Start the process that they are forks of; it imports while others go on."""
        owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
        address = folder / "socket"
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.forks", str(address), str(owner)],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        while not address.exists():
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.02)

    def announce(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Tell processes that are started from here on."""
        monkeypatch.setenv(ADDRESS, self.address)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(
        self, module: str, *arguments: object, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a module in a fork, to its end."""
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as out,
            tempfile.TemporaryFile("w+", encoding="utf-8") as err,
            Path(os.devnull).open() as nothing,
        ):
            given = [str(argument) for argument in arguments]
            streams = nothing.fileno(), out.fileno(), err.fileno()
            with ask(self.address, module, given, os.environ | environment, streams) as asked:
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
    asked.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
    asked.connect(address)
    socket.send_fds(asked, [json.dumps(request).encode()], list(streams))
    return asked


def wait(asked: socket.socket) -> int:
    """Wait for the end of a fork; gives its status."""
    answer = asked.recv(64)
    assert answer, "the process that forks is gone; its log is beside its socket"
    return int(answer)


def main(address: str, owner: int) -> None:
    """Import, and fork, until the owner is gone."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"{address}.draft")
    listener.listen(64)
    Path(f"{address}.draft").rename(address)  # whoever connects waits for the imports

    from incumbent import environment
    from incumbent.classifiers import libraries

    environment.prepare()
    environment.quiet()
    with environment.importing():
        libraries.load()
        from incumbent.classifiers import export, graph, trainer, training  # noqa: F401
    asked: dict[int, socket.socket] = {}  # by the file descriptor of its process
    pids: dict[int, int] = {}
    while _runs(owner):
        ready, _, _ = select.select([listener, *asked, *asked.values()], [], [], 1)
        for one in ready:
            if one is listener:
                connection, _ = listener.accept()
                if pid := _fork(connection, listener):
                    process = os.pidfd_open(pid)
                    asked[process], pids[process] = connection, pid
        for process, connection in list(asked.items()):
            if process in ready:
                _, status = os.waitpid(pids[process], 0)
                with contextlib.suppress(OSError):
                    connection.send(str(status).encode())
                connection.close()
                os.close(process)
                del asked[process], pids[process]
            elif connection in ready:
                number = connection.recv(64) or signal.SIGKILL.value  # who asked is gone
                os.kill(pids[process], int(number))
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _fork(connection: socket.socket, listener: socket.socket) -> int:
    """Fork as a connection asks; gives the process, or 0 if nobody asks any more."""
    content, streams, _, _ = socket.recv_fds(connection, _LARGEST, 3)
    if not content:
        connection.close()
        return 0
    pid = os.fork()
    if pid == 0:
        listener.close()
        connection.close()
        os._exit(_become(json.loads(content), streams))
    for stream in streams:
        os.close(stream)
    return pid


def _become(request: dict[str, Any], streams: list[int]) -> int:
    """Be the process that was asked for; gives its exit code."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    tempfile.tempdir = None
    # A run in the background of a shell ignores it, and so did the process that forks.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
    _seed_anew()
    sys.argv[1:] = request["arguments"]
    code = 0
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  as at the end of Python
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


def _seed_anew() -> None:
    """Else all forks would draw the same."""
    import random

    import numpy as np

    random.seed()
    np.random.seed()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
