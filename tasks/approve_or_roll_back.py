"""Move the title by hand: roll back to an earlier champion, or approve one that waits."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.config import TrackingConfig
from incumbent.runtime.markdown import escaped
from incumbent.title import approval_and_rollback
from incumbent.title.ledger import Entry
from incumbent.tracking.registry_writes import Registry
from tasks import announce, show


@task(cache_policy=NO_CACHE)
def restore(model_name: str, to: int | None, reason: str, tracking: TrackingConfig) -> int:
    """Give an earlier champion the title back; gives its version.

    Raises:
        ConfigError: if there is no such champion.
        RegistryError: if it does not answer as it did.
    """
    return _tell(
        approval_and_rollback.rollback(Registry(tracking), model_name, to, reason), model_name
    )


@task(cache_policy=NO_CACHE)
def approve(model_name: str, version: int, reason: str, tracking: TrackingConfig) -> int:
    """Give the title to a version that waits for approval; gives the version.

    Raises:
        ConfigError: if it does not wait.
        RegistryError: if it does not answer as it was measured.
    """
    return _tell(
        approval_and_rollback.approve(Registry(tracking), model_name, version, reason), model_name
    )


def _tell(entry: Entry, model_name: str) -> int:
    before = f"version {entry.previous_champion}" if entry.previous_champion else "nobody"
    show.markdown(
        "title",
        f"**{escaped(model_name)}** version {entry.version} {entry.decision}; the champion "
        f"was {before}.\n\n{escaped(entry.reason)}",
        "Who holds the title",
    )
    announce.decision(entry, model_name)
    show.say("%s version %s %s: %s", model_name, entry.version, entry.decision, entry.reason)
    return entry.version
