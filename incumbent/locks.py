"""A lock that ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


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
