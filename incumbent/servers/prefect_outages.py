"""Wait for a Prefect server that goes away in the middle of a run, and say what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from incumbent.runtime.backoff import Backoff
from incumbent.runtime.failure_explanations import TRANSIENT

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

PATIENCE = 300.0
"""Seconds to wait for a server that goes away in the middle of a run."""

T = TypeVar("T")


def waited_for(ask: Callable[[], T]) -> T:
    """What the server answers; it is asked again while it is away, for up to `PATIENCE`.

    Args:
        ask: Makes the request with a new client. Prefect's client tries again by itself once it
            has reached the server, for longer than we wait and without a message.

    Raises:
        httpx.HTTPError: if it refuses, or stays away.
    """
    import httpx

    backoff = Backoff(named(), PATIENCE)
    while True:
        try:
            answer = ask()
        except httpx.HTTPError as error:
            if not (passes(error) and backoff.wait(reason(error))):
                raise
        else:
            backoff.answered()
            return answer


def passes(error: httpx.HTTPError) -> bool:
    """Whether a request may succeed later."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in TRANSIENT
    return isinstance(error, httpx.TransportError)


def reason(error: Exception) -> str:
    """Why a request failed, in one line."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} {error.response.reason_phrase}".rstrip()
    return str(error) or type(error).__name__


def named() -> str:
    """The server, for messages."""
    from prefect.settings import PREFECT_API_URL

    return f"The Prefect server at {PREFECT_API_URL.value() or 'an address of this run'}"
