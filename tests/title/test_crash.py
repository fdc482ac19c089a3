"""Killed at any write, or run twice at once: one decision, one version, always a champion."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.title.arena import Arena, Stores, Trained, manual
from tests.title.conftest import Open

pytestmark = pytest.mark.slow


def contend(kind: str, store: Path, folder: Path, *contenders: Trained) -> Any:
    """Run tests/title/contend.py, and give what it found."""
    file = folder / "contenders.pickle"
    file.write_bytes(pickle.dumps(list(contenders)))
    done = subprocess.run(
        [sys.executable, "-m", "tests.title.contend", kind, store, folder, file],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_killed_at_any_write_of_the_registration(
    stores: Stores, twin: Trained, tmp_path: Path
) -> None:
    found = contend("register", stores.two, tmp_path, twin)
    assert len(found) > 10, "few writes were found to be killed at"
    for point in found:
        assert point["left"] == point["champion"] == 2, point  # never without a champion
        assert point["versions"] == 1, point
        assert point["decisions"] == [], point


def test_killed_at_any_write_of_a_promotion(stores: Stores, good: Trained, tmp_path: Path) -> None:
    found = contend("contest", stores.challenged, tmp_path, good)
    assert len(found) > 5, "few writes were found to be killed at"
    for point in found:
        assert point["left"] in (1, 2), point  # the old champion or the new one, never neither
        assert point["followed"], point
        assert point["versions"] == 1, point
        assert point["decisions"] == ["promoted"], point
        assert point["champion"] == point["ledger"] == 2, point
        assert point["tagged"] == "promoted", point
    assert {point["left"] for point in found} == {1, 2}  # killed before the move, and after it


def test_killed_at_any_write_of_a_rollback(stores: Stores, good: Trained, tmp_path: Path) -> None:
    found = contend("roll-back", stores.two, tmp_path, good)
    assert len(found) > 4, "few writes were found to be killed at"
    for point in found:
        assert point["left"] in (1, 2), point
        assert point["followed"], point
        assert point["champion"] == point["ledger"] == 1, point
        assert point["last"] == ["promoted", "rolled back"], point  # once
    assert {point["left"] for point in found} == {1, 2}


def test_killed_at_any_write_of_an_approval(one: Arena, good: Trained, tmp_path: Path) -> None:
    waiting = manual(good)
    assert one.enter(waiting).decision == "waiting"
    found = contend("approve", one.file, tmp_path, waiting)
    assert len(found) > 4, "few writes were found to be killed at"
    for point in found:
        assert point["left"] in (1, 2), point
        assert point["followed"], point
        assert point["champion"] == point["ledger"] == 2, point
        assert point["last"] == ["waiting", "approved"], point
    assert {point["left"] for point in found} == {1, 2}


def test_killed_as_it_decides_about_a_version_that_a_killed_run_left(
    opened: Open, stores: Stores, good: Trained, twin: Trained, tmp_path: Path
) -> None:
    arena = opened(stores.challenged)
    arena.register(twin)
    found = contend("follow", arena.file, tmp_path, good, twin)
    assert len(found) > 5, "few writes were found to be killed at"
    for point in found:
        assert point["left"] in (1, 2), point
        assert point["followed"], point
        assert point["versions"] == 1, point
        assert point["champion"] == point["ledger"] == 2, point
        assert point["last"] == ["promoted"], point  # the version that was left, once
    assert {point["left"] for point in found} == {1, 2}


def test_challengers_at_the_same_moment_are_decided_one_after_the_other(
    stores: Stores, good: Trained, twin: Trained, tmp_path: Path
) -> None:
    third = replace(twin, retraining=twin.retraining.model_copy(update={"digest": "3" * 64}))
    found = contend("at-once", stores.one, tmp_path, good, twin, third)
    entries = found["entries"]
    assert sorted(entry["version"] for entry in entries[1:]) == [2, 3, 4]  # each decided, once
    for before, entry in itertools.pairwise(entries):
        assert entry["after"] == before["number"]
        assert entry["previous_champion"] == before["champion"]  # against who held it then
    assert found["champion"] == entries[-1]["champion"]
    # Only one could be right the first time: each of the others was made again, once or twice.
    assert sorted(found["times"])[0] == 1
    assert all(times > 1 for times in sorted(found["times"])[1:])
