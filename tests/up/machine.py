"""A project folder of its own with real servers on free ports."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from incumbent.runtime import server_login
from incumbent.servers import supervisord
from incumbent.servers.ports_and_commands import FOLDER
from tests.conftest import ROOT, Place
from tests.web import browser

_RUN_SECONDS = 400  # that a small run may take on a busy machine


class Machine(Place):
    """A place that `incumbent up` works in; `ports` are those of Prefect and MLflow."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("flows", "tasks", "deployments"):
            (folder / name).symlink_to(ROOT / name)
        self.up_folder = folder / FOLDER
        self.ports = (browser.free_port(), browser.free_port())
        self.environment |= {
            "INCUMBENT_PREFECT_PORT": str(self.ports[0]),
            "INCUMBENT_MLFLOW_PORT": str(self.ports[1]),
        }
        for name in ("INCUMBENT_DATABASE_URL", "INCUMBENT_AUTH"):
            self.environment.pop(name, None)
        self.api = f"http://127.0.0.1:{self.ports[0]}/api"
        self.mlflow = f"http://127.0.0.1:{self.ports[1]}"

    def up(self, **settings: str) -> dict[str, str]:
        """Start all; gives the addresses."""
        done = self.run("up", "--json", **settings)
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, str] = json.loads(done.stdout)
        return found

    def processes(self) -> dict[str, int]:
        """The main process of each part."""
        found = supervisord.main_processes(self.up_folder)
        return {part: process.pid for part, process in found.items()}

    def left(self) -> list[supervisord.Process]:
        """All processes, whoever started them."""
        return supervisord.processes(self.up_folder)

    def start_run(self, deployment: str, parameters: dict[str, Any]) -> str:
        """Start a run as the page's form does; gives its id."""
        found = self.ask(f"deployments/name/{deployment}")
        body = {"parameters": parameters}
        return str(self.ask(f"deployments/{found['id']}/create_flow_run", body)["id"])

    def wait_for_run(self, flow_run: str) -> str:
        """Wait until a run has ended; gives the type of its state."""
        end = time.monotonic() + _RUN_SECONDS
        state = ""
        while time.monotonic() < end:
            state = str(self.ask(f"flow_runs/{flow_run}")["state_type"])
            if state in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
                return state
            time.sleep(0.2)
        raise AssertionError(f"the run is still {state} after {_RUN_SECONDS} s")

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask Prefect's API, as its clients do: again while its SQLite file is locked."""
        request = urllib.request.Request(
            f"{self.api}/{path}",
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        if login := self.environment.get("INCUMBENT_AUTH"):
            request.add_header("Authorization", server_login.basic(login))
        for _ in range(10):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise
                time.sleep(0.5)
        raise AssertionError(f"{path} was locked for ten tries")
