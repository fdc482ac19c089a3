"""`incumbent serve` as a process of its own, asked over HTTP while the title moves."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import small_models
from tests.conftest import ROOT
from tests.serve_process import Server

pytestmark = pytest.mark.slow

GOOD = {1: 0.8807970779778823, 2: 0.9525741268224334}  # what "good" weighs: 2.0 and 3.0
TOKEN = "0123456789abcdef"  # noqa: S105  of a test


@pytest.fixture(scope="module")
def made(databases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store: of `reviews` version 1 is champion, and 2 and 3 are to come."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "mlruns").mkdir()
    shutil.copy(databases / "mlflow.db", folder / "mlruns")
    uri = f"sqlite:///{folder}/mlruns/mlflow.db"
    small_models.register(folder / "one", uri=uri, good=2.0)
    small_models.register(folder / "two", uri=uri, good=3.0, champion=False)
    small_models.register(folder / "three", uri=uri, good=4.0, champion=False)
    small_models.register(folder / "other", "others", uri=uri, good=3.0)
    small_models.register(folder / "without", "without", uri=uri, champion=False)
    return folder


@pytest.fixture(scope="module")
def uri(made: Path) -> str:
    return f"sqlite:///{made}/mlruns/mlflow.db"


@pytest.fixture(scope="module")
def crown(uri: str) -> Callable[..., None]:
    """Give a version of `reviews` the title."""
    from mlflow import MlflowClient

    client = MlflowClient(uri, uri)
    return lambda version: client.set_registered_model_alias("reviews", "champion", str(version))


@pytest.fixture(scope="module")
def server(made: Path, uri: str) -> Iterator[Server]:
    server = Server(made, uri, "--max-rows", "5", "--max-characters", "100", "--max-body", "0.01")
    yield server
    server.stop()


def test_it_answers_as_mlflow_does(server: Server, uri: str) -> None:
    import mlflow
    from mlflow.pyfunc import scoring_server
    from starlette.testclient import TestClient

    before = dict(os.environ), mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        model = mlflow.pyfunc.load_model("models:/reviews@champion")
        theirs = TestClient(scoring_server.init(model))
        split = {"columns": ["id", "Reviews"], "data": [["bad", "good"], ["", None]]}
        for body in (
            {"inputs": ["so good", None, " ", "bad bad"]},
            {"inputs": ["so good"], "params": {"version": True}},
            {"inputs": {"id": ["bad"], "Reviews": ["good"]}},
            {"instances": ["good", "bad"]},
            {"instances": [{"id": "bad", "Reviews": "good"}]},
            {"dataframe_records": [{"id": "bad", "Reviews": "good"}]},
            {"dataframe_split": split},
            {"inputs": []},
        ):
            then, now = (asked.post("/invocations", json=body) for asked in (theirs, server.http))
            assert (then.status_code, now.status_code) == (200, 200), now.text
            assert then.json() == now.json()
            assert then.headers["content-type"] == now.headers["content-type"]
        csv = {"content-type": "text/csv"}
        table = "id,Reviews\nbad,so good\ngood,\n"
        then, now = (
            asked.post("/invocations", content=table, headers=csv)
            for asked in (theirs, server.http)
        )
        assert then.json() == now.json()
        for path in ("/ping", "/health", "/version"):
            then, now = theirs.get(path), server.http.get(path)
            assert (then.status_code, then.content) == (now.status_code, now.content)
        wrong = {"dataframe_records": [{"id": "a", "body": "b"}]}
        then, now = (asked.post("/invocations", json=wrong) for asked in (theirs, server.http))
        assert then.status_code == now.status_code == 400
        assert "no column 'Reviews'" in now.json()["message"]
    finally:
        os.environ.clear()
        os.environ.update(before[0])
        mlflow.set_tracking_uri(before[1])


def test_it_speaks_the_open_inference_protocol(server: Server) -> None:
    assert server.http.get("/v2").json()["name"] == "incumbent"
    assert server.http.get("/v2/health/live").json() == {"live": True}
    assert server.http.get("/v2/health/ready").json() == {"ready": True}
    about = server.http.get("/v2/models/reviews").json()
    assert about["inputs"] == [{"name": "Reviews", "datatype": "BYTES", "shape": [-1]}]
    tensor = {"name": "Reviews", "datatype": "BYTES", "shape": [2], "data": ["good", "bad"]}
    asked = {"id": "7", "inputs": [tensor], "outputs": [{"name": "label"}]}
    version = about["versions"][0]
    for path in ("/v2/models/reviews/infer", f"/v2/models/reviews/versions/{version}/infer"):
        answer = server.http.post(path, json=asked)
        assert answer.json() == {
            "model_name": "reviews", "model_version": version, "id": "7",
            "outputs": [
                {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["pos", "neg"]}
            ],
        }  # fmt: skip
    for path in ("/v2/models/reviews/versions/99/infer", "/v2/models/nobody/infer"):
        answer = server.http.post(path, json=asked)
        assert (answer.status_code, list(answer.json())) == (404, ["error"])
    wrong = server.http.post("/v2/models/reviews/infer", json={**asked, "outputs": [{"name": "x"}]})
    assert (wrong.status_code, wrong.json()["error"][:12]) == (400, "no output 'x")


def test_the_calls_that_the_docs_show_are_answered(server: Server) -> None:
    page = (ROOT / "docs" / "consumers.md").read_text(encoding="utf-8")
    calls = re.findall(r"(?m)^\$ (curl (?:.*\\\n)*.*)$", page)
    assert len(calls) == 3
    for call in calls:
        call = call.replace("http://127.0.0.1:8080", server.address)
        done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        assert answer.keys() & {"predictions", "outputs"}, answer


def test_requests_that_hold_too_much_are_refused(server: Server) -> None:
    assert server.ask(*["good"] * 5).status_code == 200
    rows = server.ask(*["good"] * 6)
    assert (rows.status_code, "6 texts were sent; 5" in rows.json()["message"]) == (413, True)
    text = server.ask("good", "x" * 101)
    assert (text.status_code, "row 1 has 101" in text.json()["message"]) == (413, True)
    body = server.http.post("/invocations", content=b"x" * 20_000)
    assert (body.status_code, "more than 10,485 bytes" in body.json()["message"]) == (413, True)
    parts = server.http.post("/invocations", content=iter([b"x" * 9_000] * 3))
    assert parts.status_code == 413
    assert server.http.post("/invocations", content="a", headers={"content-type": "text/plain"}
                            ).status_code == 415  # fmt: skip


def test_a_new_champion_takes_over_without_a_dropped_or_mixed_answer(
    server: Server, crown: Callable[..., None]
) -> None:
    found: list[tuple[int, int, list[float]]] = []
    stop = threading.Event()

    def hammer() -> None:
        with httpx.Client(base_url=server.address, timeout=30) as client:
            while not stop.is_set():
                answer = client.post("/invocations", json={"inputs": ["good"] * 3})
                rows = answer.json()["predictions"] if answer.status_code == 200 else []
                version = int(answer.headers.get("x-model-version", 0))
                told = [row["probability_pos"] for row in rows]
                found.append((answer.status_code, version, told))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in (2, 1):  # and back, as by `incumbent rollback`
        crown(version)
        while server.logged("version in service")["version"] != version:
            pass
        time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join()
    assert {status for status, _, _ in found} == {200}
    assert {version for _, version, _ in found} == {1, 2}
    for _, version, told in found:
        assert told == pytest.approx([GOOD[version]] * 3)
    assert server.metric('incumbent_swaps_total{model="reviews"}') >= 2
    assert server.metric('incumbent_model_version{model="reviews"}') == 1


def test_a_champion_that_is_not_what_was_registered_is_refused(
    server: Server, crown: Callable[..., None], made: Path
) -> None:
    from mlflow import MlflowClient

    store = f"sqlite:///{made}/mlruns/mlflow.db"
    client = MlflowClient(store, store)
    source = client.get_model_version("reviews", "3").source
    files = made / "mlruns" / "artifacts" / "models" / source.removeprefix("models:/")
    damaged = files / "artifacts" / "artifacts" / "predictor" / "words.json"
    kept = damaged.read_text(encoding="utf-8")
    damaged.write_text('{"good": 2, "bad": 1}', encoding="utf-8")
    refused = server.metric('incumbent_swaps_refused_total{model="reviews"}')
    try:
        crown(3)
        said = server.logged("version refused")
        assert (said["version"], said["kept"]) == (3, 1)
        assert "not those that were registered" in said["reason"]
        assert server.ask("good").headers["x-model-version"] == "1"
        assert server.metric('incumbent_swaps_refused_total{model="reviews"}') == refused + 1
    finally:
        damaged.write_text(kept, encoding="utf-8")
        crown(1)


def test_a_registry_that_is_away_changes_nothing(server: Server, made: Path) -> None:
    with sqlite3.connect(made / "mlruns" / "mlflow.db", isolation_level=None) as database:
        database.execute("begin exclusive")  # nobody else reads it now
        assert server.logged("registry away")["model"] == "reviews"
        assert server.ask("good").headers["x-model-version"] == "1"
        assert server.http.get("/v2/health/ready").status_code == 200
        database.execute("rollback")
    assert server.ask("good").status_code == 200


def test_a_client_that_sends_too_slowly_does_not_hold_a_connection(made: Path, uri: str) -> None:
    # The limit is ten seconds for users, too long for a test: the class is asked directly.
    import asyncio

    from uvicorn import Config
    from uvicorn.protocols.http.auto import AutoHTTPProtocol
    from uvicorn.server import ServerState

    from incumbent.serving.http_server import _patient

    async def slow() -> bytes:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"here"})

        config = Config(app, http=_patient(AutoHTTPProtocol, 0.2), log_config=None)
        config.load()
        state = ServerState()
        server = await asyncio.get_running_loop().create_server(
            lambda: config.http_protocol_class(config, state, {}), "127.0.0.1", 0
        )
        async with server:
            where = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*where)
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"here" in await reader.readuntil(b"here")
            writer.write(b"GET / HTTP/1.1\r\n")  # and no more of it
            rest = await asyncio.wait_for(reader.read(), 5)
            writer.close()
            return rest

    assert b"here" not in asyncio.run(slow())


def test_a_client_that_does_not_read_or_sends_headers_for_ever_is_left() -> None:
    import asyncio

    from incumbent.serving import http_server

    class Transport(asyncio.Transport):
        aborted = False

        def abort(self) -> None:
            self.aborted = True

        def close(self) -> None: ...

    class Protocol(asyncio.Protocol):
        cycle = None

        def connection_made(self, transport: Any) -> None:
            self.transport, self.loop = transport, asyncio.get_running_loop()

    async def connections() -> tuple[bool, bool, bool]:
        made = []
        for _ in range(3):
            made.append(http_server._patient(Protocol, 0.05)())
            made[-1].connection_made(Transport())
        stuck, slow, endless = made
        stuck.pause_writing()
        slow.pause_writing()
        slow.resume_writing()
        for _ in range(17):
            endless.data_received(b"x" * 65_536)
        await asyncio.sleep(0.2)
        return stuck.transport.aborted, slow.transport.aborted, endless.transport.aborted

    assert asyncio.run(connections()) == (True, False, True)


def test_what_is_asked_when_it_is_told_to_stop_is_answered(made: Path, uri: str) -> None:
    server = Server(made, uri, "--model", "others", "--model", "reviews")
    several = server.ask("good")
    assert (several.status_code, "/models/NAME/invocations" in several.text) == (400, True)
    for name, version in (("reviews", "1"), ("others", "1")):
        answer = server.http.post(f"/models/{name}/invocations", json={"inputs": ["good"]})
        assert (answer.status_code, answer.headers["x-model-name"]) == (200, name)
        assert answer.headers["x-model-version"] == version
    body = json.dumps({"inputs": ["good"]}).encode()
    head = (
        "POST /models/reviews/invocations HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode()
    port = int(server.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(head + body[:5])
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        client.sendall(body[5:])
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert server.process.wait(60) == 0


def test_a_token_is_asked_for_and_no_text_is_logged(made: Path, uri: str, tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=localhost", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    server = Server(
        made, uri, "--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"),
        INCUMBENT_SERVE_TOKEN=TOKEN,
    )  # fmt: skip
    assert server.address.startswith("https://")
    assert server.ask("a secret text").status_code == 401
    assert server.http.get("/metrics").status_code == 401
    assert server.http.get("/v2/health/ready").status_code == 200
    server.http.headers["authorization"] = f"Bearer {TOKEN}"
    assert server.ask("a secret text").status_code == 200
    assert server.http.post("/invocations", content="secret").status_code == 400
    assert "components" in server.http.get("/openapi.json").json()
    assert "<h1>" in server.http.get("/docs").text
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 130
    logged = []
    while line := server.lines.get(timeout=10):
        logged.append(line)
    assert any('"event": "request"' in line for line in logged)
    assert "secret" not in "".join(logged)


def fails(folder: Path, uri: str, *options: str, **settings: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "incumbent", "serve", *options], cwd=folder, check=False,
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "MLFLOW_TRACKING_URI": uri, **settings},
    )  # fmt: skip
    return done.returncode, done.stderr


def test_what_is_wrong_is_said_in_one_line(made: Path, uri: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = fails(made, uri, "--port", port)
    assert (code, said.count("\n")) == (2, 1)
    assert f"Nothing can listen at 127.0.0.1:{port}: " in said
    for options, expected in (
        (["--model", "nobody"], "No model 'nobody' is registered"),
        (["--model", "without"], "No version of 'without' has the alias 'champion'"),
        (["--tls-cert", "cert.pem"], "--tls-cert and --tls-key belong together"),
    ):
        code, said = fails(made, uri, "--port", "0", *options)
        assert (code, said.count("\n")) == (2, 1), said
        assert expected in said


def test_a_first_champion_that_is_damaged_is_not_served(made: Path, uri: str) -> None:
    folder = made / "damaged"
    small_models.register(folder, "damaged", uri=uri, good=5.0)
    from mlflow import MlflowClient

    client = MlflowClient(uri, uri)
    source = client.get_model_version("damaged", "1").source
    place = client.get_logged_model(source.removeprefix("models:/")).artifact_location
    Path(place.removeprefix("file://"), "predictor.py").write_text("raise SystemExit", "utf-8")
    code, said = fails(made, uri, "--port", "0", "--model", "damaged")
    assert code == 4
    (last,) = (line for line in said.splitlines() if line.startswith("incumbent: "))
    assert "Version 1 of damaged is not served: its files are not those that were" in last
