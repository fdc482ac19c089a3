"""Deployments and flow runs of a Prefect server: due, under way, late, stuck or failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from incumbent.errors import NotWell
from incumbent.operations import monitored_troubles
from incumbent.operations.monitored_troubles import Trouble
from incumbent.servers.prefect_api_client import PrefectApi

MAX_HOURS = 24.0
"""Hours after which a run is called stuck, unless asked otherwise."""

_ENDED = ("COMPLETED", "FAILED", "CRASHED")
_UNDER_WAY = ("RUNNING", "PENDING", "CANCELLING", "PAUSED")


class Scheduled(BaseModel, frozen=True):
    """A deployment with schedules: `next` is when it is due, in ISO 8601."""

    deployment: str
    schedule: str
    next: str | None


class Running(BaseModel, frozen=True):
    """A flow run under way; `since` is when it came into its state, in ISO 8601."""

    run: str
    state: str
    since: str | None
    flow_run_id: str


def names(api: PrefectApi) -> dict[str, str]:
    """What each deployment is called, as flow/deployment, by its id."""
    flows = api.flows()
    return {d["id"]: f"{flows.get(d['flow_id'], '?')}/{d['name']}" for d in api.deployments()}


def scheduled(api: PrefectApi, names: Mapping[str, str], wrong: list[Trouble]) -> list[Scheduled]:
    """The deployments with schedules; adds to `wrong` those that no worker polls for."""
    found, pools = [], api.pools()
    for deployment in api.deployments():
        schedules = [s for s in deployment["schedules"] if s["active"]]
        if not schedules or deployment.get("paused"):
            continue
        name = names[deployment["id"]]
        due = api.runs("SCHEDULED", deployment=deployment["id"], limit=1)
        found.append(
            Scheduled(
                deployment=name,
                schedule=", ".join(_in_words(s["schedule"]) for s in schedules),
                next=_moment(due[0]["next_scheduled_start_time"]) if due else None,
            )
        )
        pool = deployment.get("work_pool_name") or ""
        if pools.get(pool) != "READY":
            said = (
                f"{name} is scheduled, and no worker polls the work pool {pool!r} "
                f"({pools.get(pool, 'there is none').lower().replace('_', ' ')}): run `make up`."
            )
            wrong += monitored_troubles.troubles("no worker", name, [said])
    return found


def running(api: PrefectApi) -> list[Running]:
    """The flow runs under way, the oldest first."""
    return [
        Running(
            run=run["name"],
            state=run["state_name"],
            since=_moment(_since(run)),
            flow_run_id=run["id"],
        )
        for run in api.runs(*_UNDER_WAY, sort="START_TIME_ASC")
    ]


def _since(run: Mapping[str, Any]) -> str | None:
    """When a run came into its state; one that never started is not without a time."""
    entered = (run.get("state") or {}).get("timestamp")
    since: str | None = entered or run["start_time"] or run["expected_start_time"]
    return since


def failures(api: PrefectApi, names: Mapping[str, str]) -> list[Trouble]:
    """The deployments whose last run did not end well; a cancelled one says nothing.

    Nor does a monitor that failed because something else was wrong, or it would never be well.
    """
    found: list[Trouble] = []
    for deployment, name in names.items():
        last = api.runs(*_ENDED, deployment=deployment, sort="END_TIME_DESC", limit=1)
        if last and last[0]["state_type"] != "COMPLETED":
            run = last[0]
            lines = ((run.get("state") or {}).get("message") or "").strip().splitlines()
            if lines and f"{NotWell.__name__}: " in lines[0]:  # Prefect names the error's class
                continue
            page = f"{api.address.removesuffix('/api')}/runs/flow-run/{run['id']}"
            said = (
                f"{name}: its last run {run['state_name'].lower()}, {_moment(run['end_time'])}: "
                f"{lines[0] if lines else 'no reason given'} ({page})"
            )
            found += monitored_troubles.troubles("last run", name, [said])
    return found


def late(api: PrefectApi, names: Mapping[str, str]) -> list[Trouble]:
    """The runs that are past their time and have not begun."""
    found: list[Trouble] = []
    for run in api.runs("SCHEDULED", name="Late"):
        name = names.get(run["deployment_id"] or "", run["name"])
        said = (
            f"{name}: a run is late, due {_moment(run['expected_start_time'])}. Does a worker run, "
            "and is it free?"
        )
        found += monitored_troubles.troubles("late", name, [said])
    return found


def _in_words(schedule: Mapping[str, Any]) -> str:
    if "cron" in schedule:
        return f"{schedule['cron']} {schedule.get('timezone') or 'UTC'}"
    if "interval" in schedule:
        return f"every {schedule['interval']:g} s"
    return str(schedule.get("rrule", schedule))


def _moment(text: str | None) -> str | None:
    """A moment in UTC, to the second."""
    if text is None:
        return None
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="seconds")


def stuck(running: Sequence[Running], hours: float = MAX_HOURS) -> list[str]:
    """The runs that have been under way for longer than so many hours."""
    limit = datetime.now(UTC) - timedelta(hours=hours)
    return [
        f"{run.run} has been {run.state.lower()} since {run.since}, for more than {hours:g} hours. "
        f"Look at its log, and cancel it in the Prefect page: run {run.flow_run_id}."
        for run in running
        if run.since and datetime.fromisoformat(run.since) < limit
    ]
