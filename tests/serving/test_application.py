"""The application as an ASGI server runs it, with a model that answers when it may."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from incumbent.serving.access import Access
from incumbent.serving.application import Application
from incumbent.serving.followed_model import FollowedModel
from incumbent.serving.limits import Limits
from incumbent.serving.metrics import Metrics

BODY = json.dumps({"inputs": ["good"]}).encode()


class Client:
    """One request to an application, and what came back."""

    def __init__(self, app: Any, path: str = "/invocations") -> None:
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.answer: list[dict[str, Any]] = []
        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "path": path, "headers": [],
            "query_string": b"", "root_path": "", "scheme": "http",
        }  # fmt: skip
        self.task = asyncio.create_task(app(scope, self.told.get, self._take))

    async def _take(self, message: dict[str, Any]) -> None:
        self.answer.append(message)

    def send(self, body: bytes, *, more: bool = False) -> None:
        self.told.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self) -> None:
        self.told.put_nowait({"type": "http.disconnect"})

    @property
    def status(self) -> int:
        return int(self.answer[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.answer[0]["headers"])


class Served:
    """A model that answers once it may."""

    name, number, text_columns, columns, multilabel = "reviews", 1, ("text",), ["label"], False

    def __init__(self) -> None:
        self.may = threading.Event()
        self.asked: list[str] = []

    def answers(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        self.asked += texts
        assert self.may.wait(10)
        return [{"label": "pos"} for _ in texts]


def run(work: Any, registry: Any = None, **limits: Any) -> None:
    async def all_of_it() -> None:
        metrics, served = Metrics(), Served()
        model = FollowedModel(registry, "reviews", "champion", Limits(**limits), metrics)
        model.served = served  # type: ignore[assignment]
        allowed = Access.of({})
        application = Application([model], Limits(**limits), metrics, allowed, lambda _: None)
        running = asyncio.create_task(model.run())
        try:
            await work(application, served, metrics)
        finally:
            served.may.set()
            running.cancel()

    asyncio.run(all_of_it())


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def test_the_model_is_not_asked_for_a_client_that_has_left() -> None:
    async def work(application: Application, served: Served, metrics: Metrics) -> None:
        first, gone = Client(application.app), Client(application.app)
        first.send(BODY)
        await until(lambda: served.asked)
        gone.send(BODY)
        await until(lambda: metrics.queue.values["reviews",] == 1)
        gone.leave()
        await gone.task
        served.may.set()
        await first.task
        assert (first.status, gone.status) == (200, 499)
        assert served.asked == ["good"]

    run(work)


def test_who_comes_when_too_many_bytes_wait_is_sent_away() -> None:
    async def work(application: Application, served: Served, _: Metrics) -> None:
        first, second = Client(application.app), Client(application.app)
        first.send(BODY)
        await until(lambda: served.asked)
        second.send(BODY)
        await second.task
        assert (second.status, second.headers[b"retry-after"]) == (429, b"1")
        assert second.headers[b"connection"] == b"close"
        served.may.set()
        await first.task
        third = Client(application.app)
        third.send(BODY)
        await third.task
        assert (first.status, third.status) == (200, 200)

    run(work, held=30, body=30)


def test_what_is_cut_off_is_counted() -> None:
    async def work(application: Application, served: Served, _: Metrics) -> None:
        client = Client(application.app)
        client.send(BODY)
        await until(lambda: served.asked)
        client.task.cancel()
        await asyncio.gather(client.task, return_exceptions=True)
        assert application.cut_off == 1

    run(work)


def test_a_refusal_is_short_whatever_was_sent() -> None:
    async def work(application: Application, _: Served, __: Metrics) -> None:
        client = Client(application.app)
        client.send(json.dumps({"x" * 5_000: 1}).encode())
        await client.task
        assert client.status == 400
        assert len(client.answer[1]["body"]) < 1_200

    run(work)


def test_a_registry_that_hangs_holds_no_thread_that_answers_or_the_end() -> None:
    hung = threading.Event()

    def bearer(*_: str) -> None:
        hung.set()
        threading.Event().wait()

    async def work(application: Application, served: Served, _: Metrics) -> None:
        await until(hung.is_set)
        served.may.set()
        client = Client(application.app)
        client.send(BODY)
        await client.task
        assert client.status == 200

    run(work, SimpleNamespace(bearer=bearer), check=0.01)
