"""How tasks speak: one log line a stage, progress on the terminal and in the Prefect page."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.logging import get_run_logger
from prefect.logging.handlers import PrefectConsoleHandler

from incumbent.errors import IncumbentError
from incumbent.markdown import escaped

_EVERY = 2.0  # seconds between updates of a progress artifact: each is a request to the server


def say(message: str, *values: object) -> None:
    """Log one line of the running task or flow."""
    get_run_logger().info(message, *values)


def markdown(key: str, text: str, description: str) -> None:
    """Show markdown on the run's page; `text` must be escaped already (`incumbent.markdown`)."""
    create_markdown_artifact(text, key=key, description=description)


def table(key: str, rows: Sequence[Mapping[Any, Any]], description: str) -> None:
    """Show a table on the run's page, which renders each text in it as markdown."""
    cells = [
        {name: escaped(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        for row in rows
    ]
    create_table_artifact(cells, key=key, description=description)


class Progress:
    """A bar on the terminal and a progress artifact, moved together."""

    def __init__(self, bar: Any, artifact: UUID) -> None:
        self._bar = bar
        self._artifact = artifact
        self._told = 0.0

    def to(self, done: int, total: int, **numbers: float) -> None:
        """Move to `done` of `total`, showing some numbers beside the bar."""
        self._bar.n, self._bar.total = done, total
        if numbers:
            self._bar.set_postfix({k: f"{v:.3g}" for k, v in numbers.items()}, refresh=False)
        self._bar.refresh()
        now = time.monotonic()
        if now - self._told >= _EVERY or done >= total:
            self._told = now
            percent = min(100.0, 100 * done / max(total, 1))
            update_progress_artifact(artifact_id=self._artifact, progress=percent)

    def by(self, done: int) -> None:
        """Move on by `done`."""
        self.to(self._bar.n + done, self._bar.total)


@contextmanager
def progress(key: str, total: int | None, unit: str, description: str) -> Iterator[Progress]:
    """Show the progress of long work; the bar appears on a terminal only."""
    from tqdm import tqdm

    artifact = create_progress_artifact(progress=0.0, key=key, description=description)
    if not isinstance(artifact, UUID):
        raise TypeError("create_progress_artifact was called outside a synchronous task")
    with tqdm(
        total=total, unit=unit, desc=key, disable=not sys.stderr.isatty(), leave=False
    ) as bar:
        yield Progress(bar, artifact)


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
    if isinstance(error, IncumbentError):
        if getattr(error, "logged", False):  # by the task, and now by the flow
            return False
        error.logged = True
        record.msg, record.args, record.exc_info = str(error), (), None
        record.incumbent = True
    return not record.getMessage().startswith("Finished in state")
