"""A model that follows its alias: whoever bears it answers, once it is seen to be right."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from incumbent.errors import RegistryError, StoreAway
from incumbent.serving.json_logs import log
from incumbent.serving.limits import Limits
from incumbent.serving.metrics import Metrics
from incumbent.serving.refusals import NotReady
from incumbent.serving.request_queue import RequestQueue
from incumbent.serving.verified_model import Answer, VerifiedModel
from incumbent.tracking.registry_reads import Version, Versions

_T = TypeVar("_T")
_AGAIN = 300.0  # seconds after which a refused version is looked at again: it may be restored


class FollowedModel:
    """The version of one model that is in service, and the next one as it comes.

    Attributes:
        name: The registered model.
        served: Who answers; None until the first is loaded.
    """

    def __init__(
        self, registry: Versions, name: str, alias: str, limits: Limits, metrics: Metrics
    ) -> None:
        self.name, self.alias = name, alias
        self.served: VerifiedModel | None = None
        self._registry, self._limits, self._metrics = registry, limits, metrics
        self._queue = RequestQueue(name, limits, metrics)
        self._refused: tuple[int, float] | None = None  # a version, and until when
        for counter in (metrics.swaps, metrics.refused, metrics.registry_errors):
            counter.add(name, by=0)

    @property
    def ready(self) -> VerifiedModel:
        """Who answers.

        Raises:
            NotReady: if nobody is loaded yet.
        """
        if self.served is None:
            raise NotReady(f"{self.name} is being loaded. Come back soon.", retry=1)
        return self.served

    async def answer(
        self, model: VerifiedModel, texts: Sequence[str | None]
    ) -> list[Answer | None]:
        """The answers (n,) of one version to all texts of a request; None where there is no text.

        Args:
            model: Who is to answer, all of them: `ready` when the request came.
            texts: The texts, (n,).
        """
        found = iter(await self._queue.ask(model, [text for text in texts if text is not None]))
        answers = [None if text is None else next(found) for text in texts]
        version = str(model.number)
        self._metrics.rows.add(self.name, version, by=len(texts))
        for answer in answers:
            label = "" if answer is None else str(answer["label"])
            for one in label.split("|") if model.multilabel else [label]:
                self._metrics.labels.add(self.name, version, one)
        return answers

    async def begin(self) -> None:
        """Load the version that bears the alias.

        Raises:
            RegistryError: if nobody does, or it is not what was registered.
        """
        version = await asyncio.to_thread(self._registry.aliased, self.name, self.alias)
        try:
            self._put(await asyncio.to_thread(VerifiedModel, self._registry, version))
        except StoreAway:
            raise
        except RegistryError as error:
            raise RegistryError(
                f"Version {version.version} of {self.name} is not served: {error}. Give the title "
                "to another (`incumbent rollback`), or restore its files."
            ) from error

    async def run(self) -> None:
        """Answer, and follow the alias, until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._queue.run())
            tasks.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._limits.check)
            try:
                await self._look()
            except Exception as error:  # noqa: BLE001  a registry that is away changes nothing
                self._metrics.registry_errors.add(self.name)
                log("registry away", logging.WARNING, model=self.name, reason=str(error))

    async def _look(self) -> None:
        """Put whoever bears the alias now in service."""
        version = await _apart(self._registry.bearer, self.name, self.alias)
        held = self.served.number if self.served else None
        if version is None or version.version == held:
            self._refused = None
        elif self._refused is None or (
            self._refused[0] != version.version or time.monotonic() > self._refused[1]
        ):
            await self._swap(version)

    async def _swap(self, version: Version) -> None:
        start = time.perf_counter()
        about = {"model": self.name, "version": version.version}
        try:
            model = await asyncio.to_thread(VerifiedModel, self._registry, version)
        except StoreAway:
            raise
        except RegistryError as error:
            self._refused = version.version, time.monotonic() + _AGAIN
            self._metrics.refused.add(self.name)
            kept = self.served.number if self.served else None
            log("version refused", logging.ERROR, **about, kept=kept, reason=str(error))
            return
        self._put(model)
        self._metrics.swaps.add(self.name)
        log("version in service", **about, seconds=round(time.perf_counter() - start, 3))

    def _put(self, model: VerifiedModel) -> None:
        self.served, self._refused = model, None
        self._metrics.version.set(self.name, to=model.number)


async def _apart(work: Callable[..., _T], *arguments: str) -> _T:
    """What `work` comes to, in a thread that neither others nor the end of the process wait for.

    A registry may hang for minutes: the threads that answer must not all wait for it.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[_T] = loop.create_future()

    def settle(settled: Callable[[Any], None], value: Any) -> None:
        if not found.done():
            settled(value)

    def run() -> None:
        settled: Callable[[Any], None] = found.set_result
        value: Any
        try:
            value = work(*arguments)
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            settled, value = found.set_exception, error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, settled, value)

    threading.Thread(target=run, name="registry", daemon=True).start()
    return await found
