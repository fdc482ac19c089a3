"""The flow that looks while nobody does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from incumbent.errors import NotWell, StageTimedOut
from incumbent.operations import monitored_troubles, prefect_events, status
from incumbent.operations.status import Status, Title
from incumbent.tracking.registry_reads import CHAMPION
from tasks.check_health import page
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
    with pytest.raises(NotWell) as raised:
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
    full = monitored_troubles.troubles("disk", "/", ["# <b>full</b>"])
    found = Status(servers=[], scheduled=[], running=[], models=[title], troubles=full)
    shown = page(found)
    assert shown.startswith("# One thing is wrong")
    assert "\\<img src=x\\> \\[a\\]" in shown
    assert "- \\# \\<b\\>full" in shown


@pytest.mark.parametrize(
    ("error", "subjects"),
    [
        (NotWell("the disk is full"), []),
        (RuntimeError("unforeseen"), ["monitor: the run failed"]),
    ],
)
def test_what_it_did_not_foresee_is_told_too(
    prefect_server: None, here: Path, monkeypatch: pytest.MonkeyPatch, error: Exception,
    subjects: list[str],
) -> None:  # fmt: skip
    from flows import monitor as flow

    def fail(*_: object) -> Status:
        raise error

    emitted: list[Any] = []
    monkeypatch.setattr(flow, "examine", fail)
    monkeypatch.setattr(prefect_events, "emit", lambda *given: emitted.append(given) or True)
    state = flow.monitor(return_state=True)
    # By its message `status` tells them apart.
    assert ("NotWell: " in str(state.message)) == (not subjects)
    assert [subject for _, _, subject, *_ in emitted] == subjects
    assert [text for *_, text, _ in emitted] == [str(error)] * len(subjects)


def test_that_it_hangs_is_told(
    prefect_server: None, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows import monitor as flow

    emitted: list[Any] = []
    monkeypatch.setattr(flow, "_HOURS", 0.5 / 3600)
    monkeypatch.setattr(status, "look", lambda *_: time.sleep(60))
    monkeypatch.setattr(prefect_events, "emit", lambda *given: emitted.append(given) or True)
    with pytest.raises(StageTimedOut):
        flow.monitor()
    ((event, name, _, said, _),) = emitted
    assert (event, name) == (prefect_events.FAILED, "monitor")
    assert said.startswith("The flow monitor took longer than")
