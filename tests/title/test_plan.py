"""A test set is planned for though the evidence of its contests is gone."""

from typing import Any

import numpy as np
import pytest

from incumbent.errors import RegistryError
from incumbent.title import evidence_storage, test_set_plan
from incumbent.title.ledger import Entry
from tests.evaluation.cases import build, drawn


def entry(version: int) -> Entry:
    return Entry(
        after=0, decision="kept", version=version, previous_champion=1, champion=1, reason="",
        rule="superiority", time="", who="", reign=1, evidence_run_id=f"run {version}",
    )  # fmt: skip


def test_the_last_contest_whose_evidence_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, (ours, theirs) = drawn(np.random.default_rng(0), 600, (1.6, 1.4))
    evidence = build(truth, ours, theirs)

    def replay(_: Any, run_id: str, *__: object) -> Any:
        if run_id != "run 2":
            raise RegistryError("gone")
        return evidence

    monkeypatch.setattr(evidence_storage, "replay", replay)
    runs: Any = None
    found = test_set_plan._as_measured([entry(2), entry(3)], runs)
    assert found is not None
    differ = (ours.argmax(axis=1) == truth) != (theirs.argmax(axis=1) == truth)
    assert found[0].disagreement == pytest.approx(differ.mean())
    assert found[0].alike > 0
    assert found[1:] == (600, 2)
    assert test_set_plan._as_measured([entry(3)], runs) is None
