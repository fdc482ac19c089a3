"""Being told to stop, by Ctrl-C or by SIGTERM, without leaving anything behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN = 0.2  # seconds after which a swallowed interrupt is sent again


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
