"""Servers that ask for a login, a run by hostile data, and the way back from a backup, for real.

Secrets are planted wherever one may come from, and then looked for in all that was written.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import ROOT, settings
from tests.small_servers import serving
from tests.up.machine import Machine

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warmed")]

LOGIN = "owner:planted-login-secret"
READER = "reader:planted-data-secret"
SIGNATURE = "sig=planted-signature"
HOSTILE = (
    '<script>alert("x")</script> <img src=x onerror=alert(1)> a good film',
    "![picture](https://evil.example/x.png) [link](javascript:alert(1)) a bad film",
    '=HYPERLINK("https://evil.example","click") a good film',
    "| a | table | </td></tr> `code` **bold** a bad film",
)
QUICK = settings(
    "training.model=nbsvm", "training.learning_rate=0.01", "training.epochs=2",
    "evaluation.bootstrap_samples=100", "promotion.min_accuracy=0.3",
    "promotion.min_gain_over_baseline=-1", "promotion.on_baseline=off",
)  # fmt: skip


def reviews(seed: int, rows: int = 240) -> bytes:
    """Reviews of words by chance, a word that tells, and hostile ones; the same by seed."""
    chance = random.Random(seed)  # noqa: S311
    lines = ["text,label"]
    for number in range(rows):
        good = number % 2 == 0
        words = " ".join(f"w{chance.randrange(300)}" for _ in range(12))
        text = f"{words} {'good' if good else 'bad'} film"
        if number < 4:
            text = f"{HOSTILE[number]} {words}"
        quoted = text.replace('"', '""')
        lines.append(f'"{quoted}",{"pos" if good else "neg"}')
    return "\n".join(lines).encode()


class Store(BaseHTTPRequestHandler):
    """Gives reviews to whoever knows the login and the signature."""

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(READER.encode()).decode()
        if self.headers.get("Authorization") != wanted or SIGNATURE not in self.path:
            self.send_error(403)
            return
        body = reviews(1 if "train" in self.path else 2)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def data() -> Iterator[str]:
    """The address of a server that has the reviews, with a login in it."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Store)) as address:
        yield address.replace("://", f"://{READER}@")


@pytest.fixture(scope="module")
def machine(
    tmp_path_factory: pytest.TempPathFactory, databases: Path, warmed: None
) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("machine") / "incumbent")
    # As the documentation has it: Prefect's database under the home folder.
    del machine.environment["PREFECT_HOME"]
    home = machine.folder.parent / "home"
    (home / ".prefect").mkdir(parents=True)
    (machine.folder / "mlruns").mkdir()
    shutil.copy(databases / "prefect.db", home / ".prefect")
    shutil.copy(databases / "mlflow.db", machine.folder / "mlruns")
    machine.environment["HOME"] = str(home)
    machine.environment["INCUMBENT_AUTH"] = LOGIN
    try:
        machine.up()
        yield machine
    finally:
        assert machine.run("down").returncode == 0
        assert machine.left() == []


