"""Small servers that tests ask, and send to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import TCPServer

_POLL = 0.01  # seconds until it sees that it is to end; the library's half second adds up


@contextmanager
def serving(server: TCPServer) -> Iterator[str]:
    """Have it answer in a thread, and close it at the end; gives its address as of HTTP."""
    with server:
        threading.Thread(target=server.serve_forever, args=[_POLL], daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
