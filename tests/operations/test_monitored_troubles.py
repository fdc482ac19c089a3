"""What is wrong is told once a day, and most of all when little works."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from incumbent.errors import IncumbentError, StageTimedOut
from incumbent.operations import monitored_troubles, prefect_events, status
from incumbent.operations.monitored_troubles import Trouble
from incumbent.operations.status import Status, Title
from incumbent.title import approval_and_rollback
from incumbent.tracking.registry_reads import Version

FULL = Trouble(kind="disk", subject="/srv", text="1.5 GiB are free in /srv")
OLD = [
    Trouble(kind=status.OLD, subject=f"intents-{i}", text=f"intents-{i}: it is {30 + i} days old")
    for i in (1, 2)
]


def test_what_stays_wrong_is_told_once_a_day(tmp_path: Path) -> None:
    path = tmp_path / "monitor" / "told.json"

    def told(*found: Trouble, hours: float = 24) -> list[Trouble]:
        due = monitored_troubles.news(found, path, hours)
        monitored_troubles.remember(found, due, path)
        return due

    assert told(*OLD, FULL) == [*OLD, FULL]
    changed = [one.model_copy(update={"text": f"another {one.text}"}) for one in (*OLD, FULL)]
    assert told(*changed) == []
    assert told(FULL) == []
    assert told(*OLD, FULL) == OLD  # they were over, and are back
    assert told(FULL, hours=0) == [FULL]
    path.write_text("[")
    assert told(FULL) == [FULL]


def test_what_nobody_took_is_told_again(tmp_path: Path) -> None:
    path = tmp_path / "told.json"
    monitored_troubles.remember([*OLD, FULL], [FULL], path)
    assert monitored_troubles.news([*OLD, FULL], path, 24) == OLD
    monitored_troubles.remember([*OLD, FULL], OLD[:1], path)
    assert monitored_troubles.news([*OLD, FULL], path, 24) == OLD[1:]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the log has; there is no page."""
    from tasks import show  # imports Prefect

    lines: list[str] = []
    monkeypatch.setattr(show, "say", lambda text, *values: lines.append(text % values))
    monkeypatch.setattr(show, "markdown", lambda *_: None)
    return lines


FOUND = Status(
    servers=[], scheduled=[], running=[], troubles=[*OLD, FULL],
    models=[Title(model_name=one.subject, champion=3, age=31.0) for one in OLD],
)  # fmt: skip


def _tell() -> None:
    from tasks import check_health

    check_health.tell.fn(FOUND, 24.0)


def test_a_full_disk_is_told_though_nothing_can_be_kept(
    here: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    emitted: list[tuple[Any, ...]] = []
    monkeypatch.setattr(prefect_events, "emit", lambda *given, **_: not emitted.append(given))
    monkeypatch.setattr(monitored_troubles, "write_atomically", full)
    _tell()
    assert [given[:2] for given in emitted] == [
        (prefect_events.CHAMPION_OLD, "intents-1"), (prefect_events.CHAMPION_OLD, "intents-2"),
        (prefect_events.WRONG, "monitor"),
    ]  # fmt: skip
    assert FULL.text in emitted[-1]
    assert "told.json cannot be written (No space left on device)" in said[-1]


def test_only_what_a_server_took_counts_as_told(
    here: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        prefect_events, "emit", lambda event, *_, **__: event == prefect_events.WRONG
    )
    _tell()
    told = json.loads((here / ".incumbent" / "monitor" / "told.json").read_text())
    assert list(told) == [FULL.key]


def _version() -> Version:
    return Version(name="m", version=1, run_id="r", aliases=(), tags={}, created=0.0, source="x")


def test_a_champion_that_cannot_be_asked_is_one_trouble_among_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(approval_and_rollback, "verify", fail)
    error: Exception = OSError(errno.ENOSPC, "No space left on device", "/srv/x.parquet")
    (full,) = monitored_troubles.champion(None, _version())  # type: ignore[arg-type]
    assert full.text.startswith("m: the champion could not be asked. No space left on device: /srv")
    error = IncumbentError("It differs.")
    (differs,) = monitored_troubles.champion(None, _version())  # type: ignore[arg-type]
    assert "cannot be relied on. It differs." in differs.text
    assert differs.key != full.key
    error = StageTimedOut("it hangs")
    with pytest.raises(StageTimedOut):
        monitored_troubles.champion(None, _version())  # type: ignore[arg-type]
