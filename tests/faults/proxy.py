"""A TCP proxy that cuts connections."""

from __future__ import annotations

import contextlib
import math
import random
import select
import socket
import threading


class Proxy:
    """Passes connections on to a port, and cuts some in the middle of an exchange over HTTP.

    Args:
        to: The port of the loopback interface that it stands in front of.
        every: After how many requests on average one is cut, before or after its answer began.
        seed: Of which, and when.
    """

    def __init__(self, to: int, every: int, seed: int) -> None:
        self.to, self.every = to, every
        self.cut = 0
        self._random = random.Random(seed)
        self._ahead = self._random.randrange(2 * every)  # requests until the next cut
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Pass on what either end says, until one has no more to say or is cut off."""
        address = ("127.0.0.1", self.to)
        with (
            client, contextlib.suppress(OSError), socket.create_connection(address) as server,
        ):  # fmt: skip
            other = {client: server, server: client}
            asking, left = False, dict.fromkeys(other, math.inf)
            while True:
                for end in select.select(list(other), [], [])[0]:
                    if end is client and not asking:
                        left = self._next(client, server)
                    asking = end is client
                    data = end.recv(1 << 16)
                    left[end] -= len(data)
                    if left[end] <= 0:
                        self.cut += 1
                        return
                    if not data:
                        return
                    other[end].sendall(data)

    def _next(self, client: socket.socket, server: socket.socket) -> dict[socket.socket, float]:
        """After how many bytes of either end's the next exchange is cut."""
        left = dict.fromkeys((client, server), math.inf)
        self._ahead -= 1
        if self._ahead < 0:
            self._ahead = self._random.randrange(2 * self.every)
            # Of the request, or of the answer: then the server has done what it was asked.
            left[self._random.choice((client, server))] = self._random.randrange(1, 400)
        return left
