"""Give an earlier champion the title back."""

from __future__ import annotations

from prefect import flow

from incumbent.config import TrackingConfig
from incumbent.runtime import environment, time_limits
from tasks import announce, approve_or_roll_back, show

_HOURS = 0.5
"""Verifying a version takes a minute, its download more, and a server may be away for five."""


@flow(name="rollback", flow_run_name="rollback {model_name}", on_failure=[announce.failure])
def rollback(model_name: str, reason: str, to: int | None = None) -> int:
    """Verify an earlier champion, and give it the title back; gives its version.

    Args:
        model_name: The registered model.
        reason: Why, for the ledger.
        to: The version; without one, the champion before the present one.

    Raises:
        ConfigError: if there is no such champion.
        RegistryError: if it does not answer as it did.
        StageTimedOut: if it does not answer at all.
    """
    environment.prepare()
    environment.quiet()
    show.tidy_logs()
    with time_limits.whole("rollback", _HOURS):
        return approve_or_roll_back.restore(model_name, to, reason, TrackingConfig())
