"""Trainings take turns: the concurrency limit `gpu` lets so many of them run at a time.

`make up` makes the limit; on a server without one nothing waits. A training takes a slot under a
lease, renews the lease, and gives the slot back. Prefect's engine would do so for a task with the
tag `gpu`, but ends the run if the server is away when the slot is taken or given back.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterId
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.client.schemas.responses import ConcurrencyLimitWithLeaseResponse
from prefect.exceptions import PrefectException
from prefect.runtime import task_run
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from incumbent.errors import StageError
from incumbent.runtime.server_login import AUTH
from incumbent.servers import prefect_outages
from incumbent.servers.ports_and_commands import TRAINING
from tasks import show

_LIMIT = f"tag:{TRAINING}"  # as Prefect names the limit of a tag
_LEASE = 60.0  # seconds for which a slot is held; the server allows no fewer
_RENEWAL = 20.0  # seconds between renewals, so that one or two may fail
_ANSWER = 20.0  # seconds that the server may take
_AT_THE_END = 3.0  # seconds that it may take when the training has ended, or was interrupted
_END = 2.0  # seconds that a renewal which is under way may take when the training has ended


@contextlib.contextmanager
def taken() -> Iterator[None]:
    """Hold a slot of the limit, within a task; wait for the slot, and for a server that is away.

    A task is decorated with it below `@task`, so that a retry takes its turn anew.

    Raises:
        StageError: if the server stays away, or lets no training run.
    """
    slot = _Slot(ConcurrencyLeaseHolder(type="task_run", id=UUID(task_run.id)))
    slot.take()
    try:
        yield
    finally:
        slot.give_back()


class _Slot:
    """A slot of the limit for one task run, once it is taken.

    If the answer to a request for it is lost, nobody renews the lease. The request is made again,
    and is granted when that lease has ended.
    """

    def __init__(self, run: ConcurrencyLeaseHolder) -> None:
        self._run = run
        self._lease: UUID | None = None
        self._over = threading.Event()
        self._renewals = threading.Thread(
            target=contextvars.copy_context().run, args=(self._renew,), name="slot", daemon=True
        )

    def take(self) -> None:
        """Wait for the slot; say once what for."""
        said = False
        while (pause := self._granted()) is not None:
            said = said or self._say_who()
            time.sleep(pause)
        if self._lease is not None:  # the server has such a limit
            self._renewals.start()

    def give_back(self) -> None:
        """Free the slot, or leave it to the end of its lease: what is trained stays trained."""
        self._over.set()
        if self._lease is None:
            return
        self._renewals.join(_END)
        try:
            self._release(self._lease)
        except Exception as error:  # noqa: BLE001  whatever it is, nothing in the run depends on it
            show.say(
                "the slot of the concurrency limit %r was not given back (%s): it is free again "
                "within a minute or two", TRAINING, prefect_outages.reason(error),
            )  # fmt: skip

    @staticmethod
    def _release(lease: UUID) -> None:
        with _server(_AT_THE_END) as server:
            server.release_concurrency_slots_with_lease(lease)

    def _granted(self) -> float | None:
        """Ask for the slot until the server answers; the seconds until it may be asked again."""
        try:
            return prefect_outages.waited_for(self._ask)
        except httpx.HTTPError as error:
            failure = error
        # Not in the handler: a failure of a network as its context would have the stage repeated.
        raise StageError(_explained(failure))

    def _ask(self) -> float | None:
        """Ask for the slot once; None if it is taken now or there is no limit, or else seconds."""
        try:
            with _server() as server:
                answer = server.increment_concurrency_slots_with_lease(
                    [_LIMIT], 1, "concurrency", _LEASE, self._run
                )
        except httpx.HTTPStatusError as error:
            if error.response.status_code != HTTPStatus.LOCKED:
                raise
            return float(error.response.headers.get("Retry-After", _RENEWAL))
        granted = ConcurrencyLimitWithLeaseResponse.model_validate(answer.json())
        if granted.limits:
            self._lease = granted.lease_id
        return None

    def _renew(self) -> None:
        """Renew the lease until the training is over; whatever fails is tried at the next time."""
        while self._lease is not None and not self._over.wait(_RENEWAL):
            try:
                with _server() as server:
                    server.renew_concurrency_lease(self._lease, _LEASE)
            except httpx.HTTPStatusError as error:
                if error.response.status_code == HTTPStatus.GONE:  # it ended while that was away
                    with contextlib.suppress(Exception):
                        self._take_anew()
            except Exception:  # noqa: BLE001, S112  a proxy may answer anything
                continue

    def _take_anew(self) -> None:
        """Ask for the slot again; if another training has it by now, both go on."""
        before = self._lease
        self._ask()
        if self._over.is_set() and self._lease not in (before, None):  # the training has ended
            self._release(self._lease)

    def _say_who(self) -> bool:
        """Say in one line who has the slots, for people; false if the server did not tell."""
        with contextlib.suppress(PrefectException, httpx.HTTPError), _server() as server:
            limit = server.read_global_concurrency_limit_by_name(_LIMIT)
            show.say(
                "waiting for a slot of the concurrency limit %r: %s of %s taken, by %s",
                TRAINING, limit.active_slots, limit.limit, self._holders(server),
            )  # fmt: skip
            return True
        return False

    def _holders(self, server: SyncPrefectClient) -> str:
        """The runs that train, in words."""
        holders = server.read_concurrency_limit_by_tag(TRAINING).active_slots
        if self._run.id in holders:
            return "this run, whose answer was lost; it is free again within a minute or two"
        if not holders:
            return "a run that ended; its slot is free again within a minute or two"
        found = server.read_flow_runs(
            task_run_filter=TaskRunFilter(id=TaskRunFilterId(any_=holders)), limit=len(holders)
        )
        return ", ".join(f"{run.name!r} ({run.id})" for run in found) or "a run of another flow"


@contextlib.contextmanager
def _server(answer: float = _ANSWER) -> Iterator[SyncPrefectClient]:
    """A client that makes no request again by itself: it would wait for minutes, in silence."""
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client({"timeout": answer}, sync_client=True) as server,
    ):
        yield server


def _explained(error: httpx.HTTPError) -> str:
    what = f"a slot of the concurrency limit {TRAINING!r}: {prefect_outages.reason(error)}"
    if prefect_outages.passes(error):
        return (
            f"{prefect_outages.named()} did not give {what}. Waited "
            f"{prefect_outages.PATIENCE:g} s for it. Run again when it answers: what is done stays."
        )
    status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else None
    remedy = f"See {AUTH}." if status == HTTPStatus.UNAUTHORIZED else ""
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:  # what it says of a limit of 0
        remedy = f"See that the limit is 1 or more: `prefect gcl update {_LIMIT} --limit 1`."
    return f"{prefect_outages.named()} refused {what}. {remedy}".rstrip()
