"""The process that forks: `python -m tests.forks ADDRESS OWNER KIND`.

It listens on a socket of the file system for requests in JSON, each with the standard streams of
the process to be: `module`, `arguments`, `folder`, `environment`, and `blocked` signals. It answers
with the exit status, as `os.waitpid` gives it, once there is one. The number of a signal that comes
on the connection is passed on. A fork is killed when who asked for it is gone, and all ends within
a second when the process OWNER does.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from tests.forks import LARGEST


def _load(kind: str) -> None:
    """Import what forks of a kind need."""
    from incumbent import environment

    environment.prepare()
    environment.quiet()
    with environment.importing():
        if kind == "training":
            from incumbent.classifiers import export, libraries, trainer, training  # noqa: F401

            libraries.load()
            from incumbent.classifiers import graph  # noqa: F401
        else:
            from incumbent import answering

            answering._load_libraries()


def main(address: str, owner: int, kind: str) -> None:
    """Import, and fork, until the owner is gone."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"{address}.draft")
    listener.listen(64)
    Path(f"{address}.draft").rename(address)  # whoever connects waits for the imports
    _load(kind)
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
    content, streams, _, _ = socket.recv_fds(connection, LARGEST, 3)
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
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
