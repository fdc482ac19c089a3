"""What notices say, and that nobody waits for them."""

from __future__ import annotations

import pytest

from incumbent.operations import events
from tests.web import browser


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("<!channel> look", "‹!channel› look"),
        ("<http://evil|your bank>", "‹http://evil¦your bank›"),
        ("[your bank](http://evil)", "[your bank] (http://evil)"),
        ("@everyone {{ secret }} `x`", "＠everyone (( secret )) 'x'"),
        ("a\x00\x1b[31mb\u202ec", "a[31mbc"),
        ("two\nlines  and\tspace", "two\nlines and space"),
    ],
)
def test_no_text_is_more_than_text(hostile: str, harmless: str) -> None:
    assert events.plain(hostile) == harmless


def test_long_texts_are_cut() -> None:
    assert len(events.plain("x" * 10_000)) < 1600


def test_without_a_server_nothing_is_told_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert not events.emit(events.FAILED, "m", "s", "t", say=said.append)
    assert said == []
    address = f"http://127.0.0.1:{browser.free_port()}/api"
    monkeypatch.setenv("PREFECT_API_URL", address)
    assert not events.emit(events.FAILED, "m", "s", "t", say=said.append)
    assert f"No Prefect server answers at {address}" in said[0]
    monkeypatch.delenv("PREFECT_API_URL")
    assert not events.emit(events.FAILED, "m", "s", "t", say=said.append, address=address)
    assert f"No Prefect server answers at {address}" in said[1]
