"""Keep a training's metrics while MLflow is away, and send them when it is back.

A thread sends what was taken, in order, each with the time at which it was; the training never
waits for it. Only its end does, for as long as `tracking.patience` says.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from incumbent.errors import RegistryError, StoreAway
from incumbent.runtime.backoff import Backoff
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import Runs, measured

if TYPE_CHECKING:
    from mlflow.entities import Metric

_BATCH = 500  # metrics in one request; MLflow takes 1000
_INTERRUPTED = 2.0  # seconds for what is left, when someone waits for the process to end


class MetricsBuffer:
    """`with MetricsBuffer(runs, run) as metrics: metrics.log({"train_loss": 0.1}, step)`.

    Leaving the context waits until all is sent.

    Raises:
        StoreAway: on leaving, if MLflow is away for longer than its patience.
        RegistryError: if MLflow refuses the metrics.
    """

    def __init__(self, runs: Runs, run: Run) -> None:
        self._runs, self._run = runs, run
        self._taken: list[Metric] = []
        self._changed = threading.Condition()
        self._closed = threading.Event()  # nothing more is taken
        self._stopped = threading.Event()  # nothing more is sent
        self._refused: RegistryError | None = None
        self._away = ""
        self._thread = threading.Thread(target=self._send, name="metrics", daemon=True)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Take metrics of one step, to be sent when MLflow answers."""
        if self._refused is not None:
            raise self._refused
        with self._changed:
            self._taken += measured(metrics, step)
            self._changed.notify()

    def __enter__(self) -> MetricsBuffer:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:  # fmt: skip
        with self._changed:
            self._closed.set()
            self._changed.notify()
        interrupted = error is not None and not isinstance(error, Exception)
        try:
            self._thread.join(_INTERRUPTED if interrupted else self._runs.backoff.seconds + 1)
        finally:
            self._stopped.set()
        if error is not None:
            return  # and says more than what follows from it
        if self._refused is not None:
            raise self._refused
        if self._thread.is_alive():
            raise StoreAway(
                f"{len(self._taken):,} metrics of the training could not be logged within "
                f"{self._runs.backoff.seconds:g} s of its end (tracking.patience): {self._away}"
            )

    def _send(self) -> None:
        backoff = Backoff(f"MLflow at {self._runs.shown}", math.inf)
        while not self._stopped.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._taken or self._closed.is_set())
                batch = self._taken[:_BATCH]
            if not batch:
                return
            try:
                self._runs.send_metrics(self._run, batch)
            except StoreAway as error:
                self._away = str(error)
                backoff.wait(self._away, self._stopped.wait)
            except RegistryError as error:
                self._refused = error
                return
            else:
                backoff.answered()
                with self._changed:
                    del self._taken[: len(batch)]
