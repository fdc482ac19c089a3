"""A client of the Prefect server's HTTP API that imports no Prefect."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from incumbent.errors import StageError
from incumbent.runtime.server_login import AUTH, basic

_ANSWER = 10  # seconds that the server may take for one answer
_TRIES = 5
_PAUSE = 0.5  # seconds between two tries
_LIMIT = 200  # rows that the server gives at once, at most


class PrefectApi:
    """The API of one Prefect server; `address` ends in `/api`."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def deployments(self) -> list[dict[str, Any]]:
        """All deployments, with their schedules."""
        return self._all("deployments/filter", {})

    def flows(self) -> dict[str, str]:
        """The names of the flows, by their ids."""
        return {flow["id"]: flow["name"] for flow in self._all("flows/filter", {})}

    def pools(self) -> dict[str, str]:
        """What state each work pool is in: READY, NOT_READY or PAUSED."""
        found = self._all("work_pools/filter", {})
        return {pool["name"]: str(pool.get("status") or "") for pool in found}

    def automations(self) -> list[str]:
        """The names of the automations."""
        return [one["name"] for one in self._all("automations/filter", {})]

    def workers(self, pool: str) -> dict[str, str]:
        """ONLINE or OFFLINE, for each worker that ever polled a pool; none if there is no pool."""
        try:
            found = self._all(f"work_pools/{pool}/workers/filter", {})
        except _NotThere:
            return {}
        return {worker["name"]: str(worker["status"]) for worker in found}

    def limit_tag(self, tag: str, limit: int | None) -> None:
        """Let so many task runs with a tag run at a time; None leaves it as it is, 1 at first."""
        known = self._all("v2/concurrency_limits/filter", {})
        if limit is None and any(one["name"] == f"tag:{tag}" for one in known):
            return
        self._post("concurrency_limits/", {"tag": tag, "concurrency_limit": limit or 1})

    def runs(
        self, *states: str, name: str = "", deployment: str = "", pool: str = "",
        sort: str = "NEXT_SCHEDULED_START_TIME_ASC", limit: int = _LIMIT,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Flow runs whose state is of one of these types, in the server's order.

        Args:
            states: Types of states, like SCHEDULED.
            name: Only states of this name, like Late.
            deployment: Only runs of the deployment of this id.
            pool: Only runs that the workers of this work pool take.
            sort: An order that the server knows.
            limit: So many at most.
        """
        state: dict[str, Any] = {"type": {"any_": list(states)}}
        if name:
            state["name"] = {"any_": [name]}
        wanted: dict[str, Any] = {"state": state}
        if deployment:
            wanted["deployment_id"] = {"any_": [deployment]}
        query: dict[str, Any] = {"flow_runs": wanted, "sort": sort, "limit": limit}
        if pool:
            query["work_pools"] = {"name": {"any_": [pool]}}
        found: list[dict[str, Any]] = self._post("flow_runs/filter", query)
        return found

    def deployment(self, name: str) -> dict[str, Any] | None:
        """A deployment by its name, as flow/deployment; None if there is none."""
        flows = self.flows()
        for found in self.deployments():
            if name == f"{flows.get(found['flow_id'])}/{found['name']}":
                return found
        return None

    def run(self, run_id: str) -> dict[str, Any] | None:
        """A flow run; None if there is none."""
        found = self._post("flow_runs/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
        return found[0] if found else None

    def start(self, deployment: str, parameters: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Start a run of the deployment of this id; gives the run.

        Asked again with the same key, the server gives the run that it has, even one that ended.
        """
        body = {
            "parameters": dict(parameters),
            "idempotency_key": key,
            "state": {"type": "SCHEDULED"},
        }
        found: dict[str, Any] = self._post(f"deployments/{deployment}/create_flow_run", body)
        return found

    def crash(self, run_id: str, message: str) -> None:
        """Record that a flow run has crashed, whatever state it is in."""
        state = {"type": "CRASHED", "name": "Crashed", "message": message}
        self._post(f"flow_runs/{run_id}/set_state", {"state": state, "force": True})

    def emit(self, event: Mapping[str, Any]) -> None:
        """Record an event, as Prefect's API describes one."""
        self._post("events", [dict(event)])

    def _all(self, path: str, query: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self._post(path, {**query, "limit": _LIMIT, "offset": len(found)})
            found += page
            if len(page) < _LIMIT:
                return found

    def _post(self, path: str, body: Any, tries: int = _TRIES) -> Any:
        """One answer, or None; the server asks to try again (503) while SQLite's file is locked."""
        request = Request(  # noqa: S310  the owner's address
            f"{self.address}/{path}", json.dumps(body).encode(), _headers(), method="POST"
        )
        try:
            with urlopen(request, timeout=_ANSWER) as answer:  # noqa: S310
                said = answer.read()
                return json.loads(said) if said else None
        except HTTPError as error:
            if error.code == HTTPStatus.SERVICE_UNAVAILABLE and tries > 1:
                time.sleep(_PAUSE)
                return self._post(path, body, tries - 1)
            if error.code == HTTPStatus.UNAUTHORIZED:
                raise StageError(
                    f"The Prefect server at {self.address} asks for a login, and was given "
                    f"{'another' if 'Authorization' in _headers() else 'none'}: set {AUTH} to its "
                    "user:password."
                ) from None
            kind = _NotThere if error.code == HTTPStatus.NOT_FOUND else StageError
            raise kind(
                f"The Prefect server at {self.address} refused {path}: {error.code} {error.reason}."
            ) from None
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise StageError(f"No Prefect server answers at {self.address} ({reason}).") from None


class _NotThere(StageError):
    """What was asked for is not on the server."""


def _headers() -> dict[str, str]:
    """With the credentials that Prefect's own client would use."""
    headers = {"Content-Type": "application/json"}
    if password := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = basic(password)
    elif key := os.environ.get("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    return headers
