"""Check servers, champions, ledgers, runs and the disk, and tell of new troubles."""

from __future__ import annotations

from prefect import flow

from incumbent.errors import NotWell
from incumbent.operations import monitored_troubles, prefect_flow_runs, status
from incumbent.operations.status import Status
from incumbent.runtime import environment, time_limits
from tasks import announce, show
from tasks.check_health import examine, tell

_HOURS = 0.5
"""A look takes ten seconds a champion, a server may be away for five minutes, and the next look is
due in an hour."""


@flow(name="monitor", on_failure=[announce.unforeseen])
def monitor(
    max_age_days: float = status.MAX_AGE,
    min_free_gib: float = monitored_troubles.MIN_FREE,
    max_run_hours: float = prefect_flow_runs.MAX_HOURS,
    repeat_hours: float = 24.0,
) -> Status:
    """Look at servers, champions, ledgers, runs and the disk, and tell what is wrong.

    Args:
        max_age_days: A champion older than this is old.
        min_free_gib: A disk with less free than this is nearly full.
        max_run_hours: A run that has been under way for longer is stuck.
        repeat_hours: What stays wrong is told again after so long.

    Raises:
        NotWell: if anything is wrong; it says what.
        StageTimedOut: if something that it asks does not answer at all.
    """
    environment.prepare()
    environment.quiet()
    show.tidy_logs()
    with time_limits.whole("monitor", _HOURS):
        found = examine(max_age_days, min_free_gib, max_run_hours)
        tell(found, repeat_hours)
    if found.wrong:
        raise NotWell("\n".join(found.wrong))
    return found
