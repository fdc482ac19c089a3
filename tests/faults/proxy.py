"""A TCP proxy that cuts connections."""

from __future__ import annotations

import contextlib
import random
import socket
import threading


class Proxy:
    """Passes connections on to a port, and cuts some after some bytes.

    Args:
        to: The port of the loopback interface that it stands in front of.
        share: Of the connections that are cut, before or after the answer began.
        seed: Of which, and when.
    """

    def __init__(self, to: int, share: float, seed: int) -> None:
        self.to, self.share = to, share
        self.cut = 0
        self._random = random.Random(seed)
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
            cut = self._random.random() < self.share
            # Of the request, or of the answer: then the server has done what it was asked.
            side = self._random.randrange(2)
            after = self._random.randrange(1, 400)
            threading.Thread(
                target=self._serve, args=(client, (side, after) if cut else None), daemon=True
            ).start()

    def _serve(self, client: socket.socket, cut: tuple[int, int] | None) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.to))
        except OSError:
            client.close()
            return
        ends = ((client, server), (server, client))
        for side, (source, target) in enumerate(ends):
            after = cut[1] if cut and cut[0] == side else None
            threading.Thread(target=self._pump, args=(source, target, after), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, after: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if after is not None and passed + len(data) >= after:
                    self.cut += 1
                    break
                target.sendall(data)
                passed += len(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
