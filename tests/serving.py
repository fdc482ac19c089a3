"""Small HTTP servers that tests ask, and send to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer

_POLL = 0.01  # seconds until it sees that it is to end; the library's half second adds up


@contextmanager
def serving(server: HTTPServer) -> Iterator[str]:
    """Have it answer in a thread, and close it at the end; gives its address."""
    with server:
        threading.Thread(target=server.serve_forever, args=[_POLL], daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
