"""What the ledger says of a reign: what was spent, and whom a challenger must not be far below."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from incumbent.data.datasets import Split
from incumbent.decision.error_budget import Allowance
from incumbent.decision.evidence import Reign
from incumbent.decision.proof_and_ruling import Comparison
from incumbent.errors import DataRefused
from incumbent.evaluation.paired_tests import McNemar
from incumbent.evaluation.wilson_and_bootstrap import Estimate
from incumbent.title.contest import _same_test_set
from incumbent.title.ledger import Entry, Ledger, reign_of
from incumbent.tracking.registry_reads import Version
from incumbent.tracking.registry_writes import Registry

ALLOWED = Allowance(contest=1, critical=2.5, level=0.006, loading=0.7, spent=0.007)


def compared(gain: float) -> Comparison:
    """A comparison in which the accuracy differed by so much."""
    return Comparison(
        rows=1000, seen_exactly_or_nearly=0, mcnemar=McNemar(gained=0, lost=0, p_value=1),
        accuracy=Estimate(value=gain, low=gain, high=gain), gain=gain, z=0, p_value=1,
    )  # fmt: skip


class Log:
    """A ledger as it grows: who holds the title, and by which entries."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.champion: int | None = None

    def add(self, decision: Any, version: int, champion: int | None, **known: Any) -> None:
        self.entries.append(
            Entry(
                after=len(self.entries), number=len(self.entries) + 1, decision=decision,
                version=version, previous_champion=self.champion, champion=champion, reason="",
                rule="", time="2026-01-05T06:00:00", who="someone", reign=1, test_digest="frozen",
                **known,
            )
        )  # fmt: skip
        self.champion = champion

    def first(self, version: int, accuracy: float) -> None:
        value = {"value": accuracy, "low": accuracy, "high": accuracy}
        self.add("promoted", version, version, accuracy=value)

    def contest(self, version: int, gain: float, *, won: bool, accuracy: float = 0.8) -> None:
        value = {"value": accuracy, "low": accuracy, "high": accuracy}
        self.add(
            "promoted" if won else "kept", version, version if won else self.champion,
            accuracy=value, comparison=compared(gain), allowance=ALLOWED,
        )  # fmt: skip

    def back(self, version: int) -> None:
        self.add("rolled back", version, version)

    @property
    def reign(self) -> Reign:
        found = reign_of(self.entries)
        assert found is not None
        return found


@pytest.fixture
def log() -> Log:
    return Log()


def test_the_lead_adds_up_from_contest_to_contest(log: Log) -> None:
    log.first(1, 0.97)  # on rows that it has trained on
    log.contest(2, 0.02, won=True)
    assert log.reign.lead == 0
    log.contest(3, -0.004, won=True)
    log.contest(4, 0.5, won=False)
    log.contest(5, -0.003, won=True)
    assert log.reign.lead == pytest.approx(0.007)


def test_a_rollback_undoes_a_win(log: Log) -> None:
    """The deposed version leaves no floor, and its contest gives nothing back."""
    log.first(1, 0.85)
    log.contest(2, 0.12, won=True, accuracy=0.97)
    assert (log.reign.best_accuracy, log.reign.contests[0].passed) == (0.97, True)
    log.back(1)
    assert (log.reign.best_accuracy, log.reign.lead) == (0.85, 0)
    assert [contest.passed for contest in log.reign.contests] == [False]
    log.contest(3, 0.02, won=True, accuracy=0.87)
    assert (log.reign.best_accuracy, log.reign.lead) == (0.87, 0)
    assert [contest.passed for contest in log.reign.contests] == [False, True]


def test_a_rollback_of_a_rollback_brings_the_win_back(log: Log) -> None:
    log.first(1, 0.85)
    log.contest(2, 0.03, won=True, accuracy=0.88)
    log.back(1)
    log.back(2)
    assert log.reign.best_accuracy == 0.88
    assert log.reign.contests[0].passed


def test_who_is_taken_away_by_hand_is_not_deposed(log: Log) -> None:
    log.first(1, 0.85)
    log.add("moved by hand", 1, None)
    assert log.reign.best_accuracy == 0.85


