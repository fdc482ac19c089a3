"""The processes of the faults: the command at work, and the servers that it is given."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ROOT

PATIENCE = 900.0  # seconds that a run may take on a busy machine before it counts as hung
START = 180.0  # seconds that a server or the zygote may take to start


class Run:
    """The command at work, in a session of its own."""

    def __init__(self, files: Path, process: subprocess.Popen[bytes] | None = None) -> None:
        self.files = files
        self.process = process

    @property
    def pid(self) -> int:
        if self.process:
            return self.process.pid
        file = self.files.with_suffix(".pid")
        until(file.exists, 60)
        return int(file.read_text(encoding="utf-8"))

    @property
    def out(self) -> str:
        return _read(self.files.with_suffix(".out"))

    @property
    def err(self) -> str:
        return _read(self.files.with_suffix(".err"))

    @property
    def code(self) -> int | None:
        """The exit code; negative if a signal ended it, None if it has not ended."""
        if self.process:
            return self.process.poll()
        end = self.files.with_suffix(".end")
        if not end.exists():
            return None
        return os.waitstatus_to_exitcode(int(end.read_text(encoding="utf-8").split()[0]))

    @property
    def peak(self) -> float:
        """The most memory used, in MiB; of forks only."""
        return int(_read(self.files.with_suffix(".end")).split()[1]) / 1024

    def says(self, words: str, seconds: float = PATIENCE) -> bool:
        """Wait until it says something; whether it did before it ended."""
        until(lambda: words in self.err or self.code is not None, seconds)
        return words in self.err

    def end(self, seconds: float = PATIENCE) -> int | None:
        """Wait for the end; None if it has to be killed after so many seconds."""
        if until(lambda: self.code is not None, seconds):
            return self.code
        self.kill()
        return None

    def kill(self) -> None:
        """SIGKILL, to this process alone: its children have to notice."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        until(lambda: self.code is not None, 60)


def prefect(environment: dict[str, str], port: int, folder: Path) -> subprocess.Popen[bytes]:
    """Start a Prefect server; it ends with this process."""
    with (folder / "prefect.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "incumbent.servers.temporary_prefect_server", str(port)],
            cwd=ROOT, env={k: v for k, v in environment.items() if k != "PREFECT_API_URL"},
            stdin=subprocess.PIPE, stdout=log, stderr=log,
        )  # fmt: skip


def free_port() -> int:
    """A port of the loopback interface that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(url: str, seconds: float = START) -> None:
    """Wait until a server answers."""

    def asked() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except OSError:
            return False

    assert until(asked, seconds), f"nothing answers at {url}"


def tail(run: Run) -> str:
    """The last that a run said, in short."""
    return run.err.strip()[-400:]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is true; whether it came to be."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
