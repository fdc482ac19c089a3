"""What passes between a run and its training process, with one that does not train."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incumbent.data import datasets
from incumbent.errors import StageError, TrainingDiverged
from incumbent.runtime.child_processes import Ahead
from incumbent.training import trainer_client
from incumbent.training.callbacks import Progress

Ready = Callable[..., Any]


@pytest.fixture
def run(
    prepare: Ready, dataset: Callable[..., datasets.Dataset], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Any]:
    """Has the stand-in do one thing: gives the run that asked it, and what came of it."""
    monkeypatch.setattr(trainer_client, "_processes", Ahead("tests.training.standin", talks=True))

    def ask(what: str) -> tuple[Any, BaseException]:
        monkeypatch.setenv("STANDIN", what)
        ready = prepare(dataset(["good film", "bad film"] * 4, ["pos", "neg"] * 4), model="nbsvm")
        with pytest.raises(BaseException) as raised:  # noqa: PT011
            trainer_client.fit(
                ready.classifier, ready.encoded, ready.folder, "text", ready.serving,
                ready.progress.append, ready.said.append,
            )  # fmt: skip
        return ready, raised.value

    return ask


def test_lines_progress_and_our_errors_pass_over_as_themselves(run: Any) -> None:
    asked, error = run("diverge")
    assert asked.said == ["on a CPU"]
    assert asked.progress == [Progress(3, 9, 1, {"train_loss": 0.5})]
    assert type(error) is TrainingDiverged
    assert str(error) == "The loss is nan."


def test_any_other_error_is_told_with_its_traceback(run: Any) -> None:
    asked, error = run("fail")
    assert type(error) is StageError
    assert str(error).startswith("Training failed: ZeroDivisionError: division by zero")
    assert asked.said[-1].startswith("Traceback")


def test_a_killed_process_is_said_to_be(run: Any) -> None:
    _, error = run("be killed")
    assert type(error) is StageError
    assert "was killed (SIGKILL) after step 3 of 9" in str(error)
    assert "training.batch_size" in str(error)


def test_the_last_words_of_one_that_crashed_are_shown(run: Any) -> None:
    _, error = run("crash")
    assert "was ended by SIGABRT" in str(error)
    assert str(error).endswith("CUDA is lost")


@pytest.mark.slow
def test_memory_that_does_not_hold_a_single_row_is_the_end(run: Any) -> None:
    asked, error = run("exhaust")
    parts = [line.split("each batch in ")[1].split()[0] for line in asked.said]
    assert parts == ["2", "4", "8", "16"]
    assert str(error).startswith("There is no memory for 1 rows. Set preprocessing.max_length")


def test_an_interrupt_is_passed_on_and_waited_for(run: Any, tmp_path: Path) -> None:
    os.environ["STANDIN_SAVED"] = str(tmp_path / "saved")
    try:
        _, error = run("interrupt the parent")
    finally:
        del os.environ["STANDIN_SAVED"]
    assert type(error) is KeyboardInterrupt
    assert (tmp_path / "saved").is_file()


def test_it_ends_with_its_parent() -> None:
    code = (
        "from incumbent.training import trainer_client\n"
        "import time\n"
        "with trainer_client.ahead():\n"
        "    trainer_client.expect()\n"
        "    with trainer_client._processes.taken() as process:\n"
        "        print(process.process.pid, process._scratch.name, flush=True)\n"
        "        time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child, scratch = parent.stdout.readline().split()
    assert Path(scratch).is_dir()
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 60
    while _runs(int(child)):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert not Path(scratch).exists()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_is_finished_starts_no_process(
    prepare: Ready, dataset: Callable[..., datasets.Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_client, "_processes", None)
    from incumbent.classifiers.int8_or_float32_export import Served
    from incumbent.training.fitting import TrainedModel, served_folder

    ready = prepare(dataset(["good film", "bad film"] * 4, ["pos", "neg"] * 4), model="nbsvm")
    served_folder(ready.folder).mkdir(parents=True)
    ready.folder.mkdir()
    trained = TrainedModel(
        folder=ready.folder, device="CPU", rows=1, validation_rows=1, steps=1, learning_rate=0.1,
        metrics={}, served=Served(folder=served_folder(ready.folder), precision="float32"),
    )  # fmt: skip
    ready.folder.with_name("trained.json").write_text(trained.model_dump_json())
    found = trainer_client.fit(
        ready.classifier, ready.encoded, ready.folder, "text", ready.serving,
        ready.progress.append, ready.said.append,
    )  # fmt: skip
    assert found == trained
    assert np.isfinite(found.steps)
