"""TCP proxies: one that cuts connections, and one that a server is taken away behind."""

from __future__ import annotations

import contextlib
import math
import random
import re
import select
import socket
import threading
from collections.abc import Callable
from typing import Literal


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


Moment = Literal["before it", "with its answer lost", "after it"]
"""When a server goes away: before it gets a request, when it has done it, or has answered, too."""


class Door:
    """Passes connections on to a port, and is shut at a moment of one request: once.

    Args:
        to: The port of the loopback interface that it stands in front of.
        path: The end of the request's path; the first such request counts, or for "after it" the
            first that the server grants: a busy one may answer 503 before.
        moment: When it is shut: connections end, and new ones are refused.
        meanwhile: Runs while it is shut; then it opens again, at its port.
    """

    def __init__(self, to: int, path: str, moment: Moment, meanwhile: Callable[[], object]) -> None:
        self.to = to
        self.shut = threading.Event()
        self._request = re.compile(rb"^\w+ \S*" + re.escape(path.encode()) + rb" HTTP/")
        self._moment, self._meanwhile = moment, meanwhile
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Take no more connections, and end all."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # `accept` would go on for one more
        self._listener.close()
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        address, come = ("127.0.0.1", self.to), False
        with (
            client, contextlib.suppress(OSError), socket.create_connection(address) as server,
        ):  # fmt: skip
            with self._lock:
                self._open |= {client, server}
            try:
                come = self._pass(client, server)
            finally:
                with self._lock:
                    self._open -= {client, server}
        if come:
            self.close()
            self._meanwhile()
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._accept(self._listener)

    def _pass(self, client: socket.socket, server: socket.socket) -> bool:
        """Pass on what either end says until one has no more to say; or the moment has come."""
        other = {client: server, server: client}
        answer: bytes | None = None  # to the request, once that was passed on
        while True:
            for end in select.select(list(other), [], [])[0]:
                data = end.recv(1 << 16)
                if not data:
                    return False
                if end is client and self._request.match(data) and not self.shut.is_set():
                    answer = b""
                    if self._moment == "before it":
                        self.shut.set()
                        return True
                if end is server and answer is not None:
                    answer += data
                    if self._moment == "with its answer lost":
                        self.shut.set()
                        return True
                    if _whole(answer) and not _granted(answer):
                        answer = None
                    elif _whole(answer):
                        self.shut.set()
                        client.sendall(data)
                        return True
                other[end].sendall(data)


def _whole(answer: bytes) -> bool:
    """Whether an answer over HTTP has come to its end."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    return bool(blank) and len(body) >= (int(length[1]) if length else 0)


def _granted(answer: bytes) -> bool:
    """Whether its status says that the request was done."""
    return answer.split(b" ", 2)[1].startswith(b"2")
