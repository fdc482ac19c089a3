"""A store whose file is locked, read-only or full; metrics with odd times; answers after a wait."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from incumbent.config import TrackingConfig
from incumbent.errors import RegistryError, StoreAway
from incumbent.tracking.metrics_buffer import MetricsBuffer
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_writes import Registry
from tests.faults.processes import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store that has been opened once."""
    file = tmp_path_factory.mktemp("store") / "mlruns" / "mlflow.db"
    file.parent.mkdir()
    Runs(uri=f"sqlite:///{file}")
    return file


def _runs(store: Path, patience: float = 60) -> tuple[Runs, Run]:
    runs = Runs(TrackingConfig(patience=patience), uri=f"sqlite:///{store}")
    return runs, runs.start_run("reviews", {}, "a run")


@pytest.fixture
def hasty_mlflow() -> Iterator[None]:
    """MLflow itself waits a second for a lock, and not 20."""

    def shortened(_connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> Any:
        return statement.replace("busy_timeout = 20000", "busy_timeout = 1000"), given

    event.listen(Engine, "before_cursor_execute", shortened, retval=True)
    yield
    event.remove(Engine, "before_cursor_execute", shortened)


@contextmanager
def _locked(store: Path) -> Iterator[Callable[[], None]]:
    """Another process holds the file, until it is told to let it go."""
    code = (
        "import sqlite3, sys, time\n"
        f"database = sqlite3.connect({str(store)!r}, isolation_level=None)\n"
        "database.execute('BEGIN EXCLUSIVE')\n"
        "print('locked', flush=True)\n"
        "time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield holder.kill
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_a_lock_is_waited_for_by_whom_it_may_and_training_goes_on(
    store: Path, hasty_mlflow: None, caplog: pytest.LogCaptureFixture
) -> None:
    runs, run = _runs(store)
    hasty, other = _runs(store, patience=0)[0], _runs(store)[0]
    refused: list[str] = []

    def tag_in_haste() -> None:
        try:
            hasty.tag(run, {"in": "haste"})
        except StoreAway as error:
            refused.append(str(error))

    threads = [
        threading.Thread(target=tag_in_haste),
        threading.Thread(target=runs.tag, args=(run, {"with": "patience"})),
    ]
    with _locked(store) as let_go:
        for thread in threads:
            thread.start()
        start = time.monotonic()
        with MetricsBuffer(other, run) as metrics:
            for step in range(200):
                metrics.log({"train_loss": 1 / (step + 1)}, step)
            assert time.monotonic() - start < 3
            # MLflow gave up for all three, and two are waited for.
            threads[0].join()
            waiting = [message for message in caplog.messages if "is away since" in message]
            assert until(lambda: caplog.text.count("is away since") == 2, 60), waiting
            let_go()
        threads[1].join()
    (said,) = refused
    assert said == (
        f"MLflow at sqlite:///{store} could not tag the run: database is locked. Another process "
        "holds it: find it with `fuser`, or a backup that hangs."
    )
    assert runs.tags(run.run_id)["with"] == "patience"
    history = runs.client.get_metric_history(run.run_id, "train_loss")
    assert [metric.step for metric in history] == list(range(200))
    # Each as it was taken, not as it was sent.
    assert max(m.timestamp for m in history) < min(m.timestamp for m in history) + 3000


def test_metrics_that_cannot_be_sent_within_the_patience_are_said(store: Path) -> None:
    runs, run = _runs(store, patience=1)
    with (
        _locked(store),
        pytest.raises(StoreAway, match="metrics of the training could not be logged within 1 s"),
        MetricsBuffer(runs, run) as metrics,
    ):
        metrics.log({"train_loss": 0.5}, 1)


def test_an_interrupt_does_not_wait_for_the_store(store: Path) -> None:
    runs, run = _runs(store)
    start = time.monotonic()

    def interrupted() -> None:
        with MetricsBuffer(runs, run) as metrics:
            metrics.log({"train_loss": 0.5}, 1)
            raise KeyboardInterrupt

    with _locked(store), pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - start < 10


def test_a_store_that_is_read_only_is_said_at_once(tmp_path: Path, store: Path) -> None:
    """Root writes where it must not, so the file is opened as what it is for others."""
    copy = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(store)) as database, closing(sqlite3.connect(copy)) as target:
        database.backup(target)
    runs = Runs(uri=f"sqlite:///file:{copy}?mode=ro&uri=true")
    start = time.monotonic()
    with pytest.raises(RegistryError, match="make both writable") as caught:
        runs.start_run("reviews", {}, "a run")
    assert not isinstance(caught.value, StoreAway)
    assert time.monotonic() - start < 30


def test_a_metric_from_the_future_does_not_break_the_order(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, run = _runs(store)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 10 * 365 * 86_400)
    runs.log_metrics(run, {"train_loss": 2.0}, 1)
    monkeypatch.undo()
    runs.log_metrics(run, {"train_loss": 1.0}, 2)
    assert runs.metrics(run.run_id)["train_loss"] == 1.0


def test_an_entry_whose_answer_was_lost_is_written_once(store: Path) -> None:
    registry = Registry(uri=f"sqlite:///{store}")
    entry = {"incumbent.entry": '{"after": 0}'}
    first = registry.append("lost.ledger", entry, None, "decision", "text")
    assert registry.append("lost.ledger", entry, None, "decision", "text") == first
    assert [v.version for v in registry.versions("lost.ledger")] == [first]