@pytest.fixture(scope="module")
def retrained(machine: Machine, data: str) -> str:
    """What a retraining with secrets on all sides printed; the servers are stopped after it."""
    planted = machine.environment | {
        "INCUMBENT_AUTH": "",
        "MLFLOW_TRACKING_URI": machine.mlflow.replace("://", f"://{LOGIN}@"),
        "PREFECT_API_URL": machine.api,
        "PREFECT_API_AUTH_STRING": LOGIN,
        "INCUMBENT_DATABASE_URL": "postgresql://owner:planted-database-secret@127.0.0.1/x",
        "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
    }
    done = subprocess.run(
        [sys.executable, "-m", "incumbent", "retrain", "--json", *QUICK, "--set",
         f"data.train={data}/train.csv?{SIGNATURE}", "--set",
         f"data.test={data}/test.csv?{SIGNATURE}"],
        cwd=machine.folder, env=planted, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["decision"] == "promoted", done.stdout
    return done.stdout + done.stderr


def test_whoever_has_no_login_is_told_so(machine: Machine) -> None:
    addresses = {"PREFECT_API_URL": machine.api, "MLFLOW_TRACKING_URI": machine.mlflow}
    found = machine.run("status", "--json", INCUMBENT_AUTH="", **addresses)
    wrong = " ".join(json.loads(found.stdout)["wrong"])
    assert "MLflow at " in wrong
    assert wrong.count("set INCUMBENT_AUTH to its user:password") == 2
    done = machine.run("up", INCUMBENT_AUTH="owner:another-secret")
    assert done.returncode == 2
    assert "runs with another login: set INCUMBENT_AUTH to that" in done.stderr
    done = machine.run("up", INCUMBENT_AUTH="")
    assert done.returncode == 2
    assert "login: owner, not none" in done.stderr
    assert "another-secret" not in done.stderr


def test_no_artifact_of_prefect_renders_what_a_review_says(
    machine: Machine, retrained: str
) -> None:
    found = machine.ask("artifacts/filter", {})
    texts: list[str] = []
    for artifact in found:
        if artifact["type"] == "markdown":
            texts.append(artifact["data"])
        elif artifact["type"] == "table":
            texts += [cell for row in json.loads(artifact["data"]) for cell in row.values()
                      if isinstance(cell, str)]  # fmt: skip
    assert any("onerror" in text for text in texts)
    for text in texts:
        loose = re.sub(r"\\.", "", text)  # what is escaped is text
        assert "<" not in loose
        assert "![" not in loose
        assert "evil.example" not in loose
        assert "javascript:" not in loose


def test_no_page_runs_what_a_review_says(machine: Machine, retrained: str) -> None:
    pages = list(machine.folder.rglob("*.html"))
    assert any(page.name == "report.html" for page in pages)
    for page in pages:
        html = page.read_text("utf-8")
        assert "<script>alert" not in html, page
        assert "<img src=x" not in html, page
        assert "href=javascript" not in html.replace('"', ""), page


def test_no_secret_is_written_or_shown(machine: Machine, retrained: str) -> None:
    for process in machine.left():
        assert b"planted" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
    encoded = [base64.b64encode(text.encode()).rstrip(b"=") for text in (LOGIN, READER)]
    wanted = [b"planted-", *encoded]
    assert "planted-" not in retrained
    folder = machine.folder.parent
    told = [
        (file, word)
        for file in folder.rglob("*")
        if file.is_file() and ROOT not in file.resolve().parents
        for content in [file.read_bytes()]
        for word in wanted
        if word in content
    ]
    assert told == []
    assert (machine.folder / "mlruns" / "users.db").stat().st_mode & 0o077 == 0


def test_a_backup_brings_the_champion_back(machine: Machine, retrained: str) -> None:
    """By the commands of the documentation, to the same place and to another."""
    assert machine.run("down").returncode == 0
    documentation = (ROOT / "docs" / "operations.md").read_text("utf-8")
    (back_up,) = re.findall(r"^\$ (tar -czf .*)$", documentation, re.MULTILINE)
    (restore,) = re.findall(r"^\$ (tar -xzf .*)$", documentation, re.MULTILINE)
    (move,) = re.findall(r"(?ms)^(\.venv/bin/python - .*?^EOF)$", documentation)
    home, archive = Path(machine.environment["HOME"]), machine.folder / "backup.tar.gz"
    _shell(machine, back_up, machine.folder)
    with tarfile.open(archive) as packed:
        assert {".prefect/prefect.db", "mlruns/mlflow.db"} <= set(packed.getnames())
    before = machine.json("predict", "a good film", "a bad film")

    gone = machine.folder.parent / "gone"
    machine.folder.rename(gone)
    home.rename(machine.folder.parent / "gone-home")
    home.mkdir()
    other = Machine(machine.folder)
    (other.folder / "backup.tar.gz").write_bytes((gone / "backup.tar.gz").read_bytes())
    _shell(machine, restore, other.folder)
    assert (home / ".prefect" / "prefect.db").is_file()
    assert machine.json("predict", "a good film", "a bad film") == before

    elsewhere = Machine(machine.folder.parent / "elsewhere")
    _shell(machine, restore, elsewhere.folder, backup=archive)
    machine.folder.rename(machine.folder.parent / "gone-too")
    move = move.replace("/srv/incumbent", str(machine.folder)).replace(
        "/srv/other", str(elsewhere.folder)
    )
    _shell(machine, move.replace(".venv/bin/python", sys.executable), elsewhere.folder)
    assert elsewhere.json("predict", "a good film", "a bad film") == before
    machine.folder.mkdir()


def _shell(machine: Machine, command: str, folder: Path, backup: Path | None = None) -> None:
    if backup:
        command = command.replace("backup.tar.gz", str(backup))
    done = subprocess.run(
        ["bash", "-euc", command], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "HOME": machine.environment["HOME"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
