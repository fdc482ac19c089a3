"""A version whose run was killed before the decision: the next run decides, on any data."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from incumbent import explain, pending
from incumbent.registry import Registry, Version
from incumbent.runs import Run
from tests.title.arena import NAME, Arena, Stores, Trained
from tests.title.conftest import Open

pytestmark = pytest.mark.slow


@pytest.fixture
def challenged(opened: Open, stores: Stores) -> Arena:
    """The weak model is champion; the good one was registered by a run that then ended."""
    return opened(stores.challenged)


def decide(arena: Arena, version: Version, run: Run, trained: Trained, **changed: Any) -> list[str]:
    """What the next run decides, and what it says of versions that it cannot decide about."""
    said: list[str] = []
    given = {"dataset": trained.dataset, "config": trained.config, **changed}
    entries = pending.decide(
        arena.registry, version, run=run, about={}, say=lambda m, *v: said.append(m % v), **given
    )
    return [f"{entry.version} {entry.decision}" for entry in entries] + said


def test_it_is_decided_about_before_the_next_one(challenged: Arena, twin: Trained) -> None:
    version, run = challenged.register(twin)
    assert decide(challenged, version, run, twin) == ["2 promoted"]
    entry, champion = challenged.contest(twin, version, run)
    assert (entry.version, entry.decision, entry.previous_champion) == (3, "kept", 2)
    assert champion is not None
    assert champion.version == 2
    for number in (2, 3):  # each from its own evidence, though one run keeps both
        assert explain.explain(challenged.registry, NAME, number).differences == ()
    assert decide(challenged, version, run, twin) == []


def test_it_is_decided_about_where_none_of_its_files_are(
    challenged: Arena, twin: Trained, tmp_path: Path
) -> None:
    version, run = challenged.register(twin)
    tracking = twin.config.tracking.model_copy(update={"workdir": str(tmp_path / "elsewhere")})
    config = twin.config.model_copy(update={"tracking": tracking})
    assert decide(challenged, version, run, twin, config=config) == ["2 promoted"]


def test_without_its_test_rows_it_is_left_as_it_is(
    challenged: Arena, twin: Trained, tmp_path: Path
) -> None:
    version, run = challenged.register(twin)
    tracking = twin.config.tracking.model_copy(update={"workdir": str(tmp_path / "elsewhere")})
    config = twin.config.model_copy(update={"tracking": tracking})
    other = twin.dataset.test.model_copy(update={"digest": "0" * 64})
    dataset = twin.dataset.model_copy(update={"test": other})
    (said,) = decide(challenged, version, run, twin, config=config, dataset=dataset)
    assert "version 2, whose run ended before the decision, cannot be decided about" in said
    assert "are not here" in said
    assert [entry.version for entry in challenged.ledger.entries()] == [1]


def test_two_may_tag_the_same_version_at_the_same_time(one: Arena) -> None:
    """MLflow looks for a tag and then inserts it: of two that do so at once, one fails."""
    version = one.registry.version(NAME, 1)
    together = threading.Barrier(4)

    def tag(_: int) -> None:
        registry = Registry()
        for number in range(20):
            together.wait(timeout=60)
            registry.tag(version, {f"tried.{number}": "yes"})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(tag, range(4)))
    found = one.registry.version(NAME, 1).tags
    assert sum(key.startswith("tried.") for key in found) == 20
