"""Run the application: the socket, TLS, slow clients, signals, and how it ends."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from incumbent.errors import ConfigError, StageError
from incumbent.runtime.environment import importing
from incumbent.serving import json_logs
from incumbent.serving.access import TOKEN, Access
from incumbent.serving.application import Application
from incumbent.serving.followed_model import FollowedModel
from incumbent.serving.json_logs import log
from incumbent.serving.limits import Limits
from incumbent.serving.metrics import Metrics
from incumbent.tracking.registry_reads import CHAMPION, Versions

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_HEAD = 2**20  # bytes that are read while no request is answered: of headers, or of one refused


@dataclass(frozen=True)
class Address:
    """Where to listen; with a certificate and its key, by TLS."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None

    def tls(self) -> ssl.SSLContext | None:
        """The certificate and its key, read.

        Raises:
            ConfigError: if one is missing, or they do not belong together.
        """
        if self.certificate is None and self.key is None:
            return None
        if self.certificate is None or self.key is None:
            raise ConfigError("--tls-cert and --tls-key belong together: give both, or neither.")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:  # ssl.SSLError is one
            reason = error.strerror or getattr(error, "reason", None) or error
            raise ConfigError(
                f"TLS with {self.certificate} and {self.key} is not possible: {reason}. PEM files "
                "of a certificate and of its key, without a password, are expected."
            ) from None
        return context

    def opened(self) -> socket.socket:
        """A socket that listens there.

        Raises:
            ConfigError: if the port is taken or is not ours to take, or there is no such host.
        """
        try:
            family = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server(
                (self.host, self.port), family=family, backlog=2048, reuse_port=False
            )
        except OSError as error:
            raise ConfigError(
                f"Nothing can listen at {self.host}:{self.port}: {error.strerror or error}. Choose "
                "another --port or --host."
            ) from None


def serve(
    names: Sequence[str], address: Address, limits: Limits, settings: Mapping[str, str],
    alias: str = CHAMPION,
) -> None:  # fmt: skip
    """Serve the versions that bear an alias, until SIGTERM comes.

    Args:
        names: The registered models.
        address: Where to listen.
        limits: What a request may hold, and how long things may take.
        settings: The environment, for who may ask.
        alias: Whose bearer is served.

    Raises:
        ConfigError: if the port is taken, there is no such model, or nobody bears the alias.
        RegistryError: if a version cannot be loaded, or is not what was registered.
        KeyboardInterrupt: if Ctrl-C came, or requests were cut off as they took too long to end.
    """
    allowed, tls = Access.of(settings), address.tls()
    listening = address.opened()
    with listening:
        with importing():
            import mlflow.pyfunc  # noqa: F401  before threads do
        registry = Versions()
        registry.backoff.seconds = 0  # the next look is the next try
        for name in names:
            registry.aliased(name, alias)
        metrics = Metrics()
        models = [FollowedModel(registry, name, alias, limits, metrics) for name in names]
        json_logs.begin()
        scheme = "https" if tls else "http"
        host, port = listening.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        log("listening", address=f"{scheme}://{host}:{port}", models=list(names))
        if not allowed.guarded and address.host not in _LOOPBACK:
            log("everyone may ask", 30, reason=f"neither {TOKEN} nor INCUMBENT_AUTH is set")
        _run(models, limits, metrics, allowed, tls, listening)


def _run(
    models: Sequence[FollowedModel], limits: Limits, metrics: Metrics, allowed: Access,
    tls: ssl.SSLContext | None, listening: socket.socket,
) -> None:  # fmt: skip
    import uvicorn
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    faults: list[BaseException] = []

    def failed(error: BaseException) -> None:
        faults.append(error)
        server.should_exit = True

    application = Application(models, limits, metrics, allowed, failed)
    config = uvicorn.Config(
        application.app, http=_patient(AutoHTTPProtocol, limits.reading), ws="none",
        log_config=None, access_log=False, server_header=False, date_header=True,
        timeout_graceful_shutdown=int(limits.draining), timeout_keep_alive=30, lifespan="on",
        ssl_context_factory=(lambda *_: tls) if tls else None,
    )  # fmt: skip
    signals: list[int] = []

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            signals.append(sig)
            super().handle_exit(sig, frame)

    server = Server(config)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        # To stop is what SIGTERM asks of a server, and is done when all that was asked is answered:
        # a supervisor must not take it for a failure.
        if set(signals) != {signal.SIGTERM} or application.cut_off:
            raise
    finally:
        log("stopped", cut_off=application.cut_off)
    if faults:
        raise faults[0]
    if not server.started:
        raise StageError("The server did not start; the log says why.")


def _patient(protocol: Any, seconds: float) -> Any:
    """A protocol of uvicorn that ends connections of clients that do not write or read in time."""
    return type("Patient", (_Patient, protocol), {"seconds": seconds})


class _Patient(asyncio.Protocol):
    """What is added to a protocol of uvicorn."""

    seconds: float
    _timer: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self: Any, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self: Any, data: bytes) -> None:
        super().data_received(data)
        idle = self.cycle is None or self.cycle.response_complete
        self._head = self._head + len(data) if idle else 0
        if self._head > _HEAD:
            self.transport.abort()
        if not idle and self._timer:
            self._timer.cancel()
            self._timer = None
        elif idle and self._timer is None:
            self._wait()

    def pause_writing(self: Any) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self: Any) -> None:
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()

    def connection_lost(self: Any, exc: Exception | None) -> None:
        for timer in (self._timer, self._stalled):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def _wait(self: Any) -> None:
        self._timer = self.loop.call_later(self.seconds, self.transport.close)
