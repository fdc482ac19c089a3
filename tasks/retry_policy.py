"""When a stage is tried again after a failure that passes by itself.

A server that is away is waited for where it is asked (`incumbent.runtime.backoff`), not here.
What is left are the networks that data and weights come through.
"""

from __future__ import annotations

from typing import Any, TypedDict

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun

from incumbent.runtime import failure_explanations


def _retried(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    # Prefect wants a plain function here.
    return isinstance(state.data, BaseException) and failure_explanations.of_network(state.data)


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
