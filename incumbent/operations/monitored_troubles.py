"""The troubles that the monitor finds, each in words with what to do about it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from incumbent.errors import IncumbentError, StageTimedOut
from incumbent.runtime import failure_explanations
from incumbent.runtime.atomic_files import write_atomically

if TYPE_CHECKING:
    from incumbent.title.ledger import Entry
    from incumbent.tracking.registry_reads import Version
    from incumbent.tracking.registry_writes import Registry

MIN_FREE = 2.0
"""GiB below which a disk is nearly full, unless asked otherwise: a run leaves half of one."""
_NAMED = 3  # deleted runs that are named, of any number


class Trouble(BaseModel, frozen=True):
    """Something that is wrong."""

    kind: str
    """A word or two, the same for all troubles of the kind."""
    subject: str
    """The model, run, deployment, server or folder that it is about."""
    text: str
    """In words, with what to do about it."""

    @property
    def key(self) -> str:
        """The same as long as it is the same trouble: its text has numbers that change."""
        return f"{self.kind}: {self.subject}"


def disk(folder: Path, least: float = MIN_FREE) -> list[str]:
    """Whether less is free where a folder is than so many GiB."""
    free = shutil.disk_usage(folder).free / 2**30
    if free >= least:
        return []
    return [
        f"{free:.1f} GiB are free in {folder}, less than {least:g}: runs will fail. Set "
        "retention.keep to have old versions deleted; while nothing runs, what is in .incumbent/ "
        "can be deleted, but for .incumbent/up and .incumbent/watched (what the inbox has seen)."
    ]


def ledger(name: str, entries: Sequence[Entry], champion: Version | None) -> list[str]:
    """Whether the alias is with whom the ledger says.

    That the ledger is whole is seen as it is read.
    """
    recorded = entries[-1].champion if entries else None
    held = champion.version if champion else None
    if not entries or recorded == held:
        return []
    return [
        f"{name}: the ledger says that the champion is {_named(recorded)}, and the alias is with "
        f"{_named(held)}. If a run is not just deciding, the alias was moved by hand; the next "
        "decision records that. `incumbent rollback` puts it back."
    ]


def deleted_runs(name: str, deleted: Sequence[tuple[int, str]]) -> list[str]:
    """Whether somebody deleted runs of versions that are registered, given as (version, run)."""
    if not deleted:
        return []
    which = ", ".join(f"{run_id} of version {version}" for version, run_id in deleted[:_NAMED])
    more = f" and {len(deleted) - _NAMED} more" if len(deleted) > _NAMED else ""
    return [
        f"{name}: runs were deleted in MLflow: {which}{more}. Until `mlflow gc` is run, `mlflow "
        "runs restore --run-id RUN` brings one back; after that its metrics and the evidence of "
        "its decision are gone. The version still answers; it cannot be explained, contended with "
        "on new rows or given the title back."
    ]


def champion(registry: Registry, version: Version) -> list[Trouble]:
    """Whether a champion's files are those that were registered, load, and answer as measured."""
    from incumbent.title import approval_and_rollback

    try:
        approval_and_rollback.verify(registry, version)
    except StageTimedOut:  # it is the monitor that hangs, and has to end
        raise
    except OSError as error:  # it is asked by files, and a full disk is to be told with the rest
        said = (
            f"{version.name}: the champion could not be asked. {failure_explanations.reason(error)}"
        )
        return troubles("champion not asked", version.name, [said])
    except IncumbentError as error:
        said = (
            f"{version.name}: the champion cannot be relied on. {error} `incumbent rollback` gives "
            "the title to the one before, once that is seen to answer."
        )
        return troubles("champion", version.name, [said])
    return []


def troubles(kind: str, subject: str, said: Iterable[str]) -> list[Trouble]:
    """What was found wrong with one subject, if anything."""
    return [Trouble(kind=kind, subject=subject, text=text) for text in said]


def news(found: Sequence[Trouble], path: Path, hours: float) -> list[Trouble]:
    """The troubles that were not told in the last so many hours.

    Args:
        found: All that are there now.
        path: A file that remembers which were told: see `remember`.
        hours: After which a trouble that stays is told again.
    """
    told, now = _told(path), datetime.now(UTC)
    last = timedelta(hours=hours)
    return [one for one in found if one.key not in told or now - told[one.key] >= last]


def remember(found: Sequence[Trouble], told: Sequence[Trouble], path: Path) -> None:
    """Keep which of the troubles were told now, and when the others were.

    A trouble that is over is forgotten, and told again should it come back.

    Raises:
        OSError: if the file cannot be written.
    """
    now = datetime.now(UTC)
    times = _told(path) | {one.key: now for one in told}
    kept = {one.key: times[one.key].isoformat() for one in found if one.key in times}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(kept, indent=1))


def _told(path: Path) -> dict[str, datetime]:
    """When each trouble was told last, by its key; none if that is not known."""
    try:
        return {k: datetime.fromisoformat(v) for k, v in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _named(version: int | None) -> str:
    return f"version {version}" if version is not None else "nobody"
