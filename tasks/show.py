"""How tasks speak: one log line a stage, progress bars, artifacts on the Prefect page."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.logging import get_run_logger
from prefect.logging.handlers import PrefectConsoleHandler
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

from incumbent.errors import IncumbentError
from incumbent.runtime import failure_explanations
from incumbent.runtime.markdown import escaped
from incumbent.servers import prefect_outages

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY = 2.0  # seconds between updates of a progress artifact: each is a request to the server
_AWAY = 30.0  # seconds between them while it does not answer
_ANSWER = 3.0  # seconds that the server may take: training waits meanwhile

T = TypeVar("T")


def say(message: str, *values: object) -> None:
    """Log one line of the running task or flow."""
    get_run_logger().info(message, *values)


def markdown(key: str, text: str, description: str) -> None:
    """Show markdown on the run's page; `text` must be escaped already (`runtime.markdown`)."""
    _sent(lambda: create_markdown_artifact(text, key=key, description=description), key)


def table(key: str, rows: Sequence[Mapping[Any, Any]], description: str) -> None:
    """Show a table on the run's page, which renders each text in it as markdown."""
    cells = [
        {name: escaped(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        for row in rows
    ]
    _sent(lambda: create_table_artifact(cells, key=key, description=description), key)


def _sent(create: Callable[[], T], key: str) -> T | None:
    """Make an artifact; None if the server stays away: a page without it is no failed run.

    Prefect's client makes a request again only if it has reached the server before, and each
    artifact has a client of its own.
    """
    try:
        return prefect_outages.waited_for(create)
    except httpx.HTTPError as error:
        say("%s is not on the run's page: %s", key, prefect_outages.reason(error))
        return None


class Progress:
    """A bar on the terminal and a progress artifact, moved together."""

    def __init__(self, bar: Any, artifact: UUID | None) -> None:
        self._bar = bar
        self._artifact = artifact
        self._next = 0.0
        self._untold: float | None = None

    def to(self, done: int, total: int | None, **numbers: float) -> None:
        """Move to `done` of `total`, if that is known, showing some numbers beside the bar."""
        self._bar.n, self._bar.total = done, total
        if numbers:
            self._bar.set_postfix({k: f"{v:.3g}" for k, v in numbers.items()}, refresh=False)
        self._bar.refresh()
        now = time.monotonic()
        if total and self._artifact and (now >= self._next or done >= total):
            self._tell(self._artifact, min(100.0, 100 * done / total))
            self._next = time.monotonic() + (_EVERY if self._untold is None else _AWAY)

    def _tell(self, artifact: UUID, percent: float) -> None:
        """Show it on the page, unless the server is away: the work does not wait for that."""
        quick = {PREFECT_API_REQUEST_TIMEOUT: _ANSWER, PREFECT_CLIENT_MAX_RETRIES: 0}
        try:
            with temporary_settings(quick):
                update_progress_artifact(artifact_id=artifact, progress=percent)
        except httpx.HTTPError:
            self._untold = percent
        else:
            self._untold = None

    def end(self) -> None:
        """Show what the server missed last."""
        artifact, percent = self._artifact, self._untold
        if artifact is not None and percent is not None:
            _sent(
                lambda: update_progress_artifact(artifact_id=artifact, progress=percent),
                "the progress",
            )

    def by(self, done: int) -> None:
        """Move on by `done`."""
        self.to(self._bar.n + done, self._bar.total)


@contextmanager
def progress(key: str, total: int | None, unit: str, description: str) -> Iterator[Progress]:
    """Show the progress of long work; the bar appears on a terminal only."""
    from tqdm import tqdm

    artifact = _sent(
        lambda: create_progress_artifact(progress=0.0, key=key, description=description), key
    )
    if not isinstance(artifact, UUID | None):
        raise TypeError("create_progress_artifact was called outside a synchronous task")
    with tqdm(
        total=total, unit=unit, desc=key, disable=not sys.stderr.isatty(), leave=False
    ) as bar:
        shown = Progress(bar, artifact)
        yield shown
    shown.end()


def tidy_logs() -> None:
    """Have Prefect log our own errors once, as their message alone, and no word of states.

    Users act on messages, not on tracebacks; each stage says itself what it did, and the page
    shows how it ended.
    """
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if _plain not in logger.filters:
            logger.addFilter(_plain)


def leave_errors_to_the_command() -> None:
    """Keep our own errors off the console, as the command ends with them; the page has them."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, PrefectConsoleHandler) and _not_ours not in handler.filters:
            handler.addFilter(_not_ours)


def _not_ours(record: logging.LogRecord) -> bool:
    return not hasattr(record, "incumbent")


def _plain(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    known = (
        str(error)
        if isinstance(error, IncumbentError)
        else error and failure_explanations.of_disk(error)
    )
    if error and known:
        if getattr(error, "logged", False):  # by the task, and now by the flow
            return False
        error.logged = True  # type: ignore[attr-defined]
        record.msg, record.args, record.exc_info = known, (), None
        record.incumbent = True
    return not record.getMessage().startswith(("Finished in state", "Running hook", "Hook "))
