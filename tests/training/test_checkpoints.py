"""Checkpoints are whole or not used, and what cannot be written does no harm."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from incumbent.runtime import file_locks
from incumbent.runtime.interrupts import Hold
from incumbent.training.checkpoints import Checkpoint, Checkpoints

ARRAYS = {
    "weight.0": np.arange(6, dtype=np.float32).reshape(2, 3),
    "weight.1": np.zeros((0, 3), np.float16),
    "count": np.array(7, np.int64),
}


@contextmanager
def opened(
    folder: Path, said: list[str] | None = None, identity: str = "mine"
) -> Iterator[Checkpoints]:
    with Checkpoints.opened(folder, identity, 0, (said or []).append) as checkpoints:
        yield checkpoints


def write(folder: Path, *steps: int) -> list[Path]:
    with opened(folder) as checkpoints:
        for step in steps:
            checkpoints.save(Checkpoint(step, {"best": float("inf"), "epochs": []}, ARRAYS))
    return sorted(folder.glob("step-*"))


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    write(tmp_path, 3)
    with opened(tmp_path) as checkpoints:
        found = checkpoints.latest()
    assert found is not None
    assert (found.step, found.state) == (3, {"best": float("inf"), "epochs": []})
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in found.arrays.items():
        assert array.dtype == ARRAYS[name].dtype
        assert np.array_equal(array, ARRAYS[name])


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    files = write(tmp_path, 1, 2, 30)
    assert [path.name[:14] for path in files] == ["step-00000002-", "step-00000030"[:13] + "-"]


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_a_damaged_one_is_not_used(tmp_path: Path, damage: str) -> None:
    older, newer = write(tmp_path, 1, 2)
    for path, expected in ((newer, 1), (older, None)):
        content = bytearray(path.read_bytes())
        if damage == "flipped":
            content[-1] ^= 1
        path.write_bytes(content[: {"truncated": -9, "empty": 0}.get(damage)])
        said: list[str] = []
        with Checkpoints.opened(tmp_path, "mine", 0, said.append) as checkpoints:
            found = checkpoints.latest()
        assert (found.step if found else None) == expected
        assert said[0] == "the checkpoint of step 2 is damaged, and is not used"


def test_that_of_another_training_is_not_used(tmp_path: Path) -> None:
    write(tmp_path, 1)
    said: list[str] = []
    with Checkpoints.opened(tmp_path, "another", 0, said.append) as checkpoints:
        checkpoints.note("learning_rate", {"chosen": 1})
        assert checkpoints.latest() is None
        assert checkpoints.noted("learning_rate") == {"chosen": 1}
    assert "other data, settings or versions" in said[0]
    with opened(tmp_path) as checkpoints:
        assert checkpoints.noted("learning_rate") is None
        assert checkpoints.noted("nothing") is None


def test_what_was_being_written_is_swept(tmp_path: Path) -> None:
    (tmp_path / "partial-1").write_bytes(b"half")
    write(tmp_path, 1)
    assert not list(tmp_path.glob("partial-*"))


def test_no_room_is_told_once_and_the_last_one_stays(tmp_path: Path) -> None:
    said: list[str] = []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Checkpoints.opened(tmp_path, "mine", 0, said.append) as checkpoints:
        checkpoints.save(Checkpoint(1, {}, ARRAYS))
        resource.setrlimit(resource.RLIMIT_FSIZE, (99, limits[1]))
        try:
            for step in (2, 3):
                checkpoints.save(Checkpoint(step, {}, ARRAYS))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        found = checkpoints.latest()
    assert found is not None
    assert found.step == 1
    assert len(said) == 1
    assert "cannot be written" in said[0]
    assert "File too large" in said[0]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said: list[str] = []
    with Checkpoints.opened(tmp_path / "file" / "x", "mine", 0, said.append) as checkpoints:
        assert not checkpoints.due
        checkpoints.save(Checkpoint(1, {}, ARRAYS))
        assert checkpoints.latest() is None
    assert len(said) == 1


def test_two_processes_do_not_share_checkpoints(tmp_path: Path) -> None:
    write(tmp_path, 1)
    said: list[str] = []
    with (
        file_locks.held(tmp_path / "lock") as free,
        Checkpoints.opened(tmp_path, "mine", 0, said.append) as checkpoints,
    ):
        assert free
        assert checkpoints.latest() is None
        assert not checkpoints.due
    assert "another process is training" in said[0]


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from incumbent.runtime import file_locks\n"
        "with file_locks.held(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], check=False)
    assert done.returncode == -signal.SIGKILL
    with file_locks.held(tmp_path / "lock") as free:
        assert free


def test_auto_spends_a_hundredth_of_the_time(tmp_path: Path) -> None:
    with Checkpoints.opened(tmp_path, "mine", "auto", print) as checkpoints:
        for ago, seconds, due in (
            (59, 0.1, False),
            (61, 0.1, True),
            (299, 3, False),
            (301, 3, True),
        ):
            checkpoints._last -= ago
            checkpoints.seconds = seconds
            assert checkpoints.due == due
            checkpoints._last += ago


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_end_of_the_step(number: signal.Signals) -> None:
    from incumbent.runtime import interrupts

    before = signal.getsignal(signal.SIGTERM)
    interrupts.listen()
    hold = Hold()
    try:
        for times in (1, 2):
            hold.begin()
            os.kill(os.getpid(), number)
            assert hold.told
            with pytest.raises(KeyboardInterrupt):
                # Whoever does not want to wait says so again.
                hold.end() if times == 1 else os.kill(os.getpid(), number)
            assert not hold.told
            hold.end()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_file_is_what_safetensors_reads(tmp_path: Path) -> None:
    from safetensors import safe_open

    (path,) = write(tmp_path, 1)
    with safe_open(path, "np") as file:
        assert json.loads(file.metadata()["state"])["epochs"] == []
        assert np.array_equal(file.get_tensor("weight.0"), ARRAYS["weight.0"])


def test_a_lock_that_cannot_be_had_at_all_is_no_obstacle(tmp_path: Path) -> None:
    with file_locks.held(tmp_path / "nowhere" / "lock") as free:
        assert free
