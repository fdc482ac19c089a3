"""What tests share: a place of their own, and one real retraining on a few hundred reviews.

Each worker of a run is a process with a session of its own. What takes long to make is made once
for all of them: see `shared`, and `warm` for processes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import absl.logging
import hypothesis
import pytest

from incumbent.runtime import environment
from tests import shared, warm

# A shell has what it starts in the background ignore Ctrl-C, and children inherit that: the tests
# that send one would try `nohup`.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

environment.prepare()
# TensorFlow's log handler keeps the stream it is made with, and closes it when Prefect sets up
# logging, unless it is the interpreter's own; pytest's would be gone for all that follows.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__

# By default an example fails that takes longer than 200 ms, as any does on a busy machine, and a
# test for which examples are made slowly.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

pytest_plugins = ["tests.trainings"]  # the fixtures of classifiers, training and kernels

ROOT = Path(__file__).parent.parent
Command = Callable[..., tuple[int, str, str]]
# Enough to beat the baseline with real weights, in half a minute of training.
SMALL = (
    "data.sample=600", "training.model=transformer", "training.epochs=5",
    "training.learning_rate=2e-4", "training.freeze_embeddings=true",
    "evaluation.bootstrap_samples=200",
)  # fmt: skip


# Modules that take longest, the longest first: see the table at the end of a run. Begun last,
# one of them would leave the other workers idle.
LONGEST = (
    "test_retrain", "test_resuming", "test_conversion", "test_transformer", "test_signals",
    "test_contest",
    "test_learning_rate", "test_servers", "test_up", "test_devices", "test_keras_bert",
    "test_bad_input", "test_crash", "test_login", "test_sabotage", "test_gradient_accumulation",
)  # fmt: skip
# What a test that is not marked slow does without.
HEAVY = {"great_expectations", "ktrain", "mlflow", "tensorflow", "tf_keras"}
_loaded: set[str] = set()  # of these, by tests before
_WHOLLY_SLOW = re.compile(r"^pytestmark = \[?\s*pytest\.mark\.slow\b", re.MULTILINE)
_LONG = 10.0  # seconds from which on a module stands in the table


def _quick(config: pytest.Config) -> bool:
    """Whether no slow test is to run."""
    return str(config.getoption("markexpr")) == "not slow"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules whose tests are all slow: their imports would take quick runs seconds."""
    if _quick(config) and collection_path.suffix == ".py":
        return bool(_WHOLLY_SLOW.search(collection_path.read_text(encoding="utf-8"))) or None
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, module by module."""

    def rank(item: pytest.Item) -> int:
        if item.path.stem in LONGEST:
            return LONGEST.index(item.path.stem)
        return len(LONGEST) + (item.path not in slow)

    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=rank)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show which modules took long, and what took longest in each."""
    seconds: dict[str, float] = defaultdict(float)
    longest: dict[str, tuple[float, str]] = {}
    for report in (r for reports in terminalreporter.stats.values() for r in reports):
        if isinstance(report, pytest.TestReport):
            module, _, test = report.nodeid.partition("::")
            seconds[module] += report.duration
            part = report.duration, test if report.when == "call" else f"{report.when} of {test}"
            longest[module] = max(part, longest.get(module, part))
    rows = sorted(seconds.items(), key=lambda row: -row[1])
    long = [(module, took) for module, took in rows if took >= _LONG]
    if long:
        total = sum(seconds.values())
        terminalreporter.section(f"modules of {_LONG:.0f} s or more, of {total:.0f} s in all")
    for module, took in long:
        most, test = longest[module]
        terminalreporter.write_line(f"{took:6.0f} s  {module}  ({most:.0f} s: {test})")


@pytest.fixture(autouse=True)
def light(request: pytest.FixtureRequest) -> Iterator[None]:
    """A quick test loads no heavy library, and none of its fixtures does."""
    yield
    loaded = (HEAVY & sys.modules.keys()) - _loaded
    _loaded.update(loaded)
    if "slow" not in request.keywords:
        assert not loaded, f"quick tests do without {', '.join(sorted(loaded))}: mark this one slow"


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

    def copied(self, folder: Path) -> Place:
        """Another place that goes on from here; artifacts of the store stay where they are."""

        def ignore(directory: str, names: list[str]) -> set[str]:
            return set(names) - {"mlflow.db"} if Path(directory).name == "mlruns" else set()

        shutil.copytree(self.folder, folder, ignore=ignore, dirs_exist_ok=True)
        return Place(folder)


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
def retrained(together: Path) -> tuple[Place, dict[str, Any]]:
    """A place where one retraining on real reviews, with the real weights, made a champion.

    It is every worker's: read it, and change a copy.
    """

    def make(folder: Path) -> None:
        outcome = Place(folder).json("retrain", *settings(*SMALL))
        (folder / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")

    folder = shared.once(together / "retrained", make)
    return Place(folder), json.loads((folder / "outcome.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def first(
    retrained: tuple[Place, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Place, dict[str, Any]]:
    """The module's copy of that place."""
    place, outcome = retrained
    return place.copied(tmp_path_factory.mktemp("first")), outcome


@pytest.fixture(scope="session")
def prefect_server(
    databases: Path, helper: warm.Helper, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """One ephemeral Prefect server, with a database and results of its own."""
    from prefect.testing import utilities

    folder = tmp_path_factory.mktemp("prefect-server")
    shutil.copy(databases / "prefect.db", folder / "prefect-test.db")
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch, warm.patched(helper):
            patch.setattr(utilities, "mkdtemp", lambda: str(folder))  # where its database is
            stack.enter_context(utilities.prefect_test_harness(server_startup_timeout=None))
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
def store(here: Path, databases: Path) -> Path:
    """An empty working directory but for an empty store; gives its database."""
    (here / "mlruns").mkdir()
    return Path(shutil.copy(databases / "mlflow.db", here / "mlruns"))


@pytest.fixture
def run_here(prefect_server: None, warmed: None, capfd: pytest.CaptureFixture[str]) -> Command:
    """`incumbent` in this process and in the working directory.

    Gives the exit code, standard output and standard error.
    """
    from incumbent.cli import main

    def run(*arguments: str) -> tuple[int, str, str]:
        _log_to_current_stderr()
        with pytest.raises(SystemExit) as ended:
            main.main(list(arguments))
        captured = capfd.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def document(command: Command, *arguments: str) -> Any:
    """The one document that the command prints with `--json`."""
    code, out, err = command(*arguments, "--json")
    assert code == 0, err[-3000:]
    return json.loads(out)


@pytest.fixture
def command(store: Path, run_here: Command) -> Command:
    """`incumbent` in this process, in an empty working directory."""
    return run_here


@pytest.fixture
def command_there(
    first: tuple[Place, dict[str, Any]], here: Path, run_here: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> Command:  # fmt: skip
    """`incumbent` in this process, in the place of the first retraining."""
    monkeypatch.chdir(first[0].folder)
    return run_here
