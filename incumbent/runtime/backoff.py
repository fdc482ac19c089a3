"""Wait for a server that is away: with back-off, and not for ever."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

_FIRST, _LONGEST = 0.5, 10.0  # seconds between two tries

_log = logging.getLogger(__name__)


class Backoff:
    """How long to wait for one server, counted from when it was first found away.

    Attributes:
        seconds: How long at most.
    """

    def __init__(self, who: str, seconds: float) -> None:
        self.seconds = seconds
        self._who = who
        self._since: float | None = None
        self._pause = _FIRST

    def wait(self, reason: str, sleep: Callable[[float], object] = time.sleep) -> bool:
        """Sleep until the next try; False, at once, if there shall be none.

        Args:
            reason: How the last try failed; logged if it is the first.
            sleep: Sleeps so many seconds.
        """
        now = time.monotonic()
        if self._since is None:
            self._since, self._pause = now, _FIRST
            if self.seconds > 0:
                _log.warning(
                    "%s is away since %s: %s. Waiting%s.", self._who,
                    datetime.now(UTC).strftime("%H:%M:%S UTC"),
                    reason.removeprefix(f"{self._who} ").rstrip("."),
                    "" if self.seconds == float("inf") else f" up to {self.seconds:g} s",
                )  # fmt: skip
        left = self._since + self.seconds - now
        if left <= 0:
            return False
        # Some chance in it, so that all who wait do not come back at the same moment.
        sleep(min(self._pause * random.uniform(0.75, 1.25), left))  # noqa: S311
        self._pause = min(2 * self._pause, _LONGEST)
        return True

    def answered(self) -> None:
        """Note that the server answered."""
        if self._since is not None:
            if self.seconds > 0:
                waited = time.monotonic() - self._since
                _log.warning("%s answers again, after %.0f s.", self._who, waited)
            self._since = None
