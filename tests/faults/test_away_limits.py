"""Stages that take too long, and failures that may pass."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from incumbent.config import DataConfig
from incumbent.errors import DataError, RegistryError, StageTimedOut, TrainingDiverged
from incumbent.runtime import failure_explanations, time_limits
from incumbent.tables import table_reader
from tests.web.browser import free_port

HOURS = 0.2 / 3600  # a moment


def test_a_stage_that_takes_too_long_ends() -> None:
    start = time.monotonic()
    with (
        pytest.raises(StageTimedOut, match=r"train took longer than timeouts\.train allows"),
        time_limits.within("train", HOURS, "timeouts.train"),
    ):
        time.sleep(60)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("flow", "hangs", "given"),
    [
        ("watch", "find_target", {"settle_seconds": 0.0}),
        ("monitor", "examine", {}),
        ("rollback", "approve_or_roll_back", {"model_name": "m", "reason": "r"}),
        ("approve", "approve_or_roll_back", {"model_name": "m", "version": 1}),
        ("score", "Registry", {"source": "a.csv", "output": "b.csv", "max_hours": HOURS}),
    ],
)
def test_a_flow_that_hangs_ends(
    monkeypatch: pytest.MonkeyPatch, flow: str, hangs: str, given: dict[str, Any]
) -> None:
    class Hangs:
        def __call__(self, *_: object) -> None:
            time.sleep(60)

        restore = approve = __call__

    module = importlib.import_module(f"flows.{flow}")
    monkeypatch.setattr(module, hangs, Hangs())
    if flow != "score":
        monkeypatch.setattr(module, "_HOURS", HOURS)
    with pytest.raises(StageTimedOut, match=f"The flow {flow} took longer than 0.00333333 minutes"):
        getattr(module, flow).fn(**given)


def test_a_library_that_swallows_the_end_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limits, "_AGAIN", 0.2)
    swallowed = 0

    def swallow() -> None:
        nonlocal swallowed
        while swallowed < 3:
            try:
                time.sleep(60)
            except StageTimedOut:
                swallowed += 1
        time.sleep(60)

    with pytest.raises(StageTimedOut), time_limits.within("train", HOURS / 2, "timeouts.train"):
        swallow()
    assert swallowed == 3


def test_a_library_that_makes_it_an_error_of_its_own() -> None:
    def fail() -> None:
        try:
            time.sleep(60)
        except Exception as error:
            raise RuntimeError("the request failed") from error

    with pytest.raises(StageTimedOut), time_limits.within("register", HOURS, "timeouts.other"):
        fail()


def test_an_alarm_that_was_set_before_rings_after() -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with time_limits.within("train", 1, "timeouts.train"):
            time.sleep(0.4)
            assert not rung
        time.sleep(0.1)
        assert rung
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, left)


def test_code_that_never_comes_back_to_python_ends_with_the_process() -> None:
    code = (
        "import collections, itertools\n"
        "from incumbent.runtime import time_limits\n"
        "time_limits._UNWINDING = 1\n"
        "with time_limits.within('train', 0.2 / 3600, 'timeouts.train'):\n"
        "    collections.deque(itertools.repeat(0), maxlen=0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "Timeout" in done.stderr


def _unreachable() -> None:
    table_reader.read(f"http://127.0.0.1:{free_port()}/train.csv", DataConfig())


def _wrong_file() -> None:
    table_reader.read("/nowhere/train.csv", DataConfig())


def _raise(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fail", "passes"),
    [
        (_unreachable, True),
        (_wrong_file, False),
        (_raise(TimeoutError()), True),
        (_raise(TrainingDiverged("nan")), False),
        (_raise(DataError("wrong")), False),
        (_raise(RegistryError("refused")), False),
        (_raise(StageTimedOut("late")), False),
    ],
)
def test_only_a_failure_of_a_network_may_pass(fail: Callable[[], None], passes: bool) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011  which one is what is tested
        fail()
    assert failure_explanations.of_network(caught.value) is passes
