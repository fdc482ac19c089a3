"""Look for troubles, show them on one page, and tell of those that are new."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from incumbent.config import TrackingConfig
from incumbent.errors import RegistryError
from incumbent.operations import monitored_troubles, prefect_events, status
from incumbent.operations.monitored_troubles import Trouble
from incumbent.operations.status import Status
from incumbent.runtime.markdown import escaped
from incumbent.tracking.registry_writes import Registry
from tasks import show

_TOLD = Path("monitor") / "told.json"


@task(cache_policy=NO_CACHE)
def examine(max_age_days: float, min_free_gib: float, max_run_hours: float) -> Status:
    """What `incumbent status` shows, and whether each champion answers as it was measured."""
    found = status.look(os.environ, Path.cwd(), max_age_days, min_free_gib, max_run_hours)
    wrong = list(found.troubles)
    if any(title.champion for title in found.models):
        try:
            registry = Registry(uri=os.environ.get("MLFLOW_TRACKING_URI"))
            for title in found.models:
                if title.champion is not None:
                    version = registry.version(title.model_name, title.champion)
                    wrong += monitored_troubles.champion(registry, version)
        except RegistryError as error:
            wrong += monitored_troubles.troubles(type(error).__name__, "mlflow", [str(error)])
    return found.model_copy(update={"troubles": wrong})


@task(cache_policy=NO_CACHE)
def tell(found: Status, repeat_hours: float) -> None:
    """Emit events for what is wrong, unless they were emitted lately, and show the page."""
    show.say("%s", _headline(found.wrong))
    path = Path(TrackingConfig().workdir) / _TOLD
    told = _emitted(found, monitored_troubles.news(found.troubles, path, repeat_hours))
    try:  # after the events: it is a full disk that they may tell of
        monitored_troubles.remember(found.troubles, told, path)
    except OSError as error:
        show.say(
            "%s cannot be written (%s): what stays wrong is told again by the next look", path,
            error.strerror,
        )  # fmt: skip
    show.markdown("monitor", page(found), "How everything stands")


def _emitted(found: Status, due: Sequence[Trouble]) -> list[Trouble]:
    """Emit events for troubles; gives those that a server took."""
    run_id = flow_run.get_id() or ""
    champions = {title.model_name: title.champion for title in found.models}
    told = [
        one
        for one in due
        if one.kind == status.OLD
        and prefect_events.emit(
            prefect_events.CHAMPION_OLD, one.subject, f"{one.subject}: the champion is old",
            one.text, run_id, show.say, version=champions[one.subject],
        )
    ]  # fmt: skip
    others = [one for one in due if one.kind != status.OLD]
    text = "\n".join(one.text for one in others)
    if others and prefect_events.emit(
        prefect_events.WRONG, "monitor", f"{len(others)} wrong", text, run_id, show.say
    ):
        told += others
    return told


def page(found: Status) -> str:
    """How everything stands, in markdown."""
    lines = [f"# {_headline(found.wrong)}", ""]
    lines += [f"- {escaped(trouble)}" for trouble in found.wrong]
    lines += [
        "",
        "| model | champion | age, days | last decision | reason |",
        "|---|---|---|---|---|",
    ]
    for title in found.models:
        age = "" if title.age is None else f"{title.age:.1f}"
        decided = f"version {title.version} {title.decision}" if title.decision else ""
        cells = title.model_name, title.champion or "nobody", age, decided, title.reason or ""
        lines.append(f"| {' | '.join(map(escaped, cells))} |")
    lines += ["", "| server | address | answers |", "|---|---|---|"]
    lines += [
        f"| {s.name} | {escaped(s.address or 'none')} | {'yes' if s.answers else 'no'} |"
        for s in found.servers
    ]
    return "\n".join(lines)


def _headline(wrong: Sequence[str]) -> str:
    if not wrong:
        return "All is well"
    return "One thing is wrong" if len(wrong) == 1 else f"{len(wrong)} things are wrong"
