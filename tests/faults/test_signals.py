"""Ctrl-C and SIGTERM in the middle of a training: everything unwinds, and nothing stays."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import mlflow
import pytest
from prefect.exceptions import TerminationSignal

from incumbent.encoders import pretrained_weights
from incumbent.retraining import earlier_retrainings
from incumbent.servers import temporary_prefect_server
from tests import warm
from tests.conftest import Place, settings
from tests.faults.processes import until
from tests.trainings import write_bert

pytestmark = pytest.mark.slow

OPTIONS = settings(
    "data.sample=200", "training.model=transformer", "training.epochs=200",
    "training.freeze_embeddings=true",
)  # fmt: skip
# Weights that reach their steps in seconds, and take minutes for all of them.
TINY = settings(
    "data.sample=200", "training.model=transformer", "training.epochs=1000",
    "training.weights=weights",
)  # fmt: skip


class Running:
    """The command in a session of its own, as in a terminal of its own."""

    def __init__(self, place: Place, *arguments: str) -> None:
        self.place = place
        self.process = subprocess.Popen(
            [sys.executable, "-m", "incumbent", *arguments],
            cwd=place.folder, env=place.environment, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.lines: list[str] = []
        self._new: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            self._new.put(line)

    @property
    def errors(self) -> str:
        return "".join(self.lines)

    def wait_for(self, words: str, seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                if words in self._new.get(timeout=max(0.0, end - time.monotonic())):
                    return
            except queue.Empty:
                pytest.fail(f"no {words!r} within {seconds} s in:\n{self.errors}")

    def ends_interrupted(self) -> None:
        """Within 30 s, as documented and without leaving a process."""
        try:
            code = self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running 30 s after the signal:\n{self.errors}")
        left = _wait_until_none(self.left)
        self._reader.join(timeout=5)
        assert code == 130, self.errors
        assert self.lines.count("incumbent: interrupted\n") == 1, self.errors
        assert "Traceback" not in self.errors
        assert not left

    def left(self) -> dict[int, str]:
        """Processes of the session, or that have the place's environment or work in it."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                environment = (folder / "environ").read_bytes().split(b"\0")
                command = (folder / "cmdline").read_text().replace("\0", " ")
                within = (folder / "cwd").readlink() == self.place.folder
            except OSError:  # gone meanwhile, or another user's
                continue
            home = f"PREFECT_HOME={self.place.environment['PREFECT_HOME']}".encode()
            ours = int(session) == self.process.pid or home in environment or within
            if state != "Z" and ours:
                found[int(folder.name)] = command
        return found


def _wait_until_none(left: Callable[[], dict[int, str]]) -> dict[int, str]:
    for _ in range(20):
        if not left():
            return {}
        time.sleep(0.1)
    return left()


@contextmanager
def _running(place: Place, *options: str) -> Iterator[Running]:
    running = Running(place, "retrain", *options)
    try:
        yield running
    finally:
        for pid in running.left():
            os.kill(pid, signal.SIGKILL)
        running.process.wait()


def _ctrl_c(running: Running) -> None:
    os.killpg(running.process.pid, signal.SIGINT)


def _terminate(running: Running) -> None:
    os.kill(running.process.pid, signal.SIGTERM)


def _terminate_all(running: Running) -> None:
    """As `timeout` and systemd do."""
    os.killpg(running.process.pid, signal.SIGTERM)


def _at_the_weights(running: Running) -> None:
    """ktrain is about to load them, or is at it."""
    running.wait_for("GPU")
    runs = running.place.folder / ".incumbent" / "runs"
    assert until(lambda: any(runs.glob("*/checkpoints")), 120), running.errors


def _in_the_steps(running: Running) -> None:
    """A loss has reached MLflow."""
    running.wait_for("GPU")
    assert until(lambda: _losses(running) > 0, 120), running.errors


def _losses(running: Running) -> int:
    """How many have reached MLflow."""
    file = running.place.folder / "mlruns" / "mlflow.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        query = "SELECT COUNT(*) FROM metrics WHERE key = 'train_loss'"
        return int(database.execute(query).fetchone()[0])


def _tiny(place: Place) -> list[str]:
    """Options for a training with small weights, which are put into the place."""
    folder = place.folder / "weights"
    folder.mkdir()
    write_bert(folder, pretrained_weights.resolve(pretrained_weights.BUNDLED))
    return TINY


