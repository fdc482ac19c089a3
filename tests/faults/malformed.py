"""Malformed files through `incumbent retrain`: refused by name, or still good."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import settings
from tests.faults import corpus
from tests.faults.ground import Ground, Trial
from tests.faults.processes import Run, tail

_MUTANTS, _FEW_MUTANTS = 6, 2  # of each kind of each good file
_WHOLE = 6  # files that are run as whole processes, on a test set that lets good ones train
_QUICK = (
    "bomb.xlsx", "bomb.csv.gz", "entities.xlsx", "external.xlsx", "dimension-all.xlsx", "far.xlsx",
    "far-row.xlsx", "far-cell.xls", "declared-huge.xlsx", "nested.xlsx", "climbs-out.xlsx",
    "password.xlsx", "huge-cell.csv", "nul.csv", "open-quote.csv", "line-deep.jsonl",
    "footer-length.parquet", "flipped-0.parquet", "cut-0.xlsx", "in-utf-16.csv",
    "merged-labels.xlsx", "bomb.ods", "bomb.zip", "flipped-0.xlsb", "spanned.xls",
    "task-nulls.json", "binary.folder", "huge.folder",
)  # fmt: skip
_TEST = "test.csv"  # which a leak is said of
_SECONDS = 120.0  # that a file may take on a busy machine, bombs too
_MEMORY = 1024  # MiB that a refusal may use, the libraries among them
_OPTIONS = settings(
    "model_name=malformed", "training.model=nbsvm", "training.epochs=1",
    "evaluation.bootstrap_samples=100", "promotion.on_baseline=off", "promotion.min_accuracy=0",
)  # fmt: skip


def files(ground: Ground, quick: bool) -> Iterator[Trial]:
    """Each file as training data, with a test set that repeats it: rows that can be read leak.

    So even a file that is still good is refused, as late as data can be, and hardly any is trained
    on. As many run at once as there are cores. The last trial is the champion, in the same store.
    """
    ground.restore()
    folder = _folder(ground)
    (folder / _TEST).write_bytes(corpus.originals()[".csv"])
    found = [file for file in corpus.files(0, _MUTANTS) if not quick or file[0] in _QUICK]
    cores = len(os.sched_getaffinity(0))
    for start in range(0, len(found), cores):
        yield from _refused(ground, folder, found[start : start + cores])
    yield ground.judge(Trial("the champion beside them"))


def _refused(ground: Ground, folder: Path, found: list[corpus.File]) -> Iterator[Trial]:
    """Some files at once."""
    runs = {}
    for name, data in found:
        corpus.put(folder, name, data)
        runs[name] = ground.fork("retrain", *_OPTIONS, *_sides(name))
    for name, run in runs.items():
        trial = Trial(name)
        code = run.end(_SECONDS)
        _judge(trial, run, code, name)
        if code is not None and run.peak > _MEMORY:
            trial.faults.append(f"used {run.peak:.0f} MiB")
        yield trial
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def whole(ground: Ground, quick: bool) -> Iterator[Trial]:
    """A sample of the files in processes of their own, where a good file is trained on."""
    ground.restore()
    folder = _folder(ground)
    other = corpus.originals()[".csv"].replace(b"A film", b"This one seen again is a film")
    (folder / _TEST).write_bytes(other)
    found = list(corpus.files(0, _FEW_MUTANTS))
    for name, data in random.Random(1).sample(found, 1 if quick else _WHOLE):
        corpus.put(folder, name, data)
        run = ground.run("retrain", *_OPTIONS, *_sides(name))
        trial = Trial(name)
        _judge(trial, run, run.end(), name)
        yield trial


def _judge(trial: Trial, run: Run, code: int | None, name: str) -> None:
    trial.tracebacks = run.err.count("Traceback")
    if code is None:
        trial.hung = True
        trial.faults.append("hung")
    elif code not in (0, 2, 3):  # it may still be good
        trial.faults.append(f"ended with {code}: {tail(run)}")
    elif code and not any(file in run.err.rpartition("incumbent: ")[2] for file in (name, _TEST)):
        trial.faults.append(f"the message does not name the file: {tail(run)}")
    if trial.tracebacks:
        trial.faults.append(f"a traceback was shown: {tail(run)}")


def _folder(ground: Ground) -> Path:
    folder = ground.folder / "files"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _sides(train: str) -> list[str]:
    return settings(f"data.train=files/{train}", f"data.test=files/{_TEST}")
