"""Failures of stores, disks and networks: which ones pass by themselves, and what to do."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterator

from incumbent.errors import RegistryError, StageTimedOut

_OF_SQLITE = "(sqlite3.OperationalError) "  # SQLAlchemy may say more before and after it
_LOCKED = ("database is locked", "database table is locked")
# What is said of a fault that does not pass, after words in its message.
_REMEDIES = {
    "readonly database": "Its file or folder is read-only: make both writable for this user.",
    "disk is full": "Free space on the disk of the store.",
    "No space left": "Free space on the disk of the store.",
    "Read-only file system": "Its folder is read-only: make it writable for this user.",
    "disk I/O error": "Look at the disk of the store: it may be full, failing or gone.",
    "unable to open database file": "See that its folder is there, and writable for this user.",
    "is not a database": "Its file is damaged: restore a backup.",
    "malformed": "Its file is damaged: restore a backup.",
    "database is locked": "Another process holds it: find it with `fuser`, or a backup that hangs.",
}
# What is said of what a file system refuses; each is for whoever looks after the machine.
_OF_DISKS = {
    errno.ENOSPC: "Free space on its disk",
    errno.EDQUOT: "Free space in this user's quota, or raise it",
    errno.EFBIG: "Raise this user's limit on the size of files",
    errno.EROFS: "Make its folder writable for this user",
    errno.EIO: "Look at its disk: it may be failing or gone",
}
_CAUSE = re.compile(r"Caused by \w+\([\"']?(.*?)[\"']?\)\)")
TRANSIENT = {408, 429, 500, 502, 503, 504}
"""HTTP statuses of requests that may succeed later; MLflow's own choice."""
_OF_NETWORKS = {
    errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.ENETDOWN, errno.ENETRESET, errno.ENETUNREACH, errno.EPIPE, errno.ESTALE, errno.ETIMEDOUT,
}  # fmt: skip


def passes(error: BaseException) -> bool:
    """Whether an error is that of a server that is away, or of a database that is locked."""
    import requests
    from sqlalchemy.exc import OperationalError

    for cause in causes(error):
        if isinstance(cause, requests.exceptions.SSLError | requests.exceptions.InvalidURL):
            return False
        if isinstance(cause, requests.exceptions.HTTPError):
            return cause.response is not None and cause.response.status_code in TRANSIENT
        if isinstance(cause, requests.exceptions.RequestException):
            return True
        if isinstance(cause, OperationalError):
            ours = "sqlite3." in str(cause)
            return any(words in str(cause) for words in _LOCKED) if ours else True
    return False


def reason(error: BaseException) -> str:
    """An error in one line, and what to do about it if that is known."""
    import requests

    for cause in causes(error):
        if isinstance(cause, requests.exceptions.ConnectionError | requests.exceptions.RetryError):
            # After its host, port and address, and within the exception's own name.
            inner = _CAUSE.search(str(cause))
            said = (inner[1] if inner else str(cause)).rpartition(": ")[2]
            return said.rpartition("('")[2].strip() + "."
    lines = str(error).strip().splitlines() or [repr(error)]
    line = next((line for line in lines if line.startswith(_OF_SQLITE)), lines[0])
    line = line.removeprefix(_OF_SQLITE).rstrip(".")
    if said := of_disk(error):
        return said
    for words, remedy in _REMEDIES.items():
        if words in line:
            return f"{line}. {remedy}"
    return f"{line}."


def of_disk(error: BaseException) -> str | None:
    """What to do about an error, if a file system that refused to be written led to it."""
    for cause in causes(error):
        if isinstance(cause, OSError) and cause.errno in _OF_DISKS:
            # Libraries put more than that into `strerror`, and not always the file into `filename`.
            where = f": {cause.filename}" if cause.filename else ""
            return f"{os.strerror(cause.errno)}{where}. {_OF_DISKS[cause.errno]}, and run again."
    return None


def of_network(error: BaseException) -> bool:
    """Whether an error, or one that led to it, is that of a network, and so may pass.

    Libraries raise errors of their own, and keep that of the socket as the cause.
    """
    for cause in causes(error):
        if isinstance(cause, RegistryError | StageTimedOut):
            return False
        status = getattr(
            cause, "status", getattr(getattr(cause, "response", None), "status_code", 0)
        )
        if isinstance(cause, ConnectionError | TimeoutError) or status in TRANSIENT:
            return True
        if isinstance(cause, socket.gaierror):
            return cause.errno == socket.EAI_AGAIN  # another failure is a wrong name
        if isinstance(cause, OSError) and cause.errno in _OF_NETWORKS:
            return True
    return False


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it: MLflow does not always name its cause."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