@pytest.mark.usefixtures("warmed")
@pytest.mark.parametrize(
    ("stop", "moment"),
    [
        (_ctrl_c, _at_the_weights), (_terminate, _at_the_weights),
        (_ctrl_c, _in_the_steps), (_terminate, _in_the_steps), (_terminate_all, _in_the_steps),
    ],
)  # fmt: skip
def test_interrupted_training(
    begun: Place, stop: Callable[[Running], None], moment: Callable[[Running], None]
) -> None:
    with _running(begun, *(OPTIONS if moment is _at_the_weights else _tiny(begun))) as running:
        moment(running)
        stop(running)
        running.ends_interrupted()

    client = mlflow.MlflowClient(begun.store, begun.store)
    experiments = [e.experiment_id for e in client.search_experiments()]
    assert [run.info.status for run in client.search_runs(experiments)] == ["KILLED"]
    assert not client.search_registered_models()
    with closing(sqlite3.connect(begun.folder / "prefect" / "prefect.db")) as database:
        assert database.execute("SELECT state_type FROM flow_run").fetchall() == [("CRASHED",)]


@pytest.fixture
def ignored() -> Iterator[None]:
    """What is started ignores Ctrl-C, as after `nohup` or in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ignored", "warmed")
def test_where_ctrl_c_is_ignored_sigterm_saves_the_step(begun: Place) -> None:
    with _running(begun, *_tiny(begun)) as running:
        _in_the_steps(running)
        _ctrl_c(running)
        losses = _losses(running)
        assert until(lambda: _losses(running) > losses, 60), running.errors
        _terminate(running)
        running.ends_interrupted()
    assert list(begun.folder.glob(".incumbent/runs/*/checkpoints/step-*.safetensors"))


@pytest.fixture(scope="module")
def hardly_warmed() -> Iterator[warm.Helper]:
    """A helper that leaves most imports to the command, to be interrupted in."""
    before = (earlier_retrainings.__name__, temporary_prefect_server.__name__, "flows.retrain")
    with warm.started(frozenset({"incumbent"}), before) as helper:
        yield helper


def _at_once(running: Running) -> None:
    """The command imports Great Expectations, the server its own code."""


def _as_it_makes_its_database(running: Running) -> None:
    """Once it has imported its code; it answers when it is done."""
    file = running.place.folder / "prefect" / "prefect.db"
    assert until(file.exists, 120), running.errors


@pytest.mark.parametrize(
    ("stop", "moment", "warmed"),
    [
        (_ctrl_c, _at_once, False), (_terminate, _at_once, True),
        (_ctrl_c, _as_it_makes_its_database, True), (_terminate, _as_it_makes_its_database, True),
        (_terminate_all, _as_it_makes_its_database, True),
    ],
)  # fmt: skip
def test_interrupted_as_the_server_starts(
    place: Place, hardly_warmed: warm.Helper, stop: Callable[[Running], None],
    moment: Callable[[Running], None], *, warmed: bool,
) -> None:  # fmt: skip
    """Once as users start it: with all of its imports to come, and none of them done."""
    start = warm.patched(hardly_warmed) if warmed else contextlib.nullcontext()
    with start, _running(place, *OPTIONS) as running:
        running.wait_for("temporary server")
        moment(running)
        stop(running)
        running.ends_interrupted()
    assert not (place.folder / "mlruns" / "mlflow.db").exists()


def test_an_interrupt_that_a_finalizer_swallows_is_sent_again() -> None:
    code = (
        "import signal, time\n"
        "from incumbent.runtime import interrupts\n"
        "class Dropped:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "        time.sleep(0)\n"
        "interrupts.listen()\n"
        "Dropped()\n"
        "try: time.sleep(20)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


def test_an_interrupt_of_an_exec_ends_with_the_exit_code_too(tmp_path: Path) -> None:
    """Imports make named tuples, say, by `exec`, and meet an interrupt there now and then."""
    (tmp_path / "interrupted.py").write_text(
        "from incumbent.cli import main\n"
        "def interrupted(**_: object) -> None:\n"
        "    exec('raise KeyboardInterrupt')\n"
        "main.cli.main = interrupted\n"
        "main.main([])\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "incumbent: interrupted\n")


@pytest.mark.usefixtures("warmed")
@pytest.mark.parametrize("arguments", [["models"], ["models", "--json"], ["--help"]])
def test_a_reader_that_leaves_is_no_failure(begun: Place, arguments: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "incumbent", *arguments],
        cwd=begun.folder, env=begun.environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 0, errors
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


@pytest.mark.parametrize(
    ("cause", "code"),
    [(KeyboardInterrupt(), 130), (TerminationSignal(15), 130), (ValueError(), 4), (None, 4)],
)
def test_an_error_while_unwinding_an_interrupt_is_an_interrupt(
    cause: BaseException | None, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ConnectionError("refused")
    error.__context__ = cause
    assert _code_of(error, monkeypatch) == code


def _code_of(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    from incumbent.cli import main, title_commands
    from incumbent.runtime import interrupts

    def failing(*_: object, **__: object) -> None:
        raise error

    # click replaces broken streams for good.
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.delenv("INCUMBENT_DEBUG", raising=False)
    monkeypatch.setattr(title_commands.models, "callback", failing)
    monkeypatch.setattr(interrupts, "ignore", lambda: None)
    return main._run(["models"])
