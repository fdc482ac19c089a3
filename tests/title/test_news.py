"""What happens to a title, told: on a real Prefect server, to receivers of this test."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from incumbent.cli import main
from incumbent.errors import ConfigError
from incumbent.operations import notice_channels, prefect_events
from incumbent.servers import part_launcher
from incumbent.servers.ports_and_commands import FOLDER
from incumbent.servers.prefect_api_client import PrefectApi
from tests.conftest import ROOT
from tests.small_servers import serving
from tests.title.arena import Arena
from tests.web import browser

pytestmark = pytest.mark.slow

_SECONDS = 120  # that a server may take to start, or a notice to come, on a busy machine
_ALL = notice_channels.load(ROOT / notice_channels.FILE)


class _Receiver(HTTPServer):
    """A webhook that keeps what it gets."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Post)
        self.got: list[dict[str, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=planted"


class _Post(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class _Mailbox(socketserver.ThreadingTCPServer):
    """Just enough of an SMTP server to take a mail."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Mail)
        self.got: list[str] = []


class _Mail(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Mailbox)
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper().strip()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                mail = b""
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    mail += part
                self.server.got.append(mail.decode())
            self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server on a free port; its API's address."""
    home, port = tmp_path_factory.mktemp("prefect"), browser.free_port()
    address = f"http://127.0.0.1:{port}/api"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    log = (home / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
        env={**environment, "PREFECT_HOME": str(home)}, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        _wait(lambda: part_launcher.answers(f"{address}/health"))
        yield address
    finally:
        process.terminate()
        process.wait()
        log.close()


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    server = _Receiver()
    with serving(server):
        yield server


@pytest.fixture
def mailbox() -> Iterator[_Mailbox]:
    server = _Mailbox()
    with serving(server):
        yield server


def _wait(there: Any) -> None:
    end = time.monotonic() + _SECONDS
    while not there():
        assert time.monotonic() < end, f"it did not come in {_SECONDS} s"
        time.sleep(0.2)


def _automations(server: str) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        f"{server}/automations/filter", b"{}", {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def test_a_rollback_arrives_by_webhook_and_mail(
    two: Arena, server: str, receiver: _Receiver, mailbox: _Mailbox,
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("PREFECT_API_URL", server)
    mail = f"mailto://127.0.0.1:{mailbox.server_address[1]}?from=a@b.example&to=owner@b.example"
    settings = {
        "PREFECT_API_URL": server,
        "INCUMBENT_NOTICE_WEBHOOK": receiver.address,
        "INCUMBENT_NOTICE_EMAIL": mail,
    }
    told = notice_channels.apply(_ALL, settings)
    assert told["rolled-back"] == ["email", "webhook"]
    notice_channels.apply(_ALL, settings)  # again, and nothing is there twice
    ours = sorted(a["name"] for a in _automations(server))
    assert ours == sorted(f"incumbent: {notice}" for notice in told)
    assert "planted" not in json.dumps(_automations(server))

    reason = "wrong <http://evil|refunds> {{ body }} @channel"
    with pytest.raises(SystemExit) as ended:
        main.main(["rollback", "--to", "1", "--reason", reason])
    assert ended.value.code == 0, capfd.readouterr().err
    assert two.champion() == 1
    _wait(lambda: receiver.got and mailbox.got)
    (notice,) = receiver.got
    assert notice["subject"] == "incumbent: reviews version 1 rolled back"
    assert "The champion was version 2." in notice["text"]
    assert "wrong ‹http://evil¦refunds› (( body )) ＠channel" in notice["text"]
    (mail,) = mailbox.got
    assert "To: owner@b.example" in mail
    assert "reviews version 1 rolled back" in mail

    # A channel that is gone takes its notices with it.
    assert notice_channels.sent(PrefectApi(server))
    assert set(map(tuple, notice_channels.apply(_ALL, {"PREFECT_API_URL": server}).values())) == {
        ()
    }
    assert _automations(server) == []
    assert not notice_channels.sent(PrefectApi(server))


def test_a_title_moved_beside_the_servers_of_this_folder_is_told_there(
    two: Arena, server: str, receiver: _Receiver, here: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", two.store)
    notice_channels.apply(
        _ALL, {"PREFECT_API_URL": server, "INCUMBENT_NOTICE_WEBHOOK": receiver.address}
    )
    record = here / FOLDER / "up.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"prefect": server.removesuffix("/api")}))
    with pytest.raises(SystemExit) as ended:
        main.main(["rollback", "--to", "1", "--reason", "wrong answers"])
    assert ended.value.code == 0, capfd.readouterr().err
    _wait(lambda: receiver.got)
    assert receiver.got[0]["subject"] == "incumbent: reviews version 1 rolled back"


def test_hostile_names_arrive_as_text(
    server: str, receiver: _Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", server)
    notice_channels.apply(
        _ALL, {"PREFECT_API_URL": server, "INCUMBENT_NOTICE_WEBHOOK": receiver.address}
    )
    name = '"}, {{ event.id }} <b>'
    assert prefect_events.emit(prefect_events.REFUSED, name, f"{name} was refused", "{% raw %}")
    _wait(lambda: receiver.got)
    (notice,) = receiver.got
    assert notice["subject"] == 'incumbent: "), (( event.id )) ‹b› was refused'
    assert notice["text"] == "(% raw %)"


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("INCUMBENT_NOTICE_SLACK", "hooks.slack.com/x"),
        ("INCUMBENT_NOTICE_EMAIL", "owner@b.example"),
        ("INCUMBENT_NOTICE_WEBHOOK", "ftp://x"),
    ],
)
def test_an_address_that_is_none_is_not_shown(server: str, variable: str, address: str) -> None:
    with pytest.raises(ConfigError, match=f"{variable} is no address") as raised:
        notice_channels.apply(_ALL, {"PREFECT_API_URL": server, variable: address})
    assert address not in str(raised.value)
