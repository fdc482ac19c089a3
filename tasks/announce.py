"""Emit the Prefect events of a run, on which notices are sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prefect.runtime import flow_run

from incumbent.errors import DataError, NotWell
from incumbent.operations import prefect_events
from incumbent.title.ledger import Entry
from tasks import show

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State


def decision(entry: Entry, model_name: str, set_aside: int = 0) -> None:
    """Tell that the title moved, or waits to, and how many rows of the data were set aside."""
    run_id = flow_run.get_id() or ""
    prefect_events.decided(entry, model_name, run_id, show.say, set_aside=set_aside)


def failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell why a run failed; a hook of flows, which Prefect calls with these names."""
    found = state.result(raise_on_failure=False)
    refused = isinstance(found, DataError)
    name = _model_name(flow_run.parameters)
    prefect_events.emit(
        prefect_events.REFUSED if refused else prefect_events.FAILED,
        name or flow.name,
        f"{flow.name} {name}".strip()
        + (": the data was refused" if refused else ": the run failed"),
        str(found) if isinstance(found, Exception) else str(state.message),
        str(flow_run.id),
    )


def unforeseen(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tell why the monitor failed, unless by what it found, which it told itself."""
    if not isinstance(state.result(raise_on_failure=False), NotWell):
        failure(flow, flow_run, state)


def _model_name(parameters: Mapping[str, Any]) -> str:
    config = parameters.get("config")
    if isinstance(config, Mapping):
        return str(config.get("model_name", ""))
    return str(getattr(config, "model_name", "") or parameters.get("model_name") or "")
