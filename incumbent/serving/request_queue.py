"""The queue of one model: what arrives together is asked together, and no more waits than may.

While the model answers one batch, what arrives meanwhile is the next. So a lone request never
waits for others, and many cost no more than one pass each.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from incumbent.serving.limits import Limits
from incumbent.serving.metrics import Metrics
from incumbent.serving.refusals import Busy, Late
from incumbent.serving.verified_model import Answer, VerifiedModel


@dataclass(eq=False)
class _Part:
    """Some texts of one request, at most as many as a batch."""

    model: VerifiedModel
    texts: Sequence[str]
    answers: asyncio.Future[list[Answer]]
    since: float


class RequestQueue:
    """What waits for one model; used from the event loop alone."""

    def __init__(self, name: str, limits: Limits, metrics: Metrics) -> None:
        self.name, self._limits, self._metrics = name, limits, metrics
        self._waiting: deque[_Part] = deque()
        self._rows = 0
        self._seconds_per_row = 0.005  # until it is known
        self._arrived = asyncio.Event()

    async def ask(self, model: VerifiedModel, texts: Sequence[str]) -> list[Answer]:
        """The answers (n,) of one model to all texts of a request; none may be blank.

        Raises:
            Busy: if too many texts wait already.
            Late: if the answers are not there in time.
        """
        if not texts:
            return []
        if self._rows and self._rows + len(texts) > self._limits.queue:
            wait = max(1, math.ceil(self._rows * self._seconds_per_row))
            raise Busy(
                f"{self._rows} texts wait for {self.name} already, and {self._limits.queue} may. "
                f"Come back in {wait} s.",
                retry=wait,
            )
        self._count(len(texts))
        answers: list[Answer] = []
        queued = 0
        try:
            async with asyncio.timeout(self._limits.deadline):
                # A part waits only when the one before is answered: a long request lets others in.
                while queued < len(texts):
                    part = texts[queued : queued + self._limits.batch]
                    queued += len(part)
                    answers += await self._put(model, part)
        except TimeoutError:
            raise Late(
                f"{self.name} did not answer within {self._limits.deadline:g} s. Send fewer texts "
                "at once, or come back later."
            ) from None
        finally:
            self._count(queued - len(texts))
        return answers

    def _put(self, model: VerifiedModel, texts: Sequence[str]) -> asyncio.Future[list[Answer]]:
        answers = asyncio.get_running_loop().create_future()
        self._waiting.append(_Part(model, texts, answers, time.perf_counter()))
        self._arrived.set()
        return answers

    async def run(self) -> None:
        """Answer what waits, batch by batch, until it is cancelled."""
        while True:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            batch = self._next()
            if batch:
                await self._answer(batch)

    def _next(self) -> list[_Part]:
        """The oldest parts that wait, of one model, as many as fit into a batch."""
        batch: list[_Part] = []
        rows = 0
        while self._waiting:
            part = self._waiting[0]
            if part.answers.done():  # whoever asked has left
                self._waiting.popleft()
                self._count(-len(part.texts))
                continue
            rows += len(part.texts)
            if batch and (rows > self._limits.batch or part.model is not batch[0].model):
                break
            batch.append(self._waiting.popleft())
            self._count(-len(part.texts))
        return batch

    async def _answer(self, batch: list[_Part]) -> None:
        texts = [text for part in batch for text in part.texts]
        start = time.perf_counter()
        for part in batch:
            self._metrics.seconds.observe("queue", value=start - part.since)
        try:
            answers = await asyncio.to_thread(batch[0].model.answers, texts)
        except Exception as error:  # noqa: BLE001  each who asked is told
            for part in batch:
                if not part.answers.done():
                    part.answers.set_exception(error)
            return
        took = time.perf_counter() - start
        self._seconds_per_row += 0.2 * (took / len(texts) - self._seconds_per_row)
        self._metrics.seconds.observe("predict", value=took)
        self._metrics.batches.observe(self.name, value=len(texts))
        done = 0
        for part in batch:
            if not part.answers.done():
                part.answers.set_result(answers[done : done + len(part.texts)])
            done += len(part.texts)

    def _count(self, rows: int) -> None:
        self._rows += rows
        self._metrics.queue.set(self.name, to=self._rows)
