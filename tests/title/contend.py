"""Contests that are killed at each write, or held at once: the script that test_crash.py runs.

Each step runs in a fork of this process, which opens no store itself. TensorFlow is loaded in no
fork, as the models' answers are cached, so forking is safe.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import shutil
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import mlflow.models.utils

from incumbent.decision import proof_and_ruling
from incumbent.retraining import registration
from incumbent.scoring import model_client
from incumbent.title import (
    approval_and_rollback,
    contest,
    evidence_gathering,
    undecided_challengers,
)
from incumbent.title.evidence_gathering import Challenge
from incumbent.title.ledger import Ledger
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_reads import CHAMPION
from incumbent.tracking.registry_writes import Registry
from tests.faults.cuts import die_at
from tests.warm import help_children

NAME = "reviews"
# MLflow loads what it logs, to try its example: ten seconds of TensorFlow for each point below.
mlflow.models.utils._validate_serving_input = lambda **_: None
# Whether a version answers as it did is another test's matter; here its answers are cached.
_score = model_client.score
model_client.score = lambda *given, **named: _score(*given, **{**named, "fresh": False})
_PATIENCE = 120  # seconds that contenders wait for one another


class Killed(Exception):
    """The fork was killed."""


def start(work: Callable[..., Any], *arguments: Any, kill_at: int | None = None) -> tuple[int, int]:
    """Run something in a fork; gives its process id and where its answer can be read."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    try:
        help_children()
        if kill_at is not None:
            die_at(kill_at)
        answer = work(*arguments)
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    except Exception:  # noqa: BLE001  told, whatever it is
        traceback.print_exc()
        os._exit(1)


def finish(child: int, reader: int) -> Any:
    """What the fork answers.

    Raises:
        Killed: if it was.
        RuntimeError: if it failed.
    """
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        raise Killed
    if status:
        raise RuntimeError("a fork failed; its traceback is above")
    return json.loads(answer)


def forked(work: Callable[..., Any], *arguments: Any, kill_at: int | None = None) -> Any:
    """Run something in a fork, to its end."""
    return finish(*start(work, *arguments, kill_at=kill_at))


def register(trained: Any) -> int:
    """Register a model, as the flow does; gives its version."""
    run = Runs(trained.config.tracking).start_run(NAME, {}, "test")
    return registration.register(
        trained.model, trained.result, trained.dataset, trained.config, trained.retraining, run, {}
    ).version


def hold_contest(trained: Any) -> int:
    """Decide about a registered model; gives the number of the entry."""
    registry = Registry()
    run = Runs(trained.config.tracking).start_run(NAME, {}, "test")
    entry, _ = contest.hold(registry, _challenge(registry, trained), run, {})
    return entry.number


def both(trained: Any) -> int:
    """The whole of it, as the same run again does."""
    register(trained)
    return hold_contest(trained)


def follow(left: Any, trained: Any) -> int:
    """Decide about a model that was left, before the one that was registered after it."""
    registry = Registry()
    run = Runs(trained.config.tracking).start_run(NAME, {}, "test")
    version = _challenge(registry, trained).version
    dataset, config = trained.dataset, trained.config
    entries = list(undecided_challengers.decide(registry, version, dataset, config, run, {}, _fail))
    assert {entry.run_digest for entry in entries} <= {left.retraining.digest}
    return len(entries)


def _fail(message: str, *values: object) -> None:
    raise AssertionError(message % values)


def approve(trained: Any) -> int | None:
    """Approve a version that waits, if it does still."""
    registry = Registry()
    version = _challenge(registry, trained).version.version
    if contest.adopt(Ledger(registry, NAME))[1][-1].decision == "waiting":
        approval_and_rollback.approve(registry, NAME, version, "seen")
    return champion()


def roll_back(_: Any) -> int | None:
    """Give the first version the title back, if it has not got it."""
    registry = Registry()
    holder, _ = contest.adopt(Ledger(registry, NAME))
    if holder is None or holder.version != 1:
        approval_and_rollback.rollback(registry, NAME, 1, "wrong answers")
    return champion()


