"""A version whose run was killed before the decision: the next run decides, on any data."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest

from incumbent.title import contest, explanation, undecided_challengers
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_reads import CHAMPION, Version
from incumbent.tracking.registry_writes import Registry
from tests.title.arena import NAME, Arena, Stores, Train, Trained
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
    entries = undecided_challengers.decide(
        arena.registry, version, run=run, about={}, say=lambda m, *v: said.append(m % v), **given
    )
    return [f"{entry.version} {entry.decision}" for entry in entries] + said


def test_it_is_decided_about_before_the_next_one(challenged: Arena, twin: Trained) -> None:
    version, run = challenged.register(twin)
    assert decide(challenged, version, run, twin) == ["2 promoted"]
    entry, champion = challenged.hold_contest(twin, version, run)
    assert (entry.version, entry.decision, entry.previous_champion) == (3, "kept", 2)
    assert champion is not None
    assert champion.version == 2
    for number in (2, 3):  # each from its own evidence, though one run keeps both
        assert explanation.explain(challenged.registry, NAME, number).differences == ()
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


@pytest.mark.parametrize("name", ["challenge.json", "probabilities.parquet"])
def test_what_cannot_be_read_is_left_and_said(challenged: Arena, twin: Trained, name: str) -> None:
    left = challenged.registry.version(NAME, 2)
    address = Runs().client.get_run(str(left.run_id)).info.artifact_uri
    file = Path(url2pathname(urlparse(address).path)) / "challenge" / name
    whole = file.read_bytes()
    version, run = challenged.register(twin)
    try:
        file.write_bytes(whole[:100])
        (said,) = decide(challenged, version, run, twin)
    finally:
        file.write_bytes(whole)
    assert "what its run kept cannot be read" in said


def test_so_late_it_begins_no_reign(one: Arena, train: Train, twin: Trained) -> None:
    other = train(data={"sample": 1000}, promotion={"new_reign": True})
    one.register(other)
    version, run = one.register(twin)
    (said,) = decide(one, version, run, twin)
    assert "another test set than the frozen one" in said
    assert [entry.version for entry in one.ledger.entries()] == [1]


def test_who_was_given_the_title_by_hand_is_not_tried(challenged: Arena, twin: Trained) -> None:
    challenged.registry.set_alias(challenged.registry.version(NAME, 2), CHAMPION)
    version, run = challenged.register(twin)
    assert decide(challenged, version, run, twin) == []
    assert [entry.decision for entry in challenged.ledger.entries()] == [
        "promoted", "moved by hand",
    ]  # fmt: skip


def test_the_same_run_trained_again_elsewhere_is_judged_as_it_was_registered(
    challenged: Arena, good: Trained, weak: Trained
) -> None:
    """Its files are gone, and what it trains now is another model than the registered one."""
    again = replace(weak, config=good.config, retraining=good.retraining)
    version, run = challenged.register(again)
    assert version.version == 2
    challenge = undecided_challengers.challenge(
        version, again.result, again.dataset, again.config, ()
    )
    entry, _ = contest.hold(challenged.registry, challenge, run, {})
    assert (entry.version, entry.decision) == (2, "promoted")
    assert entry.accuracy["value"] == good.result.measured.accuracy.value
