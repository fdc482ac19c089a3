"""Clean processes that run one module each, and can be started before they are needed.

Imports take seconds, so such a process makes them first, and then waits for its one request, a line
of JSON on its standard input. It has to end when that input does: it ends with whoever started it,
however that ended.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import IO

from pydantic import BaseModel

_SCRATCH = "INCUMBENT_SCRATCH"  # the variable that names the folder for a process's temporary files


def listen() -> queue.SimpleQueue[str]:
    """Within such a process: through what its request will come. It ends when its input does."""
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    atexit.register(_clear_if_left, os.getppid())  # it may meet its closed output before its input
    threading.Thread(target=_pass_on, args=(requests,), daemon=True).start()
    return requests


def _pass_on(requests: queue.SimpleQueue[str]) -> None:
    read = b""
    while part := os.read(0, 65536):
        read += part
        if read.endswith(b"\n"):
            requests.put(read.decode())
            read = b""
    _clear()
    os._exit(1)


def _clear_if_left(parent: int) -> None:
    if os.getppid() != parent:
        _clear()


def _clear() -> None:
    """Delete the temporary files: whoever started this process was killed, and will not."""
    if scratch := os.environ.get(_SCRATCH):
        shutil.rmtree(scratch, ignore_errors=True)


class Process:
    """One of them.

    What it prints can be read if it `talks`, and then it lives in a session of its own and heeds no
    SIGTERM: a terminal's Ctrl-C, and signals to all processes, are for whoever started it, who
    passes them on in good order.
    """

    def __init__(self, module: str, *, talks: bool) -> None:
        theirs, ours = os.pipe()
        self._requests = os.fdopen(ours, "w", encoding="utf-8")
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        # TensorFlow writes its compiled functions to files, which a killed process leaves there.
        self._scratch = tempfile.TemporaryDirectory(prefix="incumbent-", ignore_cleanup_errors=True)
        # A process inherits what the thread that starts it blocks.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM} if talks else set())
        try:
            self.process: subprocess.Popen[str] = subprocess.Popen(  # noqa: S603  ours
                [sys.executable, "-m", module], stdin=theirs, stderr=self._errors, text=True,
                stdout=subprocess.PIPE if talks else subprocess.DEVNULL, start_new_session=talks,
                env={**os.environ, "TMPDIR": self._scratch.name, _SCRATCH: self._scratch.name},
            )  # fmt: skip
        finally:
            os.close(theirs)
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def ended(self) -> bool:
        """Whether it has ended, asked or not."""
        return self.process.poll() is not None

    def ask(self, request: BaseModel) -> None:
        """Hand over the request; if the process is gone, its exit code says why."""
        with contextlib.suppress(BrokenPipeError):
            self._requests.write(request.model_dump_json() + "\n")
            self._requests.flush()

    @property
    def said(self) -> IO[str]:
        """What it prints, if it talks."""
        if self.process.stdout is None:
            raise TypeError("this process does not talk")
        return self.process.stdout

    def errors(self) -> str:
        """What it has written to standard error."""
        self._errors.seek(0)
        return self._errors.read()

    def end(self) -> None:
        """See that it is gone, whatever it was doing."""
        self.process.kill()
        self.process.wait()
        self._errors.close()
        self._scratch.cleanup()
        if self.process.stdout:
            self.process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()


class Ahead:
    """The processes of one module, of which one may be started ahead.

    Args:
        module: Its name.
        talks: Whether what it prints is to be read; see `Process`.
    """

    def __init__(self, module: str, *, talks: bool = False) -> None:
        self._module, self._talks = module, talks
        self._ahead: ContextVar[list[Process] | None] = ContextVar(module, default=None)

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """Within this context one may be started ahead; if none asks it, it ends here."""
        if self._ahead.get() is not None:  # within another such context
            yield
            return
        waiting: list[Process] = []
        token = self._ahead.set(waiting)
        try:
            yield
        finally:
            self._ahead.reset(token)
            for process in waiting:
                process.end()

    def expect(self) -> None:
        """Start the next one now, where that is allowed and none waits already."""
        waiting = self._ahead.get()
        if waiting is not None and not waiting:
            waiting.append(self._start())

    @contextlib.contextmanager
    def taken(self) -> Iterator[Process]:
        """The one that waits, unless it was killed meanwhile; else a new one. It ends here."""
        waiting = self._ahead.get()
        process = waiting.pop() if waiting else self._start()
        try:
            if process.ended():
                process.end()
                process = self._start()
            yield process
        finally:
            process.end()

    def _start(self) -> Process:
        return Process(self._module, talks=self._talks)