def warm(trained: Any) -> int:
    """Have a registered model answer, so that nobody waits for it later."""
    registry = Registry()
    reign = Ledger(registry, NAME).reign()
    assert reign is not None
    champion = registry.by_alias(NAME, CHAMPION)
    return evidence_gathering.gather(
        registry, _challenge(registry, trained), champion, reign, []
    ).compared


def meet(trained: Any, all_decided: Any) -> int:
    """Decide about a model once all others are decided too; gives how often it had to be."""
    decide, times = proof_and_ruling.decide, 0

    def together(found: Any) -> Any:
        nonlocal times
        times += 1
        ruling = decide(found)
        if times == 1:
            all_decided.wait()
        return ruling

    proof_and_ruling.decide = together
    hold_contest(trained)
    return times


def _challenge(registry: Registry, trained: Any) -> Challenge:
    version = registry.find(NAME, trained.retraining.digest)
    assert version is not None
    return Challenge(version, trained.result, trained.dataset, trained.config)


def champion() -> int | None:
    """Whom consumers load."""
    found = Registry().by_alias(NAME, CHAMPION)
    return found.version if found else None


def adopted() -> bool:
    """Do what any later command does first; whether alias and ledger then agree."""
    ledger = Ledger(Registry(), NAME)
    holder, entries = contest.adopt(ledger)
    return (holder.version if holder else None) == entries[-1].champion


def state(trained: Any) -> dict[str, Any]:
    """What stands in the store about a model."""
    registry = Registry()
    entries = Ledger(registry, NAME).entries()
    mine = [entry for entry in entries if entry.run_digest == trained.retraining.digest]
    versions = [
        version
        for version in registry.versions(NAME)
        if version.tags.get("incumbent.run_digest") == trained.retraining.digest
    ]
    return {
        "decisions": [entry.decision for entry in mine],
        "last": [entry.decision for entry in entries if entry.version == entries[-1].version],
        "versions": len(versions),
        "ledger": entries[-1].champion,
        "tagged": versions[0].tags.get("incumbent.decision") if versions else None,
        "champion": champion(),
    }


def aftermath(again: Callable[..., Any], trained: Any) -> dict[str, Any]:
    """What a killed phase left, whether any command repairs it, and what the same again makes."""
    left, followed = champion(), adopted()
    again(trained)
    return {"left": left, "followed": followed, **state(trained)}


def at_each_write(
    template: Path, folder: Path, trained: Any, phase: Callable[..., Any], again: Callable[..., Any]
) -> list[dict[str, Any]]:
    """Kill the phase before its first write, its second, ...; what each left, and its repair."""
    found: list[dict[str, Any]] = []
    while True:
        store = folder / f"{len(found)}.db"
        shutil.copy(template, store)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{store}"
        killed = False
        try:
            forked(phase, trained, kill_at=len(found))
        except Killed:
            killed = True
        found.append(forked(aftermath, again, trained))
        store.unlink()
        if not killed:
            return found


def at_once(template: Path, folder: Path, contenders: list[Any]) -> dict[str, Any]:
    """Have several challengers contend at the same moment, each in a process of its own.

    All have decided, against the same champion, before any writes its decision.
    """
    store = folder / "at-once.db"
    shutil.copy(template, store)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{store}"
    for trained in contenders:
        forked(register, trained)
        forked(warm, trained)
    all_decided = multiprocessing.Barrier(len(contenders), timeout=_PATIENCE)
    started = [start(meet, trained, all_decided) for trained in contenders]
    return {"times": [finish(*fork) for fork in started], **forked(_log)}


def _log() -> dict[str, Any]:
    entries = Ledger(Registry(), NAME).entries()
    return {"entries": [e.model_dump(mode="json") for e in entries], "champion": champion()}


def main(kind: str, template: str, folder: str, contenders: str) -> None:
    """Print what was found, as JSON."""
    trained = pickle.loads(Path(contenders).read_bytes())  # noqa: S301  our own test wrote it
    store, place = Path(template), Path(folder)
    phases: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
        "register": (register, register),
        "contest": (hold_contest, both),
        "approve": (approve, approve),
        "roll-back": (roll_back, roll_back),
        "follow": (partial(follow, trained[0]), partial(follow, trained[0])),
    }
    found: Any
    if kind == "at-once":
        found = at_once(store, place, trained)
    else:
        found = at_each_write(store, place, trained[-1], *phases[kind])
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
