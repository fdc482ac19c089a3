"""Trainings take turns: Prefect lets so many tasks with the tag `gpu` run at a time.

Prefect waits for the slot, holds it under a lease of a minute that it renews, and gives it back.
`make up` makes the limit; on a server without one nothing waits.
"""

from __future__ import annotations

import contextlib

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterId
from prefect.exceptions import PrefectException

from incumbent.operations.server_settings import TRAINING
from tasks import show


def announce() -> None:
    """Say in one line what the next training waits for, if it has to wait.

    It is a look, for people: Prefect decides, and whoever takes the slot right after is not seen.
    """
    with (
        contextlib.suppress(PrefectException, httpx.HTTPError),
        get_client(sync_client=True) as server,
    ):
        limit = server.read_global_concurrency_limit_by_name(f"tag:{TRAINING}")  # or not found
        if limit.active and limit.active_slots >= limit.limit:
            show.say(
                "waiting for a slot of the concurrency limit %r: %s of %s taken, by %s",
                TRAINING, limit.active_slots, limit.limit, _holders(server),
            )  # fmt: skip


def _holders(server: SyncPrefectClient) -> str:
    """The runs that train, in words."""
    holders = server.read_concurrency_limit_by_tag(TRAINING).active_slots
    if not holders:
        return "a run that ended; its slot is free again within a minute or two"
    found = server.read_flow_runs(
        task_run_filter=TaskRunFilter(id=TaskRunFilterId(any_=holders)), limit=len(holders)
    )
    return ", ".join(f"{run.name!r} ({run.id})" for run in found) or "a run of another flow"
