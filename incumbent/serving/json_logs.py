"""Logs as lines of JSON on standard error; no text under classification is ever in them."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

_LOGGER = logging.getLogger("incumbent.serving")
_ABOUT = "about"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        about = getattr(record, _ABOUT, {})
        if record.exc_info and (error := record.exc_info[1]):
            about = about | fault(error)
        line = {
            "time": time,
            "level": record.levelname.lower(),
            "event": record.getMessage().strip(),
        }
        return json.dumps(line | about, ensure_ascii=False, default=str)


def fault(error: BaseException) -> dict[str, str]:
    """Where an error is from, for the log; not what it says, which may quote a text."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return {"reason": type(error).__name__, "at": at}


def begin() -> None:
    """Send what is logged here, and what uvicorn warns of, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    for name, level in ((_LOGGER.name, logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def log(event: str, level: int = logging.INFO, /, **about: Any) -> None:
    """Log an event, with what is known of it."""
    _LOGGER.log(level, event, extra={_ABOUT: about})
