"""Time limits of stages and flows, so that none hangs for ever.

Two clocks. An alarm raises in the main thread, so that the stage unwinds as it does when it fails;
Python delivers it between two of its instructions, that is after the step that TensorFlow is at.
Code that never comes back to Python is ended with the process, by a thread that needs no Python
(`faulthandler`): it writes where each thread hangs, and what the process started ends with it.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from incumbent.errors import StageTimedOut

_AGAIN = 30.0  # seconds after which the alarm is raised again, if a library swallowed it
_UNWINDING = 300.0  # seconds that a stage has to unwind before the process ends
_STDERR = 2
_REMEDY = (
    "Something that it asks does not answer: look at the mounts, stores and servers that it uses, "
    "and run it again."
)


def within(stage: str, hours: float, key: str) -> AbstractContextManager[None]:
    """Limit the time of a stage; in another thread than the main one it is not limited.

    Args:
        stage: Its name.
        hours: How long it may take.
        key: The key of the config that says so.

    Raises:
        StageTimedOut: once it took so long.
    """
    return _limited(
        hours,
        f"The stage {stage} took longer than {key} allows ({hours:g} hours), and was ended. If it "
        f"needs that long, set {key} higher; what is done stays.",
    )


def whole(flow: str, hours: float, remedy: str = _REMEDY) -> AbstractContextManager[None]:
    """Limit the time of a flow that has no stages, as `within` does that of a stage.

    A flow that hangs would keep its deployment's slot, and each later run be cancelled unseen.

    Args:
        flow: Its name.
        hours: How long it may take.
        remedy: What to do if it takes longer.

    Raises:
        StageTimedOut: once it took so long.
    """
    taken = f"{hours:g} hours" if hours >= 1 else f"{60 * hours:g} minutes"
    return _limited(hours, f"The flow {flow} took longer than {taken}, and was ended. {remedy}")


@contextmanager
def _limited(hours: float, message: str) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    error = StageTimedOut(message)
    rung = False

    def ring(_number: int, _frame: FrameType | None) -> None:
        nonlocal rung
        rung = True
        raise error

    seconds = 3600 * hours
    before, start = signal.signal(signal.SIGALRM, ring), time.monotonic()
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    faulthandler.dump_traceback_later(seconds + _UNWINDING, exit=True, file=_STDERR)
    try:
        yield
    except Exception as raised:
        if rung and raised is not error:  # a library took it for a failure of its own
            raise error from raised
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, signal.SIG_DFL if before is None else before)
        if left:  # someone else's alarm
            signal.setitimer(
                signal.ITIMER_REAL, max(left - (time.monotonic() - start), sys.float_info.epsilon)
            )
