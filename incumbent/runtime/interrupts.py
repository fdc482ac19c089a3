"""Ctrl-C and SIGTERM: stop soon, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN = 0.2  # seconds after which a swallowed interrupt is sent again
_PATIENCE = 10.0  # seconds for which an interrupt is held back at most


def listen() -> None:
    """Make SIGTERM interrupt as Ctrl-C does, so that the stages unwind and servers are stopped.

    While a flow runs Prefect has a handler of its own, which unwinds the flow and then calls
    this one.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
        if not isinstance(sys.unraisablehook, _Insist):
            sys.unraisablehook = _Insist(sys.unraisablehook)


def ignore() -> None:
    """Let what is left of the process, a few seconds of tidying up, not be interrupted again."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def forget() -> None:
    """Let the process end with the exit code that it is given.

    CPython notes an interrupt that leaves an `exec` of source, of which imports make many, and then
    ends `python -m` by SIGINT though the interrupt was caught; the next `exec` clears that
    (`run_eval_code_obj` in pythonrun.c).
    """
    exec("")  # noqa: S102


class Hold:
    """Holds an interrupt back until work is at a good point, for ten seconds or until the next.

    Attributes:
        told: Whether there is one to let through.
    """

    def __init__(self) -> None:
        self.told = False
        self._handlers: dict[int, Any] = {}
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Hold back what comes, outside the main thread nothing."""
        if not self._handlers and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._handlers[number] = signal.signal(number, self._note)

    def end(self) -> None:
        """Let through what came, and what comes."""
        handlers, self._handlers = self._handlers, {}
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self._timer is not None:
            self._timer.cancel()
        if self.told:
            self.told = False
            signal.raise_signal(self._number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.told:
            self.end()
            return
        self.told, self._number = True, number
        self._timer = threading.Timer(_PATIENCE, os.kill, (os.getpid(), number))
        self._timer.daemon = True
        self._timer.start()


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
        if isinstance(one, (KeyboardInterrupt, *_by_prefect())):
            return True
        seen.add(id(one))
        waiting += [one.__cause__, one.__context__]
    return False


def _by_prefect() -> tuple[type[BaseException], ...]:
    """What Prefect's handler raises while a flow runs; none if Prefect is not in use."""
    known = sys.modules.get("prefect.exceptions")
    return (known.TerminationSignal,) if known else ()


class _Insist:
    """Sends an interrupt again that Python swallowed, as it was raised while a finalizer ran.

    Keras makes and drops many weak references in each step, so one signal in a few meets one.
    """

    def __init__(self, otherwise: Callable[[UnraisableHookArgs], object]) -> None:
        self._otherwise = otherwise

    def __call__(self, swallowed: UnraisableHookArgs) -> None:
        error = swallowed.exc_value
        if error is None or not caused(error):
            self._otherwise(swallowed)
            return
        number = signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM
        threading.Timer(_AGAIN, os.kill, (os.getpid(), number)).start()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
