"""Wait for a Prefect server that goes away in the middle of a run, and say what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from incumbent.runtime.backoff import Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

PATIENCE = 300.0
"""Seconds to wait for a server that goes away in the middle of a run."""

_TRANSIENT = {408, 429, 500, 502, 503, 504}  # HTTP statuses

T = TypeVar("T")


def waited_for(ask: Callable[[], T]) -> T:
    """What the server answers; it is asked again while it is away, for up to `PATIENCE`.

    Args:
        ask: Makes the request, by a client of its own: one that has reached the server before
            waits by itself, for longer and in silence.

    Raises:
        httpx.HTTPError: if it refuses, or stays away.
    """
    import httpx

    patience = Patience(named(), PATIENCE)
    while True:
        try:
            answer = ask()
        except httpx.HTTPError as error:
            if not (passes(error) and patience.wait(reason(error))):
                raise
        else:
            patience.answered()
            return answer


def passes(error: httpx.HTTPError) -> bool:
    """Whether a request may succeed later."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _TRANSIENT
    return isinstance(error, httpx.TransportError)


def reason(error: httpx.HTTPError) -> str:
    """Why a request failed, in one line."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return f"{error.response.status_code} {error.response.reason_phrase}".rstrip()
    return str(error) or type(error).__name__


def named() -> str:
    """The server, for messages."""
    from prefect.settings import PREFECT_API_URL

    return f"The Prefect server at {PREFECT_API_URL.value() or 'an address of this run'}"
