"""A lock on a file, freed when its process ends in whatever way."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_PAUSE = 0.5  # seconds between two looks


@contextlib.contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold the lock of a file, which stays empty; the folder has to be there.

    Yields:
        Whether it was free, or could not be asked for. It is not waited for.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("a"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # a file system without locks, or without room
            pass
        yield True


@contextlib.contextmanager
def waited_for(path: Path, busy: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a file once it is free; `busy` is called, once, if it is not."""
    told = False
    while True:
        with held(path) as free:
            if free:
                yield
                return
        if not told:
            told = True
            busy()
        time.sleep(_PAUSE)
