"""`incumbent serve` as a process of its own."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import ROOT


class Server:
    """A server, what it logged, and a client for it."""

    def __init__(
        self, folder: Path, store: str, *options: str, scheme: str = "http",
        python: str = sys.executable, **settings: str,
    ) -> None:  # fmt: skip
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "INCUMBENT_"))}
        self.process = subprocess.Popen(
            [python, "-m", "incumbent", "serve", "--port", "0", "--check", "0.2", *options],
            cwd=folder, stderr=subprocess.PIPE, text=True,
            env={**kept, "MLFLOW_TRACKING_URI": store, "PYTHONPATH": str(ROOT), **settings},
        )  # fmt: skip
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.address = self.logged("listening")["address"]
        self.http = httpx.Client(base_url=self.address, verify=False, timeout=30)  # noqa: S501
        self.logged("ready")

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.put(line)
        self.lines.put("")

    def logged(self, event: str) -> dict[str, Any]:
        """The next line of its log of this event."""
        while line := self.lines.get(timeout=120):
            if line.startswith("{") and json.loads(line)["event"] == event:
                return dict(json.loads(line))
        raise AssertionError(f"it ended before {event}")

    def ask(self, *texts: str | None, **more: Any) -> httpx.Response:
        return self.http.post("/invocations", json={"inputs": texts, **more})

    def metric(self, name: str) -> float:
        lines = self.http.get("/metrics").text.splitlines()
        (found,) = (line for line in lines if line.startswith(name))
        return float(found.rpartition(" ")[2])

    def stop(self) -> int:
        self.http.close()
        self.process.terminate()
        return self.process.wait(60)
