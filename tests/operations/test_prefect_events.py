"""What notices say, and that nobody waits for them."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from incumbent.operations import prefect_events
from incumbent.title.ledger import Entry
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
    assert prefect_events.plain(hostile) == harmless


def test_long_texts_are_cut() -> None:
    assert len(prefect_events.plain("x" * 10_000)) < 1600


def test_without_a_server_nothing_is_told_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert not prefect_events.emit(prefect_events.FAILED, "m", "s", "t", say=said.append)
    assert said == []
    address = f"http://127.0.0.1:{browser.free_port()}/api"
    monkeypatch.setenv("PREFECT_API_URL", address)
    assert not prefect_events.emit(prefect_events.FAILED, "m", "s", "t", say=said.append)
    assert f"No Prefect server answers at {address}" in said[0]
    monkeypatch.delenv("PREFECT_API_URL")
    assert not prefect_events.emit(
        prefect_events.FAILED, "m", "s", "t", say=said.append, address=address
    )
    assert f"No Prefect server answers at {address}" in said[1]


def test_a_decision_tells_how_many_rows_were_set_aside() -> None:
    taken: list[Any] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.extend(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    entry = Entry(
        after=0, decision="promoted", version=2, previous_champion=1, champion=2, reason="Better.",
        rule="r", time="t", who="w", reign=1,
    )  # fmt: skip
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/api"
        for rows in (0, 1, 1200):
            assert prefect_events.decided(entry, "m", address=address, set_aside=rows)
        server.shutdown()
    none, one, many = (event["payload"] for event in taken)
    assert "set aside" not in none["text"]
    assert one["text"].endswith("Better. 1 row was set aside from its training data.")
    assert many["text"].endswith("1,200 rows were set aside from its training data.")
    assert many["rows_set_aside"] == 1200
