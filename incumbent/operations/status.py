"""One screen for `incumbent status`: what is scheduled, running, last decided, and wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, computed_field

from incumbent.errors import IncumbentError, RegistryError
from incumbent.operations import monitored_troubles, prefect_flow_runs
from incumbent.operations.monitored_troubles import Trouble
from incumbent.operations.prefect_flow_runs import Running, Scheduled
from incumbent.runtime.url_secrets import public
from incumbent.servers import part_launcher, supervisord, up_and_down
from incumbent.servers.ports_and_commands import FOLDER
from incumbent.servers.prefect_api_client import PrefectApi

MAX_AGE = 30.0
"""Days after which a champion is called old, unless asked otherwise."""
OLD = "old"
"""The kind of trouble that an old champion is."""

_STORE = Path("mlruns") / "mlflow.db"


class Server(BaseModel, frozen=True):
    """A server or store; `address` is None if none was named or started here."""

    name: str
    address: str | None
    answers: bool


class Title(BaseModel, frozen=True):
    """A model: its champion, the age of that in days, and the last decision about it.

    `skipped` is why the last run that was skipped for want of new rows was, if it came later.
    """

    model_name: str
    champion: int | None
    age: float | None
    version: int | None = None
    decision: str | None = None
    time: str | None = None
    reason: str | None = None
    skipped: str | None = None


class Status(BaseModel, frozen=True):
    """One screen; what `incumbent status --json` prints. `wrong` says each trouble in words."""

    servers: list[Server]
    scheduled: list[Scheduled]
    running: list[Running]
    models: list[Title]
    troubles: Annotated[list[Trouble], Field(exclude=True)]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def wrong(self) -> list[str]:
        """What is wrong, in words."""
        return [trouble.text for trouble in self.troubles]


def look(
    settings: Mapping[str, str], root: Path, max_age: float = MAX_AGE,
    min_free: float = monitored_troubles.MIN_FREE, max_hours: float = prefect_flow_runs.MAX_HOURS,
) -> Status:  # fmt: skip
    """Look at the servers that the environment names, else those that were started in a folder.

    Args:
        settings: The environment: PREFECT_API_URL and MLFLOW_TRACKING_URI count.
        root: The working directory: of the servers of `incumbent up`, or of the local store.
        max_age: Days after which a champion is called old.
        min_free: GiB of free disk below which it is called nearly full.
        max_hours: Hours after which a run is called stuck.
    """
    wrong: list[Trouble] = []
    started = up_and_down.recorded(root) or {}
    mlflow, models = _models(settings, root, started, wrong)
    prefect, scheduled, running = _flows(settings, started, wrong)
    if started and not wrong and supervisord.supervisor(root / FOLDER) is None:
        said = (
            "The supervisor that `make up` started is gone, so that nothing starts the servers "
            "again should they end: run `make up`."
        )
        wrong += monitored_troubles.troubles("no supervisor", str(root), [said])
    now = datetime.now(UTC)
    titles = [_title(*found, now) for found in models]
    wrong += monitored_troubles.troubles("disk", str(root), monitored_troubles.disk(root, min_free))
    for run in running:
        wrong += monitored_troubles.troubles(
            "stuck", run.flow_run_id, prefect_flow_runs.stuck([run], max_hours)
        )
    for title in titles:
        wrong += monitored_troubles.troubles(OLD, title.model_name, _old(title, max_age))
    return Status(
        servers=[prefect, mlflow], scheduled=scheduled, running=running, models=titles,
        troubles=wrong,
    )  # fmt: skip


def _old(title: Title, max_age: float) -> list[str]:
    """That a champion is older than so many days, if it is."""
    if title.age is None or title.age <= max_age:
        return []
    return [
        f"{title.model_name}: the champion, version {title.champion}, is {title.age:.0f} days old, "
        f"more than {max_age:g}. Retrain on newer labels, or look why challengers do not win: "
        f"`incumbent history --model {title.model_name}`."
    ]


def _models(
    settings: Mapping[str, str], root: Path, started: Mapping[str, str], wrong: list[Trouble]
) -> tuple[Server, list[tuple[str, Any, Any, Any]]]:
    """Each model's name, last entry of the ledger, champion and last skip."""
    address = settings.get("MLFLOW_TRACKING_URI")
    if not address and (server := started.get("mlflow")):
        if part_launcher.answers(f"{server}/health"):
            address = server
        else:
            said = f"No MLflow server answers at {server}: run `make up`."
            wrong += monitored_troubles.troubles("server", "mlflow", [said])
    if not address and not (root / _STORE).is_file():
        return Server(name="mlflow", address=None, answers=False), []
    from incumbent.retraining.new_rows import last_skip
    from incumbent.title.ledger import Ledger
    from incumbent.tracking.mlflow_runs import Runs
    from incumbent.tracking.registry_reads import CHAMPION
    from incumbent.tracking.registry_writes import Registry

    found = []
    try:
        registry, runs = Registry(uri=address), Runs(uri=address)
        for name in registry.names():
            entries = Ledger(registry, name).entries()
            last = entries[-1] if entries else None
            champion = registry.by_alias(name, CHAMPION)
            wrong += monitored_troubles.troubles(
                "ledger", name, monitored_troubles.ledger(name, entries, champion)
            )
            deleted = [
                (version.version, version.run_id)
                for version in registry.versions(name)
                if version.run_id and runs.deleted(version.run_id)
            ]
            wrong += monitored_troubles.troubles(
                "deleted runs", name, monitored_troubles.deleted_runs(name, deleted)
            )
            found.append((name, last, champion, last_skip(registry, name)))
    except RegistryError as error:
        # A store that is away is another trouble than a ledger that is not whole.
        wrong += monitored_troubles.troubles(type(error).__name__, "mlflow", [str(error)])
        return Server(
            name="mlflow", address=public(address or str(root / _STORE)), answers=False
        ), found
    return Server(name="mlflow", address=registry.shown, answers=True), found


def _title(name: str, entry: Any, champion: Any, skip: Any, now: datetime) -> Title:
    age = (now.timestamp() - champion.created) / 86_400 if champion else None
    held = champion.version if champion else None
    if entry is None:
        return Title(model_name=name, champion=held, age=age)
    later = skip is not None and skip.time >= entry.time
    return Title(
        model_name=name, champion=held, age=age, version=entry.version, decision=entry.decision,
        time=entry.time, reason=entry.reason,
        skipped=f"{skip.time}: {skip.reason}" if later else None,
    )  # fmt: skip


def _flows(
    settings: Mapping[str, str], started: Mapping[str, str], wrong: list[Trouble]
) -> tuple[Server, list[Scheduled], list[Running]]:
    address = settings.get("PREFECT_API_URL")
    hint = "Start it, or correct or unset PREFECT_API_URL."
    if not address and "prefect" in started:
        address, hint = f"{started['prefect']}/api", "Run `make up`."
    if not address:
        return Server(name="prefect", address=None, answers=False), [], []
    api = PrefectApi(address)
    try:
        names = prefect_flow_runs.names(api)
        scheduled = prefect_flow_runs.scheduled(api, names, wrong)
        running = prefect_flow_runs.running(api)
        wrong += prefect_flow_runs.failures(api, names) + prefect_flow_runs.late(api, names)
    except IncumbentError as error:
        wrong += monitored_troubles.troubles("server", "prefect", [f"{error} {hint}"])
        return Server(name="prefect", address=address, answers=False), [], []
    return Server(name="prefect", address=address, answers=True), scheduled, running
