"""Take new files of a watched place, and start a retraining on them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from pydantic import BaseModel, ValidationError

from incumbent.config import Config
from incumbent.data import ingestion
from incumbent.errors import ConfigError, IncumbentError, StageError, StageTimedOut
from incumbent.operations import inbox_answers, inbox_files, inbox_listing, prefect_events
from incumbent.operations.inbox_files import Seen, Watched
from incumbent.runtime import url_secrets
from incumbent.servers import temporary_prefect_server
from incumbent.servers.prefect_api_client import PrefectApi
from incumbent.validation.check_base import count
from tasks import show

_ROWS = 10  # that a notice names
_ATTEMPTS = 3  # runs for the same files, if one crashes or is cancelled
_UNDER_WAY = ("RUNNING", "PENDING", "PAUSED", "CANCELLING")
_LOST = ("CRASHED", "CANCELLED")
_ENDED = (*_LOST, "FAILED", "COMPLETED")


class Target(BaseModel, frozen=True):
    """A deployment of the flow `retrain`: what it is called, and what it retrains with."""

    name: str
    id: str
    api: str
    given: dict[str, Any]
    """Its config as it was written."""
    config: Config
    """The same, whole; the embedded reviews are named as files."""

    @property
    def digest(self) -> str:
        """The digest of its config as it was written."""
        return hashlib.sha256(json.dumps(self.given, sort_keys=True).encode()).hexdigest()

    @property
    def workdir(self) -> Path:
        """Where what was seen is kept."""
        return Path(self.config.tracking.workdir)


@task(cache_policy=NO_CACHE)
def find_target(deployment: str) -> Target:
    """Find the deployment that retrains, and its config.

    Raises:
        StageError: if no Prefect server is named, or it does not answer.
        ConfigError: if there is no such deployment, or its config is wrong.
    """
    address = temporary_prefect_server.reach()
    if address is None:
        raise StageError(
            f"Deployments are a Prefect server's, and none is named: `make up` starts one that has "
            f"{deployment}; else set PREFECT_API_URL."
        )
    found = PrefectApi(address).deployment(deployment)
    if found is None:
        raise ConfigError(
            f"The Prefect server at {address} has no deployment {deployment!r}; a name like "
            "retrain/reviews is expected, of a deployment of the flow retrain."
        )
    given = found.get("parameters", {}).get("config", {})
    try:
        config = Config.model_validate(given)
    except ValidationError as error:
        raise ConfigError(f"The config of the deployment {deployment} is wrong: {error}") from None
    if not config.data.train:
        data = ingestion.embedded(config.data, Path(config.tracking.workdir))
        config = config.model_copy(update={"data": data})
    return Target(name=deployment, id=found["id"], api=address, given=given, config=config)


@task(cache_policy=NO_CACHE)
def take(place: str, settle_seconds: float, target: Target) -> Watched | None:
    """Look into the files that are new and complete, and keep what was found.

    One that cannot be looked into now is new at the next look again, and keeps no other back.

    Returns:
        What is known of the place now; None if it isn't there.

    Raises:
        DataError: if the place cannot be looked into.
    """
    shown = url_secrets.public(place)
    before = inbox_files.load(place, target.workdir)
    found = inbox_files.complete(place, before, settle_seconds, target.config)
    if found is None:
        show.say("there is no folder %s yet", shown)
        return None
    watched, new = found
    gone = {
        name: before.files.get(name)
        for name in (*before.files, *before.told)
        if name not in watched.files and name not in new
    }
    inbox_answers.withdraw(place, gone)
    if gone:
        inbox_files.save(watched, place, target.workdir)
    waiting: dict[str, str] = {}
    for name, signature in new.items():
        try:
            seen = inbox_files.inspect(place, name, signature, watched, target.config)
        except StageTimedOut:
            raise
        except inbox_files.Changing:
            show.say("%s changes; it waits for the next look", inbox_listing.address(shown, name))
            watched = watched.without_file(name)
        except IncumbentError as error:
            waiting[name] = str(error)
            show.say("%s waits for the next look: %s", inbox_listing.address(shown, name), error)
            watched = watched.without_file(name)
        else:
            watched = watched.with_file(name, seen)
            known = before.files.get(name)
            if known is None or _told_of(known) != _told_of(seen):
                _tell(shown, name, seen, target)
        inbox_files.save(watched, place, target.workdir)
    watched = _answer(place, watched, target)
    return _tell_waiting(place, watched, waiting, target)


def _answer(place: str, watched: Watched, target: Target) -> Watched:
    """Write the answers beside the files; that they cannot be written is told once."""
    answered, reason = inbox_answers.deliver(place, watched)
    answered = answered.model_copy(update={"unanswered": bool(reason)})
    if reason and not watched.unanswered:
        show.say("answers cannot be written into %s: %s", watched.place, reason)
        prefect_events.emit(
            prefect_events.WRONG, target.config.model_name,
            f"no answers in {watched.place}",
            f"What became of its files cannot be written beside them, for the labellers. {reason}",
            flow_run.get_id() or "", show.say,
        )  # fmt: skip
    if answered != watched:
        inbox_files.save(answered, place, target.workdir)
    return answered


def _told_of(seen: Seen) -> tuple[object, ...]:
    return seen.digest, seen.refused, seen.set_aside


def _tell(shown: str, name: str, seen: Seen, target: Target) -> None:
    """Say what was found in a file, and tell of one that was refused, or taken in part."""
    where = inbox_listing.address(shown, name)
    if not seen.refused and not seen.set_aside:
        show.say("%s can be trained on", where)
        return
    if seen.refused:
        subject, text = f"{name} was refused", seen.refused
        show.say("%s was refused: %s", where, seen.refused)
    else:
        rows = count(seen.set_aside, "row")
        subject = f"{name} was taken in part: {rows} set aside"
        faults = [f"Row {fault.row}: {fault.reason}" for fault in seen.faults[:_ROWS]]
        text = "\n".join([f"{count(seen.rows, 'row')} can be trained on.", *faults])
        show.say("%s can be trained on, but for %s set aside", where, rows)
    prefect_events.emit(
        prefect_events.REFUSED, target.config.model_name, subject, text,
        flow_run.get_id() or "", show.say, file=name, rows_set_aside=seen.set_aside,
    )  # fmt: skip


def _tell_waiting(place: str, watched: Watched, waiting: dict[str, str], target: Target) -> Watched:
    """Tell of files that could not be looked into, all at once; keeps which were told."""
    told, due = inbox_files.untold(watched, waiting)
    if told.told != watched.told:
        inbox_files.save(told, place, target.workdir)
    if due:
        inbox_answers.wait(place, due)
        # One cause, like a test set that is away, holds for many files.
        reasons = "\n".join(dict.fromkeys(waiting[name] for name in due))
        prefect_events.emit(
            prefect_events.WRONG, target.config.model_name,
            f"files that wait in {watched.place}: {', '.join(due)}",
            f"They could not be looked into, and are again at each look. {reasons}",
            flow_run.get_id() or "", show.say,
        )  # fmt: skip
    return told


@task(cache_policy=NO_CACHE)
def hand_over(place: str, watched: Watched, target: Target) -> str | None:
    """Start a retraining, if an accepted file has been in none; gives the flow run.

    A run that crashed or was cancelled counts as none, three times; so does one that did not end
    well, once the deployment's config is another. While the deployment is at work, nothing is
    started: the next look does it.

    Raises:
        StageError: if the server does not answer.
    """
    api = PrefectApi(target.api)
    again = not watched.new and _to_be_repeated(api, watched, target)
    if not watched.new and not again:
        show.say("nothing new in %s", url_secrets.public(place))
        return None
    if _at_work(api, target.id):
        show.say("%s is at work; the new files wait for the next look", target.name)
        return None
    run_id = _started(api, place, watched, target)
    same = again and watched.config == target.digest
    inbox_files.save(
        watched.model_copy(
            update={
                "handed_over": watched.digests, "run_id": run_id, "config": target.digest,
                "attempts": watched.attempts + 1 if same else 1,
            }
        ),
        place, target.workdir,
    )  # fmt: skip
    show.say("started %s as run %s with %s", target.name, run_id, ", ".join(watched.accepted))
    return run_id


def _to_be_repeated(api: PrefectApi, watched: Watched, target: Target) -> bool:
    """Whether the last run did not end well, and another may."""
    last = api.run(watched.run_id) if watched.run_id and watched.accepted else None
    if last is None or last["state_type"] not in (*_LOST, "FAILED"):
        return False
    if watched.config != target.digest:
        return True
    return last["state_type"] in _LOST and watched.attempts < _ATTEMPTS


def _started(api: PrefectApi, place: str, watched: Watched, target: Target) -> str:
    """Start a run on the accepted files; gives its id.

    Its key is made of all that makes it what it is and of the run before it. So if this process
    dies before it is noted, the next look is given the same run; and one that has ended, as when
    what was seen was deleted, is followed by another.
    """
    config = inbox_files.config_with(target.config, place, watched, target.given)
    before = watched.run_id
    while True:
        parts = [target.id, target.digest, *watched.digests, before]
        key = hashlib.sha256(" ".join(parts).encode()).hexdigest()
        run = api.start(target.id, {"config": config}, key)
        if run["state_type"] not in _ENDED:
            return str(run["id"])
        before = str(run["id"])


def _at_work(api: PrefectApi, deployment: str) -> bool:
    """Whether a run of a deployment is under way, or due."""
    if api.runs(*_UNDER_WAY, deployment=deployment, limit=1):
        return True
    due = api.runs("SCHEDULED", deployment=deployment, limit=1)
    now = datetime.now(UTC)
    return bool(due) and datetime.fromisoformat(due[0]["next_scheduled_start_time"]) <= now
