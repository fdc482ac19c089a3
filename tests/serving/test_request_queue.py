from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from incumbent.serving.limits import Limits
from incumbent.serving.metrics import Metrics
from incumbent.serving.refusals import Busy, Late
from incumbent.serving.request_queue import RequestQueue


class Echo:
    """Answers each text with itself, once it may."""

    def __init__(self, name: str = "echo") -> None:
        self.name = name
        self.may = threading.Event()
        self.asked: list[list[str]] = []

    def answers(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        self.asked.append(list(texts))
        assert self.may.wait(10)
        if "fail" in texts:
            raise ValueError("it failed")
        return [{"label": f"{self.name} {text}"} for text in texts]


async def began(model: Echo, times: int = 1) -> None:
    while len(model.asked) < times:
        await asyncio.sleep(0.001)


def run(work: Any, **limits: Any) -> None:
    async def all_of_it() -> None:
        queue = RequestQueue("echo", Limits(**limits), Metrics())
        running = asyncio.create_task(queue.run())
        try:
            await work(queue)
        finally:
            running.cancel()

    asyncio.run(all_of_it())


def test_what_arrives_meanwhile_is_asked_together_and_told_apart() -> None:
    async def work(queue: Any) -> None:
        model = Echo()
        asked = [asyncio.create_task(queue.ask(model, ["one"]))]
        await began(model)
        asked += [asyncio.create_task(queue.ask(model, [f"{n}", f"{n}'"])) for n in range(3)]
        await asyncio.sleep(0.01)
        model.may.set()
        found = await asyncio.gather(*asked)
        assert model.asked == [["one"], ["0", "0'", "1", "1'", "2", "2'"]]
        assert found[2] == [{"label": "echo 1"}, {"label": "echo 1'"}]

    run(work)


def test_no_batch_is_of_two_models_and_none_too_large() -> None:
    async def work(queue: Any) -> None:
        old, new = Echo("old"), Echo("new")
        asked = [asyncio.create_task(queue.ask(old, ["a"]))]
        await began(old)
        asked += [asyncio.create_task(queue.ask(m, list("bcdefgh"))) for m in (old, new, new)]
        await asyncio.sleep(0.01)
        old.may.set()
        new.may.set()
        found = await asyncio.gather(*asked)
        assert max(map(len, old.asked + new.asked)) <= 4
        assert [answer["label"] for answer in found[1]] == [f"old {x}" for x in "bcdefgh"]
        assert [answer["label"] for answer in found[3]] == [f"new {x}" for x in "bcdefgh"]

    run(work, batch=4)


def test_who_comes_when_too_many_wait_is_sent_away() -> None:
    async def work(queue: Any) -> None:
        model = Echo()
        first = asyncio.create_task(queue.ask(model, ["one"]))
        await began(model)
        waits = asyncio.create_task(queue.ask(model, ["a", "b", "c"]))
        await asyncio.sleep(0.01)
        with pytest.raises(Busy, match="3 texts wait") as refused:
            await queue.ask(model, ["d"])
        assert refused.value.retry == 1
        model.may.set()
        await asyncio.gather(first, waits)
        assert await queue.ask(model, ["d"])

    run(work, queue=3)


def test_an_answer_that_is_late_is_not_waited_for() -> None:
    async def work(queue: Any) -> None:
        model = Echo()
        first = asyncio.create_task(queue.ask(model, ["one"]))
        await began(model)
        with pytest.raises(Late, match=r"within 0\.05 s"):
            await queue.ask(model, ["two"])
        with pytest.raises(Late):
            await first
        model.may.set()
        assert await queue.ask(model, ["three"]) == [{"label": "echo three"}]
        assert model.asked == [["one"], ["three"]], "nobody waits for the second"

    run(work, deadline=0.05)


def test_a_model_that_fails_fails_those_who_asked_and_no_others() -> None:
    async def work(queue: Any) -> None:
        model = Echo()
        model.may.set()
        with pytest.raises(ValueError, match="it failed"):
            await queue.ask(model, ["fail"])
        assert await queue.ask(model, ["two"]) == [{"label": "echo two"}]

    run(work)
