"""How everything stands: what is scheduled, running, last decided, and wrong."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, computed_field

from incumbent import health, launch, supervision, up
from incumbent.addresses import public
from incumbent.errors import IncumbentError, NotWell, RegistryError
from incumbent.health import Trouble
from incumbent.prefect_api import PrefectApi
from incumbent.servers import FOLDER

MAX_AGE = 30.0
"""Days after which a champion is called old, unless asked otherwise."""
OLD = "old"
"""The kind of trouble that an old champion is."""

_STORE = Path("mlruns") / "mlflow.db"
_ENDED = ("COMPLETED", "FAILED", "CRASHED")
_UNDER_WAY = ("RUNNING", "PENDING", "CANCELLING", "PAUSED")


class Server(BaseModel, frozen=True):
    """A server or store; `address` is None if none was named or started here."""

    name: str
    address: str | None
    answers: bool


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
    min_free: float = health.MIN_FREE, max_hours: float = health.MAX_HOURS,
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
    started = up.recorded(root) or {}
    mlflow, models = _models(settings, root, started, wrong)
    prefect, scheduled, running = _flows(settings, started, wrong)
    if started and not wrong and supervision.supervisor(root / FOLDER) is None:
        said = (
            "The supervisor that `make up` started is gone, so that nothing starts the servers "
            "again should they end: run `make up`."
        )
        wrong += health.troubles("no supervisor", str(root), [said])
    now = datetime.now(UTC)
    titles = [_title(*found, now) for found in models]
    wrong += health.troubles("disk", str(root), health.disk(root, min_free))
    for run in running:
        wrong += health.troubles("stuck", run.flow_run_id, health.stuck([run], max_hours))
    for title in titles:
        wrong += health.troubles(OLD, title.model_name, _old(title, max_age))
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
        if launch.answers(f"{server}/health"):
            address = server
        else:
            said = f"No MLflow server answers at {server}: run `make up`."
            wrong += health.troubles("server", "mlflow", [said])
    if not address and not (root / _STORE).is_file():
        return Server(name="mlflow", address=None, answers=False), []
    from incumbent.ledger import Ledger
    from incumbent.novelty import last_skip
    from incumbent.registry import CHAMPION, Registry

    found = []
    try:
        registry = Registry(uri=address)
        for name in registry.names():
            entries = Ledger(registry, name).entries()
            last = entries[-1] if entries else None
            champion = registry.by_alias(name, CHAMPION)
            wrong += health.troubles("ledger", name, health.ledger(name, entries, champion))
            found.append((name, last, champion, last_skip(registry, name)))
    except RegistryError as error:
        # A store that is away is another trouble than a ledger that is not whole.
        wrong += health.troubles(type(error).__name__, "mlflow", [str(error)])
        return Server(name="mlflow", address=public(address or str(_STORE)), answers=False), found
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
        names = _names(api)
        scheduled, running = _scheduled(api, names, wrong), _running(api)
        wrong += _failures(api, names) + _late(api, names)
    except IncumbentError as error:
        wrong += health.troubles("server", "prefect", [f"{error} {hint}"])
        return Server(name="prefect", address=address, answers=False), [], []
    return Server(name="prefect", address=address, answers=True), scheduled, running


def _names(api: PrefectApi) -> dict[str, str]:
    """What each deployment is called, as flow/deployment, by its id."""
    flows = api.flows()
    return {d["id"]: f"{flows.get(d['flow_id'], '?')}/{d['name']}" for d in api.deployments()}


def _scheduled(api: PrefectApi, names: Mapping[str, str], wrong: list[Trouble]) -> list[Scheduled]:
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
            wrong += health.troubles("no worker", name, [said])
    return found


def _running(api: PrefectApi) -> list[Running]:
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


def _failures(api: PrefectApi, names: Mapping[str, str]) -> list[Trouble]:
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
            found += health.troubles("last run", name, [said])
    return found


def _late(api: PrefectApi, names: Mapping[str, str]) -> list[Trouble]:
    found: list[Trouble] = []
    for run in api.runs("SCHEDULED", name="Late"):
        name = names.get(run["deployment_id"] or "", run["name"])
        said = (
            f"{name}: a run is late, due {_moment(run['expected_start_time'])}. Does a worker run, "
            "and is it free?"
        )
        found += health.troubles("late", name, [said])
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
