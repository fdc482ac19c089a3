"""See that all is well, while nobody looks."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from incumbent import environment, health, status
from tasks import show
from tasks.examine import examine, tell


@flow(name="monitor")
def monitor(
    max_age_days: float = status.MAX_AGE,
    min_free_gib: float = health.MIN_FREE,
    max_run_hours: float = health.MAX_HOURS,
    repeat_hours: float = 24.0,
) -> State[Any]:
    """Look at servers, champions, ledgers, runs and the disk; ends as Failed if one is not well.

    Args:
        max_age_days: A champion older than this is old.
        min_free_gib: A disk with less free than this is nearly full.
        max_run_hours: A run that has been under way for longer is stuck.
        repeat_hours: What stays wrong is told again after so long.
    """
    environment.prepare()
    environment.quiet()
    show.tidy_logs()
    found = examine(max_age_days, min_free_gib, max_run_hours)
    tell(found, max_age_days, repeat_hours)
    if found.wrong:
        return Failed(name="Wrong", message="\n".join(found.wrong))
    return Completed(message="All is well.")
