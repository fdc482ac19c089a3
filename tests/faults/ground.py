"""The ground that faults are tried on: a place with a champion, put back before each of them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, settings
from tests.faults.processes import START, Run, answers, free_port, prefect, tail, until

OPTIONS = settings(
    "data.sample=300", "training.model=nbsvm", "training.learning_rate=0.01", "training.epochs=3",
    "promotion.min_accuracy=0.5", "promotion.on_baseline=off", "evaluation.bootstrap_samples=100",
)  # fmt: skip
CHALLENGE = [*OPTIONS, *settings("training.seed=2")]
_GONE = 30.0  # seconds after which no process of an ended run may be there


@dataclass(frozen=True)
class State:
    """What stands in a store.

    `answers` are what each version says to `state.TEXTS`, `twice` how many jobs and versions are
    there more than once, `doubts` what is wrong with the ledger.
    """

    champion: int | None
    versions: tuple[int, ...]
    answers: dict[int, list[Any]]
    twice: int
    doubts: tuple[str, ...]


@dataclass
class Trial:
    """What came of one fault.

    `faults` is what went wrong, in words; the empty list if nothing did.
    """

    what: str
    faults: list[str] = field(default_factory=list)
    champion_intact: bool = True
    lost: int = 0
    doubled: int = 0
    hung: bool = False
    tracebacks: int = 0

    @property
    def survived(self) -> bool:
        return not self.faults


class Ground:
    """A folder where the command runs, a Prefect server, and a zygote to run it in."""

    def __init__(self, scratch: Path, seed: int = 0) -> None:
        self.scratch = scratch
        self.folder = scratch / "place"
        self.template = scratch / "template"
        self.random = random.Random(seed)
        self.runs: list[Run] = []
        port = free_port()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_"))},
            "PREFECT_HOME": str(scratch / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(scratch / "tmp"),
        }
        for name in ("runs", "tmp"):
            (scratch / name).mkdir()
        self.prefect = prefect(self.environment, port, scratch)
        self.zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"], cwd=ROOT, env=self.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.timings: dict[str, float] = {}

    def prepare(self) -> None:
        """Make the champion that every fault begins with."""
        assert self.zygote.stdout is not None
        assert self.zygote.stdout.readline() == b"ready\n"
        answers(f"{self.environment['PREFECT_API_URL']}/health", START)
        self.folder.mkdir()
        run = self.fork("retrain", *OPTIONS, "--json")
        assert run.end() == 0, run.err
        self.timings = json.loads(run.out)["timings"]
        for name in ("datasets", "readings", "encoded"):  # to be made again, and killed at
            shutil.rmtree(self.folder / ".incumbent" / name)
        self.first = self.look()
        assert self.first.champion == 1, self.first
        self.folder.rename(self.template)

    def close(self) -> None:
        """End both processes; whatever a fault left, or is still at work, is killed."""
        for run in self.runs:
            with contextlib.suppress(OSError):  # it may have ended, or never begun
                if run.code is None:
                    os.kill(run.pid, signal.SIGKILL)
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in (self.zygote, self.prefect):
            process.kill()
            process.wait()

    def restore(self) -> None:
        """Put the place back as it was, with its first champion."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(exist_ok=True)  # a mount point stays
        shutil.copytree(self.template, self.folder, symlinks=True, dirs_exist_ok=True)

    def fork(
        self, *arguments: str, limit: int | None = None, die_at: int | None = None, **more: str
    ) -> Run:
        """Run the command in a fork of the zygote."""
        assert self.zygote.stdin is not None
        files = self._files()
        job = {
            "arguments": arguments, "folder": str(self.folder), "files": str(files),
            "environment": self.environment | more, "limit": limit, "die_at": die_at,
        }  # fmt: skip
        self.zygote.stdin.write(json.dumps(job).encode() + b"\n")
        self.zygote.stdin.flush()
        self.runs.append(Run(files))
        return self.runs[-1]

    def run(self, *arguments: str, **more: str) -> Run:
        """Run the command as a user does."""
        files = self._files()
        with files.with_suffix(".out").open("w") as out, files.with_suffix(".err").open("w") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "incumbent", *arguments],
                cwd=self.folder, env=self.environment | more, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err,
            )  # fmt: skip
        self.runs.append(Run(files, process))
        return self.runs[-1]

    def look(self) -> State:
        """What stands in the store, by a process that has not opened it before."""
        run = self.fork()
        assert run.end(300) == 0, run.err
        found = json.loads(run.out.splitlines()[-1])
        return State(
            champion=found["champion"],
            versions=tuple(found["versions"]),
            answers={int(version): said for version, said in found["answers"].items()},
            twice=found["twice"],
            doubts=tuple(found["doubts"]),
        )

    def left(self) -> dict[int, str]:
        """Processes that work in the place."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if not (process / "cwd").readlink().is_relative_to(self.folder):
                    continue
                if (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")
            except OSError:  # gone meanwhile
                continue
        return found

    def judge(self, trial: Trial, *ended: Run, again: Callable[[], Run] | None = None) -> Trial:
        """The checks that each fault ends with: the same run again finishes the job.

        Args:
            trial: What was tried, and is found from here on.
            ended: The runs that met the fault.
            again: Starts the run that is to finish; the challenger in a fork by default.
        """
        _expect_gone(self, trial)
        before = self.look()
        self._compare(trial, before)
        temporary = self.scratch / "tmp"
        there = set(temporary.iterdir())  # what was killed could not tidy up
        last = (again or (lambda: self.fork("retrain", *CHALLENGE, "--json")))()
        code = last.end()
        for run in (*ended, last):
            trial.tracebacks += run.err.count("Traceback")
        if code is None:
            trial.hung = True
            trial.faults.append("the same run again hung")
        elif code:
            trial.faults.append(f"the same run again ended with {code}: {tail(last)}")
        _expect_gone(self, trial)
        after = self.look()
        self._compare(trial, after)
        if not code and code is not None:
            version = json.loads(last.out)["version"]
            trial.lost += version not in after.versions
        trial.lost += len(set(before.versions) - set(after.versions))
        trial.doubled += after.twice
        litter = [path.name for path in temporary.iterdir() if path not in there]
        trial.faults += [*after.doubts, *(f"left behind: {n}" for n in litter + self.drafts())]
        for wrong, words in (
            (trial.lost, "versions lost"), (trial.doubled, "versions doubled"),
            (trial.tracebacks, "tracebacks shown"), (not trial.champion_intact, "champion harmed"),
        ):  # fmt: skip
            if wrong:
                trial.faults.append(words)
        return trial

    def drafts(self) -> list[str]:
        """Drafts that a run which ended well left where data and models are."""
        names = ("*.draft", "*.tmp", "*-journal")
        found = [p for n in names for p in self.folder.rglob(n) if p.is_file()]
        return [str(path.relative_to(self.folder)) for path in found]

    def _compare(self, trial: Trial, state: State) -> None:
        if state.champion is None or state.answers.get(1) != self.first.answers[1]:
            trial.champion_intact = False

    def _files(self) -> Path:
        return self.scratch / "runs" / f"{len(self.runs):04}"


@contextlib.contextmanager
def opened(scratch: Path, seed: int = 0) -> Iterator[Ground]:
    """A ground to try faults on."""
    ground = Ground(scratch, seed)
    try:
        ground.prepare()
        yield ground
    finally:
        ground.close()


def _expect_gone(ground: Ground, trial: Trial) -> None:
    if not until(lambda: not ground.left(), _GONE):
        left = ground.left()
        trial.faults.append(f"processes left: {'; '.join(left.values())[:300]}")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
