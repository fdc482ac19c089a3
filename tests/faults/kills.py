"""SIGKILL: at each stage, at each write to the store, at random moments of a training."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Iterator

from incumbent.encoders import pretrained_weights
from tests.conftest import settings
from tests.faults.ground import CHALLENGE, OPTIONS, Ground, Trial
from tests.faults.processes import Run
from tests.trainings import write_bert

# What the command says when each stage begins.
STAGES = {
    "ingest": "Beginning flow run",
    "validate": "read 300 training",
    "preprocess": "the data is valid",
    "train": "tokenized",
    "evaluate": "trained nbsvm",
    "register": "test rows; the NBSVM baseline",
    "promote": "registered version",
}
_TRIES = 3  # kills of each stage
_MOMENTS, _FEW_MOMENTS = 20, 3  # kills of one training
_SECONDS = 6.0  # of training, before the last of which it is killed
_TINY = settings(
    "preprocessing.max_length=8", "training.model=transformer", "training.weights=weights",
    "training.epochs=20", "training.batch_size=19", "training.checkpoint_minutes=0.01",
)  # fmt: skip


def stages(ground: Ground, quick: bool) -> Iterator[Trial]:
    """Each stage, at random moments of the time that it took before."""
    for stage, words in STAGES.items():
        if quick and stage not in ("train", "promote"):
            continue
        for number in range(1 if quick else _TRIES):
            ground.restore()
            trial = Trial(f"{stage}, {number + 1}")
            run = ground.fork("retrain", *CHALLENGE)
            if not run.says(words):
                trial.faults.append(f"did not come to {stage}")
            time.sleep(ground.random.uniform(0, ground.timings[stage]))
            run.kill()
            yield ground.judge(trial, run)


def whole(ground: Ground, quick: bool) -> Iterator[Trial]:
    """A process of its own, with its own Prefect server, which has to end with it."""
    ground.restore()
    trial = Trial("with its own Prefect server")
    run = ground.run("retrain", *CHALLENGE, PREFECT_API_URL="")
    if not run.says(STAGES["train"]):
        trial.faults.append("did not come to train")
    run.kill()
    yield ground.judge(trial, run)


def writes(ground: Ground, quick: bool) -> Iterator[Trial]:
    """Each write to the MLflow store, from the run's first to the decision's last.

    One job: it is killed before its first write, then before the second of what is left to do,
    and so on, until it ends before it is killed. Finished work is not done again, so all but the
    first are soon at the registration. The quick set makes longer steps.
    """
    ground.restore()
    trial = Trial("before each write")
    runs: list[Run] = []
    for write in itertools.count(0, 25 if quick else 3):
        run = ground.fork("retrain", *CHALLENGE, die_at=write)
        runs.append(run)
        if run.end() != -9:
            break
        found = ground.look()
        if found.champion not in (1, 2):
            trial.champion_intact = False
    trial.what += f", {len(runs)} kills"
    yield ground.judge(trial, *runs)


def moments(ground: Ground, quick: bool) -> Iterator[Trial]:
    """One training of a small BERT, killed again and again; each time it goes on."""
    ground.restore()
    folder = ground.folder / "weights"
    folder.mkdir()
    write_bert(folder, pretrained_weights.resolve(pretrained_weights.BUNDLED))
    arguments = ("retrain", *OPTIONS, *_TINY, "--json")
    for number in range(_FEW_MOMENTS if quick else _MOMENTS):
        trial = Trial(f"training, moment {number + 1}")
        run = ground.fork(*arguments)
        if run.says("training on the CPU"):
            time.sleep(ground.random.uniform(0, _SECONDS))
            run.kill()
        elif run.end() != 0:
            trial.faults.append("did not come to its training")
        trial.tracebacks = run.err.count("Traceback")
        state = ground.look()
        trial.champion_intact = state.champion is not None
        trial.doubled = state.twice
        yield trial
    yield ground.judge(Trial("training, to its end"), again=lambda: ground.fork(*arguments))
    shutil.rmtree(folder)
