"""Import ktrain and TensorFlow without what they print."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace

import numpy as np

from incumbent.runtime import environment


def load() -> None:
    """Import ktrain (and with it TensorFlow and transformers), once, quietly.

    TensorFlow's C++ side writes to file descriptor 2 before its log level is read, so the
    descriptor itself is turned away meanwhile; if the import fails, what was written is shown.
    """
    if not hasattr(np, "Inf"):
        # NumPy 2 took the name away; ktrain 0.41.4 sets out from it at each `fit_onecycle` and
        # `autofit` (lroptimize/triangular.py, line 133).
        np.Inf = np.inf  # type: ignore[attr-defined]
    if "ktrain" in sys.modules:
        return
    with importing():
        import ktrain  # noqa: F401


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Within this context, import TensorFlow or what is made of it without what it writes."""
    environment.prepare()
    sys.stderr.flush()
    saved = os.dup(2)
    with uninterrupted(), tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        except BaseException:
            written.seek(0)
            os.write(saved, written.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
    environment.prepare()  # the imports turned their loggers on again


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what ktrain and Keras print and warn of from the user."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        np.errstate(all="ignore"),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def scratch() -> Iterator[None]:
    """Remove the copies of the weights that ktrain leaves in the temporary folder.

    Each learner and each run of the finder saves one, and keeps its file open.
    """
    from ktrain import core
    from ktrain.lroptimize import lrfinder

    with tempfile.TemporaryDirectory(prefix="incumbent-") as folder:

        def mkstemp() -> tuple[int, str]:
            handle, path = tempfile.mkstemp(dir=folder)
            os.close(handle)
            return handle, path

        stand_in = SimpleNamespace(mkstemp=mkstemp, mkdtemp=partial(tempfile.mkdtemp, dir=folder))
        core.tempfile = lrfinder.tempfile = stand_in
        try:
            yield
        finally:
            core.tempfile = lrfinder.tempfile = tempfile


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM: ktrain's bare `except:` clauses swallow what they raise."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _frame: held.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if held:
        signal.raise_signal(held[0])
