"""What tests share: a place of their own, and one real retraining on a few hundred reviews."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import absl.logging
import pytest

from incumbent import environment
from tests import shared, warm

# A shell has what it starts in the background ignore Ctrl-C, and children inherit that: the tests
# that send one would try `nohup`.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

environment.prepare()
# TensorFlow's log handler keeps the stream it is made with, and closes it when Prefect sets up
# logging, unless it is the interpreter's own; pytest's would be gone for all that follows.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

ROOT = Path(__file__).parent.parent
# Enough to beat the baseline with real weights, in half a minute of training.
SMALL = (
    "data.sample=600", "training.epochs=3", "training.learning_rate=3e-4",
    "training.freeze_embeddings=true", "evaluation.bootstrap_samples=200",
)  # fmt: skip


class Place:
    """A folder with a store and a Prefect home of its own, and the command run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = f"sqlite:///{folder}/mlruns/mlflow.db"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_"))},
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        }

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run `incumbent` as a user does, in this folder."""
        return subprocess.run(
            [sys.executable, "-m", "incumbent", *arguments],
            cwd=self.folder, env={**self.environment, **settings},
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def json(self, *arguments: str) -> Any:
        """Run `incumbent … --json` and give the one document that it prints."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    def begin_with(self, databases: Path) -> None:
        """Have new databases here, for which the first command would take its time."""
        for name, folder in (("mlflow.db", "mlruns"), ("prefect.db", "prefect")):
            (self.folder / folder).mkdir()
            shutil.copy(databases / name, self.folder / folder)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty place."""
    return Place(tmp_path)


@pytest.fixture(scope="session")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what all workers of this run share; see `shared`."""
    return shared.folder(tmp_path_factory)


@pytest.fixture(scope="session")
def helper() -> Iterator[warm.Helper]:
    """Who has imported all libraries, and forks."""
    with warm.started() as helper:
        yield helper


@pytest.fixture(scope="module")
def warmed(helper: warm.Helper) -> Iterator[None]:
    """`subprocess` forks the command and its kind, instead of importing all again."""
    with warm.patched(helper):
        yield


@pytest.fixture(scope="session")
def databases(together: Path) -> Path:
    """A folder with a new `mlflow.db` and a new `prefect.db`."""
    return shared.once(together / "databases", shared.make_databases)


@pytest.fixture
def begun(place: Place, databases: Path) -> Place:
    """A place with new databases and nothing else."""
    place.begin_with(databases)
    return place


def settings(*overrides: str) -> list[str]:
    """Overrides as `--set` options."""
    return [part for override in overrides for part in ("--set", override)]


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, dict[str, Any]]:
    """A place where one retraining on real reviews, with the real weights, made a champion."""
    place = Place(tmp_path_factory.mktemp("retrained"))
    outcome = place.json("retrain", *settings(*SMALL))
    return place, outcome


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """One ephemeral Prefect server, with a database and results of its own."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=None):
        _log_to_current_stderr()
        yield
        _log_to_current_stderr()


class _CurrentStderr:
    """Whatever standard error is at the moment: pytest gives each test another."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return False


def _log_to_current_stderr() -> None:
    """Prefect's console handlers keep the standard error that they were made with."""
    from prefect.logging.handlers import PrefectConsoleHandler

    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        if isinstance(handler, PrefectConsoleHandler):
            handler.console.file = _CurrentStderr()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no addresses from outside."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):  # MLflow sets them itself
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def command(
    here: Path, prefect_server: None, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`incumbent` in this process: gives the exit code, standard output and standard error."""
    from incumbent import cli

    def run(*arguments: str) -> tuple[int, str, str]:
        _log_to_current_stderr()
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        captured = capfd.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run
