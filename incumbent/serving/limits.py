"""What a server takes from its clients, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """How much one request may hold, how much may wait, and how long anything may take."""

    rows: int = 1_000
    """Texts in a request."""
    characters: int = 100_000
    """Characters in a text."""
    body: int = 16 * MIB
    """Bytes in a request."""
    held: int = 256 * MIB
    """Bytes of all requests that are read or wait; who comes later is sent away with 429."""
    queue: int = 2_000
    """Texts that wait for the model; who comes later is sent away with 429."""
    batch: int = 64
    """Texts that the model is asked at once."""
    deadline: float = 30.0
    """Seconds from when a request is read until it is answered."""
    reading: float = 10.0
    """Seconds in which a client must send a request's headers, then its body, and then read."""
    draining: float = 30.0
    """Seconds for which requests are finished after SIGTERM."""
    check: float = 5.0
    """Seconds between two looks at the alias."""
