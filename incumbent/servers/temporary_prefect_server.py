"""The Prefect server that a flow reports to: the one named, or one for this run alone.

Run as a module, this is the server for one run. Prefect would start uvicorn instead, which a signal
to all processes of the command (a terminal's Ctrl-C, `timeout`, systemd) ends before the flow's end
can be reported to it. This one heeds no such signal, and ends when its standard input does: with
whoever started it, however that ended.
"""

from __future__ import annotations

import contextvars
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from incumbent.errors import StageError
from incumbent.runtime import environment
from incumbent.runtime.server_login import AUTH
from incumbent.servers import prefect_outages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.server.api.server import SubprocessASGIServer
    from uvicorn import Server


_ANSWER = 10  # seconds that a server may take to say that it is there
_STOP_SECONDS = 10


def reach() -> str | None:
    """The address in PREFECT_API_URL, once the server there has answered; None if there is none.

    Raises:
        StageError: if it does not answer: Prefect's own error blames nobody.
    """
    from httpx import HTTPStatusError
    from prefect.client.orchestration import get_client
    from prefect.settings import (
        PREFECT_API_REQUEST_TIMEOUT,
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    address: str | None = PREFECT_API_URL.value()
    if not address:
        return None
    # By Prefect's client, which has the credentials and certificates; it would try for a minute.
    with temporary_settings({PREFECT_API_REQUEST_TIMEOUT: _ANSWER, PREFECT_CLIENT_MAX_RETRIES: 0}):
        client = get_client(sync_client=True)
        error = client.api_healthcheck() or _refusal(client)
    if isinstance(error, HTTPStatusError) and error.response.status_code == HTTPStatus.UNAUTHORIZED:
        raise StageError(
            f"The Prefect server at {address} asks for a login, and was given none or another: set "
            f"{AUTH} to its user:password, or PREFECT_API_AUTH_STRING."
        )
    if error is not None:
        raise StageError(
            f"No Prefect server answers at {address} ({error or type(error).__name__}). Start it "
            "with `prefect server start`, or correct or unset PREFECT_API_URL; without it each run "
            "starts a server of its own."
        )
    return address


def _refusal(client: SyncPrefectClient) -> Exception | None:
    """What comes of a request that wants a login, as a question about its health does not."""
    try:
        client.api_version()
    except Exception as error:  # noqa: BLE001  httpx has several
        return error
    return None


def start(meanwhile: Callable[[], None]) -> None:
    """Start the server that a flow needs, if PREFECT_API_URL names none.

    Processes inherit the signals that the thread they are started in blocks, so the server is
    started in a thread that blocks those which end it.

    Args:
        meanwhile: Work for the seconds that a server takes to start.

    Raises:
        StageError: if PREFECT_API_URL names one that does not answer.
    """
    if reach():
        return
    from prefect.client.orchestration import get_client

    server = _for_one_run()  # the one that `get_client` finds and starts
    failures: list[Exception] = []
    done = threading.Event()  # an interrupted `Thread.join` takes the thread for ended

    def start() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            get_client(sync_client=True)
        except Exception as error:  # noqa: BLE001  raised below, in the thread that asked
            failures.append(error)
        finally:
            done.set()

    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(start,), name="prefect-server", daemon=True
    )
    thread.start()
    try:
        meanwhile()
        done.wait()
    except KeyboardInterrupt:
        # The thread has to end: the exit of Python aborts one that it finds busy in a library.
        end = time.monotonic() + _STOP_SECONDS
        while not done.is_set() and time.monotonic() < end:
            server.stop()
            done.wait(timeout=0.2)
        raise
    if failures:
        raise failures[0]


@contextmanager
def errors() -> Iterator[None]:
    """Name the server that went away for longer than Prefect's client tries.

    Raises:
        StageError: if it did.
    """
    import httpx
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES

    try:
        yield
    except httpx.HTTPError as error:
        raise StageError(
            f"{prefect_outages.named()} went away ({prefect_outages.reason(error)}), for longer "
            f"than PREFECT_CLIENT_MAX_RETRIES ({PREFECT_CLIENT_MAX_RETRIES.value()}) tries took. "
            "Start it, then run again: what is done stays."
        ) from error


def _for_one_run() -> SubprocessASGIServer:
    """Prefect's own temporary server, run by this module instead of uvicorn's command line."""
    from prefect.server.api.server import SubprocessASGIServer
    from prefect.settings import get_current_settings

    class OneRunServer(SubprocessASGIServer):
        def _run_uvicorn_command(self) -> subprocess.Popen[Any]:
            # As in Prefect 3.9, but for the command and its standard input.
            settings = get_current_settings().to_environment_variables(exclude_unset=True)
            ephemeral = {
                "PREFECT_UI_ENABLED": "0",
                "PREFECT__SERVER_EPHEMERAL": "1",
                "PREFECT__SERVER_FINAL": "1",
            }
            return subprocess.Popen(  # noqa: S603  a fixed command
                [sys.executable, "-m", __name__, str(self.port)],
                env={**os.environ, **ephemeral, **settings},
                stdin=subprocess.PIPE,
            )

        def stop(self) -> None:
            if self.server_process and self.server_process.stdin:
                self.server_process.stdin.close()
            super().stop()

    return OneRunServer()


def _serve(port: int) -> None:
    import uvicorn

    app = "prefect.server.api.server:create_app"
    server = uvicorn.Server(
        uvicorn.Config(app, factory=True, port=port, log_level="error", lifespan="on")
    )
    threading.Thread(target=_end_with_input, args=(server,), daemon=True).start()
    with environment.importing():
        import prefect.server.api.server  # noqa: F401
        from prefect.server.services.perpetual_services import perpetual_service
        from prefect.server.services.repossessor import monitor_expired_leases
    # Its database may be that of a server with limits, and a killed run's slot be free in no other
    # way: by itself Prefect looks for expired leases in servers that last.
    perpetual_service(enabled_getter=lambda: True, run_in_ephemeral=True)(monitor_expired_leases)
    server.run()
    gc.freeze()  # the end of Python would look through all objects, while a command waits for it


def _end_with_input(server: Server) -> None:
    sys.stdin.buffer.read()
    if not server.started:  # and would first take its time to start
        os._exit(0)
    server.should_exit = True


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
