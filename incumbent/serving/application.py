"""The HTTP application: routes, limits, and what is said of each request."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from incumbent.serving import access, mlflow_protocol, open_inference, openapi
from incumbent.serving.access import Access
from incumbent.serving.followed_model import FollowedModel
from incumbent.serving.json_logs import fault, log
from incumbent.serving.limits import Limits
from incumbent.serving.metrics import CONTENT_TYPE, Metrics
from incumbent.serving.refusals import Busy, NotKnown, Refusal, TooMuch, TooSlow
from incumbent.serving.verified_model import Answer, VerifiedModel

_LONG = 65_536  # bytes from which on a body is parsed beside the event loop
_SAID = 1_000  # characters of a refusal: it may quote what was sent
_Handler = Callable[[Request], Awaitable[Response]]


class Application:
    """Serves some models.

    Attributes:
        app: What an ASGI server runs.
        cut_off: How many requests the server ended before they were answered.
    """

    def __init__(
        self, models: Sequence[FollowedModel], limits: Limits, metrics: Metrics, allowed: Access,
        failed: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        """Make it.

        Args:
            models: What is served.
            limits: What a request may hold, and how long things may take.
            metrics: What is counted.
            allowed: Who may ask.
            failed: Told why the server cannot go on, if a model cannot be loaded at first.
        """
        self._models = {model.name: model for model in models}
        self._limits, self._metrics, self._allowed = limits, metrics, allowed
        self._failed = failed
        self._held = 0  # bytes of bodies
        self.cut_off = 0
        get, post = ["GET"], ["POST"]
        self.app = Starlette(
            lifespan=self._lifespan,
            routes=[
                self._route("/invocations", self._invocations, post),
                self._route("/models/{name}/invocations", self._invocations, post),
                self._route("/v2/models/{name}/infer", self._infer, post),
                self._route("/v2/models/{name}/versions/{version}/infer", self._infer, post),
                self._route("/v2/models/{name}", self._about, get),
                self._route("/v2/models/{name}/versions/{version}", self._about, get),
                self._route("/v2/models/{name}/ready", self._model_ready, get),
                self._route("/v2/models/{name}/versions/{version}/ready", self._model_ready, get),
                self._route("/v2", self._server, get),
                self._route("/version", self._mlflow_version, get),
                self._route("/metrics", self._metrics_text, get),
                self._route("/openapi.json", self._openapi, get),
                self._route("/docs", self._page, get),
                self._route("/", self._page, get),
                self._route("/ping", self._health, get, guarded=False),
                self._route("/health", self._health, get, guarded=False),
                self._route("/v2/health/live", self._live, get, guarded=False),
                self._route("/v2/health/ready", self._ready, get, guarded=False),
            ],
        )

    @property
    def ready(self) -> bool:
        """Whether all models are loaded."""
        return all(model.served is not None for model in self._models.values())

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._serve(model)) for model in self._models.values()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, model: FollowedModel) -> None:
        try:
            await model.begin()
            served = model.ready
            log("version in service", model=served.name, version=served.number)
            if self.ready:
                log("ready")
            await model.run()
        except Exception as error:  # noqa: BLE001  told by whoever started the server
            self._failed(error)

    def _route(
        self, path: str, handler: _Handler, methods: list[str], *, guarded: bool = True
    ) -> Route:
        async def answer(request: Request) -> Response:
            start = time.perf_counter()
            asked = request.headers.get("x-request-id", "")[:64]
            identity = asked if asked.isascii() and asked.isprintable() and asked else ""
            identity = identity or secrets.token_hex(8)
            try:
                if guarded and not self._allowed.lets_in(request.headers.get("authorization")):
                    response = access.refusal()
                else:
                    response = await handler(request)
            except Refusal as refusal:
                response = _refused(request, refusal)
            except ClientDisconnect:
                response = Response(status_code=499)
            except asyncio.CancelledError:
                self.cut_off += 1
                raise
            except Exception as error:  # noqa: BLE001  the client is told that it is ours
                log("request failed", logging.ERROR, route=path, id=identity, **fault(error))
                response = JSONResponse(
                    {"error_code": "INTERNAL_ERROR", "message": f"failed; see log, {identity}"}, 500
                )
            finally:
                self._held -= getattr(request.state, "held", 0)
            took = time.perf_counter() - start
            self._metrics.requests.add(path, str(response.status_code))
            self._metrics.seconds.observe("total", value=took)
            response.headers["x-request-id"] = identity
            if guarded:
                log(
                    "request", route=path, status=response.status_code, id=identity,
                    milliseconds=round(1000 * took, 2),
                    **{name[2:].replace("-", "_"): response.headers[name]
                       for name in ("x-model-name", "x-model-version") if name in response.headers},
                )  # fmt: skip
            return response

        return Route(path, answer, methods=methods)

    async def _invocations(self, request: Request) -> Response:
        model = self._of(request)
        served = model.ready
        body = await self._body(request)
        kind = request.headers.get("content-type", "")
        texts, version = await _aside(body, mlflow_protocol.texts, kind, served.text_columns)
        answers = await self._answers(request, model, served, texts)
        document = await _aside(
            body, lambda _: mlflow_protocol.answer(served, answers, version=version)
        )
        return _answered(served, document)

    async def _infer(self, request: Request) -> Response:
        model = self._of(request)
        served = self._asked(request, model)
        body = await self._body(request)
        texts, asked = await _aside(body, open_inference.texts, served.text_columns)
        open_inference.wanted(served, asked)  # before the model is asked in vain
        answers = await self._answers(request, model, served, texts)
        return _answered(served, open_inference.answer(served, answers, asked))

    async def _answers(
        self,
        request: Request,
        model: FollowedModel,
        served: VerifiedModel,
        texts: Sequence[str | None],
    ) -> list[Answer | None]:
        if len(texts) > self._limits.rows:
            raise TooMuch(
                f"{len(texts):,} texts were sent; {self._limits.rows:,} at most are taken in a "
                "request. Send them in parts, or use `incumbent score`."
            )
        for row, text in enumerate(texts):
            if text is not None and len(text) > self._limits.characters:
                raise TooMuch(
                    f"the text of row {row} has {len(text):,} characters; "
                    f"{self._limits.characters:,} at most are taken"
                )
        return await _unless_left(request, model.answer(served, texts))

    async def _body(self, request: Request) -> bytes:
        try:
            return await self._read(request)
        except Refusal as refusal:
            refusal.unread = True
            raise

    async def _read(self, request: Request) -> bytes:
        start = time.perf_counter()
        said = request.headers.get("content-length", "0")
        if said.isdecimal() and int(said) > self._limits.body:
            raise self._too_long()
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.reading):
                async for part in request.stream():
                    size += len(part)
                    if size > self._limits.body:
                        raise self._too_long()
                    self._held += len(part)
                    request.state.held = size
                    if self._held > max(self._limits.held, self._limits.body):
                        raise Busy("too many requests wait already. Come back in 1 s.", retry=1)
                    parts.append(part)
        except TimeoutError:
            raise TooSlow(f"the request was not there within {self._limits.reading:g} s") from None
        self._metrics.seconds.observe("read", value=time.perf_counter() - start)
        return b"".join(parts)

    def _too_long(self) -> TooMuch:
        return TooMuch(
            f"the body has more than {self._limits.body:,} bytes; send the texts in parts"
        )

    def _of(self, request: Request) -> FollowedModel:
        name = request.path_params.get("name")
        if name is None:
            if len(self._models) == 1:
                return next(iter(self._models.values()))
            raise Refusal(
                f"several models are served: post to /models/NAME/invocations, NAME being one of "
                f"{', '.join(self._models)}"
            )
        if name not in self._models:
            raise NotKnown(f"no such model is served; there is {', '.join(self._models)}")
        return self._models[name]

    def _asked(self, request: Request, model: FollowedModel) -> VerifiedModel:
        served = model.ready
        if request.path_params.get("version", str(served.number)) != str(served.number):
            raise NotKnown(
                f"version {served.number} of {served.name} is in service, and no other is served"
            )
        return served

    async def _about(self, request: Request) -> Response:
        served = self._asked(request, self._of(request))
        return _answered(served, open_inference.metadata(served))

    async def _model_ready(self, request: Request) -> Response:
        served = self._asked(request, self._of(request))
        return _answered(served, {"name": served.name, "ready": True})

    async def _server(self, _request: Request) -> Response:
        return JSONResponse(open_inference.server())

    async def _mlflow_version(self, _request: Request) -> Response:
        from mlflow.version import VERSION

        return Response(VERSION, media_type="application/json")

    async def _metrics_text(self, _request: Request) -> Response:
        return PlainTextResponse(self._metrics.text(), headers={"content-type": CONTENT_TYPE})

    async def _openapi(self, _request: Request) -> Response:
        return JSONResponse(openapi.document(list(self._models), guarded=self._allowed.guarded))

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(openapi.page(list(self._models)))

    async def _health(self, _request: Request) -> Response:
        """As MLflow's: whether there is a model that answers."""
        return Response("\n", 200 if self.ready else 503, media_type="application/json")

    async def _live(self, _request: Request) -> Response:
        return JSONResponse({"live": True})

    async def _ready(self, _request: Request) -> Response:
        return JSONResponse({"ready": self.ready}, 200 if self.ready else 503)


