"""Which failures of a stage may pass, and how it is made again then.

An MLflow or Prefect server that is away is waited for where it is asked (`incumbent.patience`), and
not here. What is left are the networks that data and weights come through.
"""

from __future__ import annotations

import errno
import socket
from typing import Any, TypedDict

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from incumbent.errors import RegistryError, StageTimedOut

_NETWORK = {
    errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.ENETDOWN, errno.ENETRESET, errno.ENETUNREACH, errno.EPIPE, errno.ESTALE, errno.ETIMEDOUT,
}  # fmt: skip
_TRANSIENT = {408, 429, 500, 502, 503, 504}  # HTTP statuses


def may_pass(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, is that of a network.

    Libraries raise errors of their own, and keep that of the socket as the cause.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, RegistryError | StageTimedOut):
            return False
        status = getattr(
            error, "status", getattr(getattr(error, "response", None), "status_code", 0)
        )
        if isinstance(error, ConnectionError | TimeoutError) or status in _TRANSIENT:
            return True
        if isinstance(error, socket.gaierror):
            return error.errno == socket.EAI_AGAIN  # another failure is a wrong name
        if isinstance(error, OSError) and error.errno in _NETWORK:
            return True
        error = error.__cause__ or error.__context__
    return False


def _retried(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    # Prefect wants a plain function here.
    return isinstance(state.data, BaseException) and may_pass(state.data)


class Retries(TypedDict):
    """Arguments of Prefect's `task`."""

    retries: int
    retry_delay_seconds: list[float]
    retry_jitter_factor: float
    retry_condition_fn: Any


RETRIES = Retries(
    retries=3,
    retry_delay_seconds=[5, 20, 80],
    retry_jitter_factor=0.3,
    retry_condition_fn=_retried,
)
"""Of every stage: three times, with back-off, and only after a failure that may pass."""
