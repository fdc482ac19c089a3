"""Addresses whose names tell nothing: the contents say what it is."""

from __future__ import annotations

import gzip
import http.server
import io
import threading
from collections.abc import Iterator

import fsspec
import numpy as np
import pandas as pd
import pytest

from incumbent.config import DataConfig
from incumbent.errors import DataError
from incumbent.tables import fsspec_files, training_files

KINDS = ("csv", "semicolons", "xlsx", "json", "parquet", "gz")
_FEW, _MANY = 2, 30_000


def contents(kind: str, rows: int) -> bytes:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({
        "text": [f"text {row} {random.bytes(200).hex()}" for row in range(rows)],
        "label": ["pos", "neg"] * (rows // 2),
    })  # fmt: skip
    stream = io.BytesIO()
    if kind == "xlsx":
        frame.to_excel(stream, index=False)
    elif kind == "json":
        frame.to_json(stream, orient="records")
    elif kind == "parquet":
        frame.to_parquet(stream)
    else:
        frame.to_csv(stream, index=False, sep=";" if kind == "semicolons" else ",")
    return gzip.compress(stream.getvalue()) if kind == "gz" else stream.getvalue()


class Plain(http.server.BaseHTTPRequestHandler):
    """As scripts answer: the whole from its beginning, often without its length."""

    answers: dict[str, bytes]

    def do_GET(self) -> None:
        found = self.answers.get(self.path)
        self.send_response(200 if found else 404)
        if found and "length" in self.path:
            self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    Plain.answers = {f"/export?id={kind}": contents(kind, _FEW) for kind in KINDS}
    Plain.answers["/export.php?id=csv&length=1"] = contents("csv", _FEW)
    Plain.answers["/many?length=1"] = contents("parquet", _MANY)  # more than is fetched at once
    Plain.answers["/many"] = Plain.answers["/many?length=1"]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def rows(address: str) -> int:
    assert training_files.expand_test(address) == training_files.expand(address) == (address,)
    frame = pd.concat(training_files.parts((address,), DataConfig()))
    assert set(frame["label"]) == {"pos", "neg"}
    return len(frame)


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_web_server(server: str, kind: str) -> None:
    assert rows(f"{server}/export?id={kind}") == _FEW


def test_of_a_web_server_that_says_more_or_less(server: str) -> None:
    assert rows(f"{server}/export.php?id=csv&length=1") == _FEW
    assert rows(f"{server}/many") == rows(f"{server}/many?length=1") == _MANY
    with pytest.raises(DataError, match=r"There is no file http.*/nothing"):
        rows(f"{server}/nothing?id=secret")


def test_a_stream_that_does_not_end(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsspec_files, "_MAX_COPIED", 1 << 20)
    with pytest.raises(DataError, match="gives more than 0 GiB; at most that is read from the web"):
        rows(f"{server}/many")


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_store(kind: str) -> None:
    fsspec.filesystem("memory").pipe(f"/addresses/{kind}", contents(kind, _FEW))
    assert rows(f"memory://addresses/{kind}") == _FEW
