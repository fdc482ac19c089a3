"""Who takes the title, and what is written down about it: real models in a real store."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import mlflow
import pandas as pd
import pytest

from incumbent.config import PromotionConfig
from incumbent.decision import proof_and_ruling
from incumbent.decision.evidence import Evidence, Role
from incumbent.errors import ConfigError, DataRefused
from incumbent.title import (
    approval_and_rollback,
    contest,
    evidence_storage,
    explanation,
    timeline_plot,
)
from incumbent.title.ledger import reign_of
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_reads import CHAMPION
from tests.title.arena import NAME, Arena, Train, Trained, manual

pytestmark = pytest.mark.slow


def replayed(run_id: str | None, folder: Path) -> Evidence:
    assert run_id is not None
    return evidence_storage.replay(Runs(), run_id, folder)


def test_the_first_model_takes_the_title_and_pins_the_test_set(one: Arena, weak: Trained) -> None:
    (entry,) = one.ledger.entries()
    assert (entry.decision, entry.rule, entry.champion) == ("promoted", "first champion", 1)
    assert one.champion() == 1
    tags = mlflow.MlflowClient(one.store, one.store).get_registered_model(NAME).tags
    assert tags["incumbent.test_digest"] == weak.dataset.test.digest
    assert one.registry.version(NAME, 1).tags["incumbent.decision"] == "promoted"


def test_a_better_model_takes_it_by_proof_and_an_equal_one_does_not(three: Arena) -> None:
    _, better, equal = three.ledger.entries()
    assert better.decision == "promoted"
    assert (better.previous_champion, better.champion) == (1, 2)
    assert better.comparison is not None
    assert better.allowance is not None
    assert better.comparison.p_value < better.allowance.level
    assert better.comparison.accuracy.value > 0
    assert equal.decision == "kept"
    assert three.champion() == equal.champion == 2
    assert [gate.name for gate in equal.gates if gate.blocks] == ["superiority"]
    reign = three.ledger.reign()
    assert reign is not None
    assert [contest.passed for contest in reign.contests] == [True, False]


def test_the_champion_is_scored_by_its_own_predictor(
    two: Arena, weak: Trained, tmp_path: Path
) -> None:
    entry = two.ledger.entries()[-1]
    found = replayed(entry.evidence_run_id, tmp_path)
    theirs = weak.result.measured.accuracy.value
    assert entry.champion_accuracy == pytest.approx(theirs)
    assert found.scored(Role.CHAMPION).right.mean() == pytest.approx(theirs)


def test_a_decision_is_computed_again_from_what_is_stored(three: Arena, tmp_path: Path) -> None:
    for entry in three.ledger.entries():
        ruling = proof_and_ruling.decide(
            replayed(entry.evidence_run_id, tmp_path / str(entry.number))
        )
        assert ruling.decision == entry.decision
        assert ruling.gates == entry.gates
        assert ruling.comparison == entry.comparison
        found = explanation.explain(three.registry, NAME, entry.version)
        assert found.recomputed == entry.decision
        assert found.differences == ()
    with pytest.raises(ConfigError, match="Nothing was decided about version 9"):
        explanation.explain(three.registry, NAME, 9)


def test_forged_evidence_is_noticed(two: Arena) -> None:
    entry = two.ledger.entries()[-1]
    address = Runs().client.get_run(str(entry.evidence_run_id)).info.artifact_uri
    folder = Path(url2pathname(urlparse(address).path)) / evidence_storage.DECISION
    honest = (folder / "rows.parquet").read_bytes()
    rows = pd.read_parquet(folder / "rows.parquet")
    for name in ("neg", "pos"):  # as if the challenger had answered what the champion did
        rows[f"challenger:{name}"] = rows[f"champion:{name}"]
    try:
        rows.to_parquet(folder / "rows.parquet", index=False)
        again = explanation.explain(two.registry, NAME, 2)
    finally:
        (folder / "rows.parquet").write_bytes(honest)
    assert again.recomputed == "kept"
    assert again.differences[0] == "the stored evidence was changed after the decision"
    assert any("the decision was promoted" in said for said in again.differences)


def test_another_test_set_is_refused_or_begins_a_new_reign(
    one: Arena, weak: Trained, train: Train
) -> None:
    other = train(data={"sample": 1000}, training={"epochs": 3}, promotion={"new_reign": True})
    with pytest.raises(DataRefused, match="is not the frozen one") as refused:
        contest.check_test_set(one.registry, NAME, other.dataset.test, new_reign=False)
    for said in (other.dataset.test.digest[:12], weak.dataset.test.digest[:12], "new_reign=true"):
        assert said in str(refused.value)
    contest.check_test_set(one.registry, NAME, other.dataset.test, new_reign=True)
    contest.check_test_set(one.registry, NAME, weak.dataset.test, new_reign=False)
    entry = one.enter(other)
    assert (entry.new_reign, entry.reign) == (True, 2)
    assert entry.comparison is not None
    reign = one.ledger.reign()
    assert reign is not None
    assert reign.test_digest == other.dataset.test.digest
    assert len(reign.contests) == 1
    best = max(entry.accuracy["value"] if entry.decision == "promoted" else 0.0,
               entry.champion_accuracy or 0.0)  # fmt: skip
    assert reign.best_accuracy == pytest.approx(best)


def test_the_same_run_is_decided_once(two: Arena, good: Trained) -> None:
    entry = two.enter(good)
    assert entry.number == 2
    assert len(two.ledger.entries()) == 2
    assert [v.version for v in two.registry.versions(NAME)] == [2, 1]


def test_an_alias_moved_by_hand_is_respected_and_recorded(two: Arena) -> None:
    two.registry.set_alias(two.registry.version(NAME, 1), CHAMPION)
    champion, _ = contest.adopt(two.ledger)
    assert champion is not None
    assert champion.version == two.champion() == 1
    last = two.ledger.entries()[-1]
    assert (last.decision, last.previous_champion, last.champion) == ("moved by hand", 2, 1)
    contest.adopt(two.ledger)
    assert len(two.ledger.entries()) == 3
    two.registry.client.delete_registered_model_alias(NAME, CHAMPION)
    assert contest.adopt(two.ledger)[0] is None
    assert two.ledger.entries()[-1].champion is None
    assert two.champion() is None


def test_an_alias_moved_by_hand_during_a_contest_is_left_alone(
    two: Arena, twin: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide, moved = proof_and_ruling.decide, []

    def meanwhile(found: Evidence) -> proof_and_ruling.Ruling:
        if not moved:
            two.registry.set_alias(two.registry.version(NAME, 1), CHAMPION)
            moved.append(True)
        return decide(found)

    monkeypatch.setattr(proof_and_ruling, "decide", meanwhile)
    entry = two.enter(twin)
    by_hand = two.ledger.entries()[-2]
    assert (by_hand.decision, by_hand.champion) == ("moved by hand", 1)
    assert entry.previous_champion == 1  # the decision was made again, against who was there
    assert two.champion() == entry.champion
    if entry.decision == "promoted":
        assert approval_and_rollback.rollback(two.registry, NAME, None, "back").champion == 1


def test_a_test_set_that_comes_back_keeps_what_was_spent(three: Arena) -> None:
    entries = three.ledger.entries()
    last = entries[-1]
    other = last.model_copy(update={"number": 4, "after": 3, "reign": 2, "test_digest": "other",
                                    "new_reign": True})  # fmt: skip
    away = reign_of([*entries, other])
    assert away is not None
    assert (away.number, len(away.contests)) == (2, 1)
    back = reign_of([*entries, other], last.test_digest)
    assert back is not None
    assert (back.number, len(back.contests)) == (3, 2)
    assert back.best_accuracy == three.ledger.reign().best_accuracy  # type: ignore[union-attr]


def test_manual_mode_waits_for_approval(one: Arena, good: Trained) -> None:
    waiting = one.enter(manual(good))
    assert waiting.decision == "waiting"
    assert one.champion() == 1
    reign = one.ledger.reign()
    assert reign is not None
    assert [contest.passed for contest in reign.contests] == [False]
    with pytest.raises(ConfigError, match=r"not wait for approval: it is promoted. Waiting: 2"):
        approval_and_rollback.approve(one.registry, NAME, 1, "why not")
    approved = approval_and_rollback.approve(one.registry, NAME, 2, "looks right")
    assert (approved.decision, approved.champion, approved.reason) == ("approved", 2, "looks right")
    assert one.champion() == 2
    reign = one.ledger.reign()
    assert reign is not None
    assert [contest.passed for contest in reign.contests] == [True]
    assert reign.best_accuracy == pytest.approx(good.result.measured.accuracy.value)
    with pytest.raises(ConfigError, match="it is approved"):
        approval_and_rollback.approve(one.registry, NAME, 2, "again")


def test_approval_is_void_once_another_is_champion(one: Arena, good: Trained) -> None:
    assert one.enter(manual(good)).decision == "waiting"
    one.registry.client.delete_registered_model_alias(NAME, CHAMPION)
    with pytest.raises(ConfigError, match="proved itself against version 1, and the champion is"):
        approval_and_rollback.approve(one.registry, NAME, 2, "late")
    assert one.champion() is None


def test_a_rollback_goes_to_the_champion_before_and_is_no_seesaw(two: Arena) -> None:
    back = approval_and_rollback.rollback(two.registry, NAME, None, "wrong answers")
    assert (back.decision, back.champion, back.reason) == ("rolled back", 1, "wrong answers")
    assert two.champion() == 1
    with pytest.raises(ConfigError, match="no champion to go back to"):
        approval_and_rollback.rollback(two.registry, NAME, None, "again")
    with pytest.raises(ConfigError, match="is the champion already"):
        approval_and_rollback.rollback(two.registry, NAME, 1, "again")
    with pytest.raises(ConfigError, match="never was champion"):
        approval_and_rollback.rollback(two.registry, NAME, 7, "again")
    assert approval_and_rollback.rollback(two.registry, NAME, 2, "it was right").champion == 2
    assert two.champion() == 2


def test_a_first_champion_has_nobody_to_go_back_to(one: Arena) -> None:
    with pytest.raises(ConfigError, match="no champion to go back to"):
        approval_and_rollback.rollback(one.registry, NAME, None, "reason")


def test_the_ledger_tells_who_when_and_on_what(three: Arena, twin: Trained, tmp_path: Path) -> None:
    entries = three.ledger.entries()
    entry = entries[-1]
    assert entry.who
    assert entry.time.endswith("+00:00")
    assert entry.train_digest == twin.dataset.train.digest
    assert len(entry.evidence_digest) == 64
    log = three.registry.versions(f"{NAME}.ledger")
    assert [v.version for v in log] == [3, 2, 1]
    assert json.loads(log[0].tags["incumbent.entry"])["version"] == entry.version
    assert three.registry.names() == [NAME]
    path = timeline_plot.draw(entries, tmp_path / "history.png", NAME)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_budget_is_spent_by_contests_against_one_champion(three: Arena) -> None:
    first, second = three.ledger.entries()[1:]
    assert first.allowance is not None
    assert second.allowance is not None
    rules = PromotionConfig()
    assert (first.allowance.contest, second.allowance.contest) == (1, 2)
    for k, entry in enumerate((first, second), start=1):
        assert entry.allowance is not None
        assert entry.allowance.spent == pytest.approx(rules.alpha * k / (k + rules.half_life))
    assert second.allowance.level > first.allowance.level  # what was won is spent no longer
