"""Give the title to a version that waits for approval."""

from __future__ import annotations

from prefect import flow

from incumbent.config import TrackingConfig
from incumbent.runtime import environment, time_limits
from tasks import announce, approve_or_roll_back, show

_HOURS = 0.5
"""Verifying a version takes a minute, its download more, and a server may be away for five."""


@flow(
    name="approve",
    flow_run_name="approve {model_name} version {version}",
    on_failure=[announce.failure],
)
def approve(model_name: str, version: int, reason: str = "approved") -> int:
    """Verify a version that waits, and give it the title.

    Args:
        model_name: The registered model.
        version: The version that waits for approval.
        reason: Why, for the ledger.

    Raises:
        ConfigError: if it does not wait, or the champion is no longer whom it proved itself
            against.
        RegistryError: if it does not answer as it was measured.
        StageTimedOut: if it does not answer at all.
    """
    environment.prepare()
    environment.quiet()
    show.tidy_logs()
    with time_limits.whole("approve", _HOURS):
        return approve_or_roll_back.approve(model_name, version, reason, TrackingConfig())
