"""What can go wrong while nobody looks: each trouble in words, with what to do about it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.encoding import write_atomically
from incumbent.errors import IncumbentError

if TYPE_CHECKING:
    from incumbent.ledger import Entry
    from incumbent.registry import Registry, Version
    from incumbent.status import Running

MIN_FREE = 2.0
"""GiB below which a disk is nearly full, unless asked otherwise: a run leaves half of one."""
MAX_HOURS = 24.0
"""Hours after which a run is called stuck, unless asked otherwise."""


def disk(folder: Path, least: float = MIN_FREE) -> list[str]:
    """Whether less is free where a folder is than so many GiB."""
    free = shutil.disk_usage(folder).free / 2**30
    if free >= least:
        return []
    return [
        f"{free:.1f} GiB are free in {folder}, less than {least:g}: runs will fail. Set "
        "retention.keep to have old versions deleted; .incumbent/ can be deleted, except "
        ".incumbent/up, while nothing runs."
    ]


def stuck(running: Sequence[Running], hours: float = MAX_HOURS) -> list[str]:
    """The runs that have been under way for longer than so many hours."""
    limit = datetime.now(UTC) - timedelta(hours=hours)
    return [
        f"{run.run} has been {run.state.lower()} since {run.since}, for more than {hours:g} hours. "
        f"Look at its log, and cancel it in the Prefect page: run {run.flow_run_id}."
        for run in running
        if run.since and datetime.fromisoformat(run.since) < limit
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


def champion(registry: Registry, version: Version) -> list[str]:
    """Whether a champion's files are those that were registered, load, and answer as measured."""
    from incumbent import succession

    try:
        succession.verify(registry, version)
    except IncumbentError as error:
        return [
            f"{version.name}: the champion cannot be relied on. {error} `incumbent rollback` gives "
            "the title to the one before, once that is seen to answer."
        ]
    return []


def news(troubles: Sequence[str], path: Path, hours: float) -> list[str]:
    """The troubles that were not told in the last so many hours; takes them for told.

    Those that differ in their numbers alone, as an age does, are the same. A trouble that is over
    is forgotten, and told again should it come back.

    Args:
        troubles: All that are there now.
        path: A file that remembers them.
        hours: After which a trouble that stays is told again.
    """
    now = datetime.now(UTC)
    try:
        told = {k: datetime.fromisoformat(v) for k, v in json.loads(path.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        told = {}
    kinds = {re.sub(r"\d+(\.\d+)?", "#", trouble): trouble for trouble in troubles}
    due = {k for k in kinds if k not in told or now - told[k] >= timedelta(hours=hours)}
    kept = {k: (now if k in due else told[k]).isoformat() for k in kinds}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(kept, indent=1))
    return [trouble for kind, trouble in kinds.items() if kind in due]


def _named(version: int | None) -> str:
    return f"version {version}" if version is not None else "nobody"