async def _aside(body: bytes, work: Callable[..., Any], *arguments: Any) -> Any:
    """What `work` makes of a body; beside the event loop, if it is long."""
    if len(body) < _LONG:
        return work(body, *arguments)
    return await asyncio.to_thread(work, body, *arguments)


async def _unless_left(
    request: Request, work: Coroutine[Any, Any, list[Answer | None]]
) -> list[Answer | None]:
    """The answers that `work` comes to; it is given up if the client leaves meanwhile.

    Raises:
        ClientDisconnect: if it left: nobody is there to answer.
    """
    asked, left = asyncio.create_task(work), asyncio.create_task(_left(request))
    try:
        await asyncio.wait((asked, left), return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            raise ClientDisconnect
        return asked.result()
    finally:
        asked.cancel()
        left.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _answered(served: VerifiedModel, document: dict[str, Any]) -> Response:
    headers = {"x-model-name": served.name, "x-model-version": str(served.number)}
    return Response(json.dumps(_finite(document)), headers=headers, media_type="application/json")


def _finite(value: Any) -> Any:
    """JSON knows no NaN: null stands for a number that does not exist."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return value


def _refused(request: Request, refusal: Refusal) -> Response:
    """A refusal as the protocol that was spoken says it."""
    said = str(refusal)
    said = said if len(said) <= _SAID else f"{said[:_SAID]} …"
    document = (
        {"error": said}
        if request.url.path.startswith("/v2")
        else {"error_code": refusal.code, "message": said}
    )
    headers = {} if refusal.retry is None else {"retry-after": str(refusal.retry)}
    if refusal.unread:
        headers["connection"] = "close"
    return Response(json.dumps(document), refusal.status, headers, media_type="application/json")
