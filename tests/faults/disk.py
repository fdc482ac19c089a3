"""A disk that is full, a file that may not grow, and a store that may only be read."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator

from tests.faults.ground import CHALLENGE, Ground, Trial
from tests.faults.processes import tail

_ROOM = (0, 64, 512, 2048, 3072, 4096, 6144, 8192)  # KiB that are free; a run wants some MiB
_LIMITS = (4_000, 100_000, 800_000)  # bytes that a file may have


def full(ground: Ground, quick: bool) -> Iterator[Trial]:
    """A file system of its own that has too little room, and then enough."""
    for room in _ROOM[1:2] if quick else _ROOM:
        with _filesystem(ground) as mounted:
            if not mounted:
                return  # needs root and `mount`; `growth` is the same error at another place
            trial = Trial(f"{room} KiB of room")
            used = shutil.disk_usage(ground.folder).used // 1024
            _mount("-o", f"remount,size={used + room}k", ground.folder)
            run = ground.fork("retrain", *CHALLENGE)
            _failed(trial, run.end(), tail(run))
            _mount("-o", "remount,size=1g", ground.folder)
            yield ground.judge(trial, run)


def growth(ground: Ground, quick: bool) -> Iterator[Trial]:
    """A limit on the size of each file, as a quota sets one."""
    for limit in _LIMITS[1:2] if quick else _LIMITS:
        ground.restore()
        trial = Trial(f"files of {limit:,} bytes at most")
        run = ground.fork("retrain", *CHALLENGE, limit=limit)
        _failed(trial, run.end(), tail(run))
        yield ground.judge(trial, run)


def read_only(ground: Ground, quick: bool) -> Iterator[Trial]:
    """The MLflow store, the working folder, or both, on what may only be read."""
    for name in ("mlruns",) if quick else ("mlruns", ".incumbent", "."):
        with _filesystem(ground) as mounted:
            if not mounted:
                return
            trial = Trial(f"{name} is read-only")
            place = ground.folder / name
            if name != ".":
                _mount("--bind", place, place)
            _mount("-o", "remount,ro,bind", place)
            run = ground.fork("retrain", *CHALLENGE)
            _failed(trial, run.end(), tail(run))
            if name == ".":
                _mount("-o", "remount,rw,bind", place)
            else:
                subprocess.run(["umount", place], check=True)
            yield ground.judge(trial, run)


def _failed(trial: Trial, code: int | None, said: str) -> None:
    """A run that finds no room may fail, as a stage or as data that could not be kept."""
    if code is None:
        trial.hung = True
        trial.faults.append("hung")
    elif code not in (0, 3, 4):
        trial.faults.append(f"ended with {code}: {said}")
    elif code and "not a mistake of yours" in said:
        trial.faults.append(f"an error that is not known: {said}")


def _mount(*arguments: object) -> bool:
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, check=False)
    return done.returncode == 0


@contextlib.contextmanager
def _filesystem(ground: Ground) -> Iterator[bool]:
    """Put the place on a file system of its own; whether that could be done."""
    ground.restore()
    if not _mount("-t", "tmpfs", "-o", "size=1g", "incumbent-faults", ground.folder):
        yield False
        return
    try:
        ground.restore()
        yield True
    finally:
        subprocess.run(["umount", "--lazy", ground.folder], check=True)
