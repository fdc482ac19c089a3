"""The flow that looks while nobody does."""

from __future__ import annotations

from pathlib import Path

import pytest

from incumbent import health, status
from incumbent.errors import StageError
from incumbent.registry import CHAMPION
from incumbent.status import Status, Title
from tasks.examine import page
from tests.title.arena import NAME, Arena

pytestmark = pytest.mark.slow


def test_all_is_well_and_then_it_is_not(
    two: Arena, prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.monitor import monitor

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert monitor(min_free_gib=0.0).wrong == []

    # The champion is old, its files are not those that were registered, and the alias is astray.
    champion = two.registry.version(NAME, 2)
    two.registry.tag(champion, {"incumbent.predictor_digest": "0" * 64})
    with pytest.raises(StageError) as raised:
        monitor(min_free_gib=0.0, max_age_days=0.0)
    said = str(raised.value)
    assert "reviews: the champion, version 2, is 0 days old, more than 0" in said
    assert "reviews: the champion cannot be relied on" in said
    assert "its files are not those that were registered" in said
    two.registry.set_alias(two.registry.version(NAME, 1), CHAMPION)
    found = status.look({"MLFLOW_TRACKING_URI": two.store}, tmp_path, min_free=0.0)
    (said,) = found.wrong
    assert "the ledger says that the champion is version 2, and the alias is with version 1" in said


def test_the_page_is_text(tmp_path: Path) -> None:
    title = Title(model_name="m", champion=1, age=2.0, version=1, decision="promoted",
                  reason="<img src=x> [a](http://evil) | x")  # fmt: skip
    found = Status(servers=[], scheduled=[], running=[], models=[title], wrong=["# <b>full</b>"])
    shown = page(found)
    assert shown.startswith("# One thing is wrong")
    assert "\\<img src=x\\> \\[a\\]" in shown
    assert "- \\# \\<b\\>full" in shown


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
