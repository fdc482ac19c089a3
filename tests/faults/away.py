"""Servers that can be killed and come back at their address, and a proxy that loses answers."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.conftest import Place
from tests.small_servers import serving
from tests.web.browser import free_port

_ID = re.compile(r"/(?:m-)?[0-9a-f]{32}\b")
_START = 180  # seconds that a server may take to answer


class Killable:
    """A server of its own session: `kill` ends it at once, `start` has it at its address again."""

    def __init__(self, place: Place, command: list[str], address: str, health: str) -> None:
        self.address = address
        self._place, self._command, self._health = place, command, address + health
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        log = (self._place.folder / f"server-{urlsplit(self.address).port}.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                self._command, env=self._place.environment, cwd=self._place.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        if wait:
            until(self.answers, _START)

    def answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None
        try:
            with urllib.request.urlopen(self._health, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def mlflow(place: Place) -> Iterator[Killable]:
    """An MLflow server on the place's store."""
    port = free_port()
    (place.folder / "mlruns").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", place.store]
    command += ["--artifacts-destination", str(place.folder / "mlruns" / "artifacts")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    place.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    with _killable(place, command, f"http://127.0.0.1:{port}", "/health") as server:
        yield server


@contextmanager
def prefect(place: Place) -> Iterator[Killable]:
    """A Prefect server on the place's database; its address is without `/api`."""
    port = free_port()
    command = [sys.executable, "-m", "prefect", "server", "start"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with _killable(place, command, f"http://127.0.0.1:{port}", "/api/health") as server:
        yield server


@contextmanager
def _killable(place: Place, command: list[str], address: str, health: str) -> Iterator[Killable]:
    server = Killable(place, command, address, health)
    server.start(wait=False)
    try:
        yield server
    finally:
        server.kill()


def until(true: Callable[[], bool], seconds: float, log: Path | None = None) -> None:
    """Wait until something is true; a log says why it is not."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, log.read_text() if log else ""
        time.sleep(0.1)


@contextmanager
def losing_answers(address: str, *, reads: bool = False) -> Iterator[tuple[str, list[str]]]:
    """A proxy that passes on every request, and loses the first answer to each kind of it.

    Gives its address, and the requests whose answer was lost: writes, or all.
    """
    lost: list[str] = []
    target = urlsplit(address)

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            server.request(self.command, self.path, body, headers)
            answer = server.getresponse()
            content = answer.read()
            server.close()
            kind = f"{self.command} {self._kind()}"
            read = self.command == "GET" or "search" in kind
            if (reads or not read) and kind not in lost:
                lost.append(kind)
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _kind(self) -> str:
            """The path of an API, or that there are artifacts behind it."""
            path = urlsplit(self.path).path
            return "artifacts" if "mlflow-artifacts" in path else _ID.sub("/…", path)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815  by the library

        def log_message(self, *_: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    with serving(proxy) as address:
        yield address, lost
