"""Being told to stop, by Ctrl-C or by SIGTERM, without leaving anything behind."""

from __future__ import annotations

import contextvars
import signal
import threading
import time
from types import FrameType

_STOP_SECONDS = 10


def listen() -> None:
    """Make SIGTERM interrupt as Ctrl-C does, so that the stages unwind and servers are stopped.

    While a flow runs Prefect has a handler of its own, which unwinds the flow and then calls
    this one.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)


def ignore() -> None:
    """Let what is left of the process, a few seconds of tidying up, not be interrupted again."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def caused(error: BaseException) -> bool:
    """Whether an interrupt is among what led to an error.

    Unwinding can fail too, or a library can turn the interrupt into an error of its own.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        if isinstance(one, KeyboardInterrupt):
            return True
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
    return False


def start_server() -> None:
    """Start the Prefect server that a flow needs, if it has none, out of reach of Ctrl-C.

    A terminal sends SIGINT to the server too; it would be gone before the flow's end can be
    reported to it. Processes inherit the signals that the thread they are started in blocks, so
    the server is started in a thread that blocks SIGINT. With SIGTERM Prefect stops it when this
    process exits.
    """
    from prefect.client.orchestration import get_client
    from prefect.server.api.server import SubprocessASGIServer

    server = SubprocessASGIServer()  # the one that `get_client` starts, if it starts any
    failures: list[Exception] = []
    done = threading.Event()  # an interrupted `Thread.join` takes the thread for ended

    def start() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
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


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