def test_versions_that_no_chain_of_contests_joins_do_not_compare(log: Log) -> None:
    log.first(1, 0.8)
    log.contest(2, 0.05, won=True)
    log.add("moved by hand", 7, 7)
    assert log.reign.lead == 0
    log.contest(8, 0.01, won=True)
    assert log.reign.lead == 0


def test_who_lost_and_was_made_champion_by_hand_leaves_the_best_where_it_was(log: Log) -> None:
    log.first(1, 0.8)
    log.contest(2, 0.02, won=True)
    log.contest(3, -0.03, won=False)
    log.add("moved by hand", 3, 3)
    assert log.reign.lead == pytest.approx(0.03)


class Numbered:
    """A registry that holds a ledger's entries by their numbers."""

    def __init__(self, entries: list[Entry]) -> None:
        self.stored = {entry.number: entry.model_dump_json(exclude={"number"}) for entry in entries}

    def versions(self, name: str) -> list[Version]:
        return [
            Version(
                name=name, version=number, run_id=None, source="", created=0, aliases=(),
                tags={"incumbent.entry": text},
            )
            for number, text in sorted(self.stored.items(), reverse=True)
        ]  # fmt: skip


def ledger(registry: Numbered) -> Ledger:
    return Ledger(cast(Registry, registry), "reviews")


def test_entries_after_one_that_was_deleted_stand(log: Log) -> None:
    log.first(1, 0.85)
    log.contest(2, 0.01, won=False)
    log.contest(3, 0.03, won=True)
    log.contest(4, 0.01, won=False)
    registry = Numbered(log.entries)
    assert ledger(registry).missing() == []
    del registry.stored[2]
    assert [entry.version for entry in ledger(registry).entries()] == [1, 3, 4]
    assert ledger(registry).missing() == [2]


def test_an_entry_that_was_overtaken_is_void_all_the_same(log: Log) -> None:
    log.first(1, 0.85)
    log.contest(2, 0.01, won=False)
    late = log.entries[-1].model_copy(update={"number": 3, "version": 9})
    assert [e.version for e in ledger(Numbered([*log.entries, late])).entries()] == [1, 2]


def test_what_a_deleted_entry_overtook_stays_void(log: Log) -> None:
    log.first(1, 0.85)
    log.contest(2, 0.03, won=True)
    late = log.entries[-1].model_copy(update={"number": 3, "version": 9, "champion": 9})
    after = [
        log.entries[-1].model_copy(update={"number": number, "after": before, "version": number})
        for number, before in ((4, 2), (5, 4))
    ]
    registry = Numbered([*log.entries, late, *after])
    del registry.stored[2]
    assert [entry.number for entry in ledger(registry).entries()] == [1, 4, 5]


def test_a_kind_of_entry_that_is_not_known_is_read_for_whom_it_makes_champion(log: Log) -> None:
    log.first(1, 0.85)
    log.add("anointed", 2, 2)
    log.contest(3, 0.01, won=False)
    entries = ledger(Numbered(log.entries)).entries()
    assert [(entry.decision, entry.champion) for entry in entries] == [
        ("promoted", 1), ("anointed", 2), ("kept", 2),
    ]  # fmt: skip


def test_a_champion_that_mlflow_alone_made_pins_no_test_set(log: Log) -> None:
    log.add("moved by hand", 1, 1)
    log.entries[0] = log.entries[0].model_copy(update={"test_digest": ""})
    test = Split(path=Path("test.parquet"), source="test.csv", digest="frozen", rows=9, labels={})
    _same_test_set(reign_of(log.entries), "reviews", test, new_reign=False)
    begun = reign_of(log.entries, "frozen")
    assert begun is not None
    assert (begun.number, begun.contests) == (1, ())
    other = reign_of([*log.entries, log.entries[0].model_copy(update={"test_digest": "another"})])
    with pytest.raises(DataRefused, match="is not the frozen one"):
        _same_test_set(other, "reviews", test, new_reign=False)
