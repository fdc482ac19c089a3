"""The flow that looks while nobody does."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.states import State

from incumbent import health
from incumbent.registry import CHAMPION
from tests.title.arena import NAME, Arena

pytestmark = pytest.mark.slow


def _look(**settings: float) -> State:
    from flows.monitor import monitor

    found: State = monitor(min_free_gib=0.0, return_state=True, **settings)
    return found


def test_all_is_well_and_then_it_is_not(
    two: Arena, prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    state = _look()
    assert (state.type.value, state.message) == ("COMPLETED", "All is well.")
    state = _look(max_age_days=0.0)
    assert (state.type.value, state.name) == ("FAILED", "Wrong")
    assert "reviews: the champion, version 2, is 0 days old" in str(state.message)

    # Its files are no longer those that were registered, and somebody moved the alias.
    champion = two.registry.version(NAME, 2)
    two.registry.tag(champion, {"incumbent.predictor_digest": "0" * 64})
    message = str(_look().message)
    assert "reviews: the champion cannot be relied on" in message
    assert "its files are not those that were registered" in message
    two.registry.set_alias(two.registry.version(NAME, 1), CHAMPION)
    message = str(_look().message)
    assert (
        "the ledger says that the champion is version 2, and the alias is with version 1" in message
    )


def test_what_stays_wrong_is_told_once_a_day(tmp_path: Path) -> None:
    told = tmp_path / "monitor" / "told.json"
    old, full = "m: the champion is 31 days old", "1.5 GiB are free"
    assert health.news([old, full], told, 24) == [old, full]
    assert health.news(["m: the champion is 32 days old", "1.4 GiB are free"], told, 24) == []
    assert health.news([full], told, 24) == []
    assert health.news([old, full], told, 24) == [old]  # it was over, and is back
    assert health.news([old], told, 0) == [old]
    told.write_text("[")
    assert health.news([old], told, 24) == [old]
