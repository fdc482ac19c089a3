from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from incumbent.operations import supervisord

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); "
    "time.sleep(60)"
)
PATIENT = "import time; print(flush=True); time.sleep(60)"
Spawn = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts a process with a mark; ends it after the test."""
    started = []

    def spawn(folder: Path, part: str = "prefect", code: str = PATIENT) -> subprocess.Popen[bytes]:
        marks = {"INCUMBENT_UP": str(folder), "INCUMBENT_UP_PART": part}
        process = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, **marks}, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout
        process.stdout.readline()
        return process

    yield spawn
    for process in started:
        process.kill()
        process.communicate()


def test_only_processes_of_the_folder_are_found(tmp_path: Path, spawn: Spawn) -> None:
    mine, _ = spawn(tmp_path / "here"), spawn(tmp_path / "elsewhere")
    (found,) = supervisord.processes(tmp_path / "here")
    assert (found.pid, found.part, found.parent) == (mine.pid, "prefect", os.getpid())


def test_one_that_has_ended_is_not_found(tmp_path: Path, spawn: Spawn) -> None:
    process = spawn(tmp_path)
    process.kill()
    time.sleep(0.2)
    assert Path(f"/proc/{process.pid}").exists()  # not waited for yet
    assert supervisord.processes(tmp_path) == []


def test_they_are_ended_the_stubborn_too(tmp_path: Path, spawn: Spawn) -> None:
    patient, stubborn = spawn(tmp_path), spawn(tmp_path, code=STUBBORN)
    supervisord.end(supervisord.processes(tmp_path), tmp_path, 0.5)
    assert (patient.wait(5), stubborn.wait(5)) == (-15, -9)


def test_whoever_got_the_number_of_another_is_left_alone(tmp_path: Path, spawn: Spawn) -> None:
    """The number of one of ours was given to a process of someone else."""
    other = spawn(tmp_path / "elsewhere")
    gone = supervisord.Process(pid=other.pid, parent=os.getpid(), part="prefect")
    supervisord.end([gone], tmp_path / "here", 0.2)
    assert other.poll() is None
