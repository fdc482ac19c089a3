"""Trials are counted once, whoever runs them, and whatever becomes of whoever runs them."""

from __future__ import annotations

import json
import math
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from incumbent.errors import ConfigError, StageError
from incumbent.sweeps import shared_study, trial_database
from incumbent.sweeps.search_space import SearchSpace
from incumbent.sweeps.shared_study import Attempt, Hopeless, Result, SharedStudy
from tests.sweeps.spaces import SPACE

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
FOR_EVER = math.inf


def loss(values: dict[str, Any]) -> float:
    return abs(math.log10(values["training.learning_rate"]) + 3) + values["training.epochs"] / 10


def finish(attempt: Attempt) -> Result:
    return Result(state="finished", loss=loss(attempt.values), accuracy=0.5)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/sweeps.db"


@pytest.fixture
def opened(url: str) -> Callable[[], SharedStudy]:
    """A worker's study; each call is that of another worker."""
    return lambda: SharedStudy("sweep", url, SearchSpace.of(SPACE), 1)


def rows(url: str, query: str) -> list[Any]:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as database:
        return database.execute(query).fetchall()


def run(study: SharedStudy, trials: int, objective: Callable[[Attempt], Result] = finish) -> None:
    study.run(trials, FOR_EVER, objective, lambda *_: None)


def test_the_best_is_that_of_the_least_loss_and_a_sweep_goes_on(
    opened: Callable[[], SharedStudy],
) -> None:
    study = opened()
    run(study, 4)
    assert study.finished() == 4
    run(opened(), 4)  # the same command again
    assert study.finished() == 4
    run(opened(), 6)  # and with more trials
    trials = study.complete()
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4, 5]
    best = study.best()
    assert best.loss == min(trial.loss for trial in trials) == loss(best.values)
    assert best.accuracy == 0.5


def test_which_values_are_tried_follows_from_the_number_of_the_trial(
    opened: Callable[[], SharedStudy], tmp_path: Path
) -> None:
    run(opened(), 2)
    run(opened(), 4)
    other = SharedStudy("sweep", f"sqlite:///{tmp_path}/b.db", SearchSpace.of(SPACE), 1)
    run(other, 4)
    values = [trial.values for trial in other.complete()]
    assert values == [trial.values for trial in opened().complete()]
    assert len({json.dumps(value) for value in values}) == 4


def test_workers_at_the_same_time_share_the_trials(opened: Callable[[], SharedStudy]) -> None:
    ran: list[int] = []

    def slow(attempt: Attempt) -> Result:
        ran.append(attempt.number)
        time.sleep(0.02)
        return finish(attempt)

    workers = [threading.Thread(target=run, args=(opened(), 7, slow)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert opened().finished() == 7
    assert len(ran) == len(set(ran)) == 7
    assert len(opened().complete()) == 7


def kill_a_worker(url: str) -> dict[str, Any]:
    """The values of the trial that it was killed in, whose heartbeat was an hour ago."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.sweeps.killed", url],
        capture_output=True, text=True, check=False, timeout=120, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    # It may have died before its first heartbeat was written, which is soon after it began.
    rows(url, "UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-1 hour')")
    return dict(json.loads(done.stdout))


def test_the_trial_of_a_killed_worker_is_tried_once_more(
    opened: Callable[[], SharedStudy], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_study, "PAUSE", 0.1)
    monkeypatch.setattr(trial_database, "GRACE", 1)
    lost = kill_a_worker(url)
    seen: list[tuple[dict[str, Any], str]] = []

    def noted(attempt: Attempt) -> Result:
        seen.append((attempt.values, attempt.before))
        return finish(attempt)

    run(opened(), 3, noted)
    assert len(seen) == 3
    assert [before for values, before in seen if values == lost] == ["run 0"]
    assert opened().finished() == 3
    states = [state for (state,) in rows(url, "SELECT state FROM trials ORDER BY number")]
    assert sorted(states) == ["COMPLETE"] * 3 + ["FAIL"]


def test_a_trial_whose_worker_is_killed_twice_counts_as_failed(
    opened: Callable[[], SharedStudy], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_study, "PAUSE", 0.1)
    monkeypatch.setattr(trial_database, "GRACE", 1)
    lost = kill_a_worker(url)
    assert kill_a_worker(url) == lost
    run(opened(), 3)
    assert opened().finished() == 3
    assert lost not in [trial.values for trial in opened().complete()]
    assert len(opened().complete()) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, ConnectionError, SystemExit])
def test_a_trial_that_its_worker_cannot_finish_is_given_back(
    opened: Callable[[], SharedStudy], error: type[BaseException]
) -> None:
    begun: list[dict[str, Any]] = []

    def interrupted(attempt: Attempt) -> Result:
        begun.append(attempt.values)
        attempt.recorded_in("mine")
        raise error

    for _ in range(3):  # however often
        with pytest.raises(error):
            run(opened(), 2, interrupted)
    run(opened(), 2)
    assert opened().finished() == 2
    assert begun == [begun[0]] * 3
    assert begun[0] in [trial.values for trial in opened().complete()]


def test_a_worker_that_was_taken_for_dead_drops_its_result_and_goes_on(
    opened: Callable[[], SharedStudy], url: str
) -> None:
    said: list[str] = []

    def asleep(attempt: Attempt) -> Result:
        if attempt.number == 0:
            rows(url, "UPDATE trial_heartbeats SET heartbeat = datetime('now', '-1 hour')")
            run(opened(), 1)  # another worker, who takes it for dead
        return finish(attempt)

    while not said:
        opened().run(2, FOR_EVER, asleep, lambda text, *values: said.append(text % values))
    assert said == ["trial 0 was taken for dead and given to another worker"]
    assert opened().finished() == 2
    assert len(opened().complete()) == 2


def test_a_trial_that_is_worse_than_the_median_is_pruned(
    opened: Callable[[], SharedStudy],
) -> None:
    def watched(attempt: Attempt) -> Result:
        value = 1.0 if attempt.number == 4 else 0.5
        try:
            for epoch in (1, 2, 3):
                attempt.report(value, epoch)
        except Hopeless as error:
            return Result(state="pruned", reason=str(error))
        return finish(attempt)

    study = opened()
    run(study, 6, watched)
    assert study.finished() == 6
    assert [trial.number for trial in study.complete()] == [0, 1, 2, 3, 5]


def test_values_that_were_tried_before_are_known(opened: Callable[[], SharedStudy]) -> None:
    space = SearchSpace.of({"training.freeze_embeddings": {"choices": [True]}})
    study = opened()
    study._space = space
    known: list[float | None] = []

    def once(attempt: Attempt) -> Result:
        known.append(attempt.known.loss if attempt.known else None)
        return Result(state="finished", loss=0.25, accuracy=0.5)

    run(study, 2, once)
    assert known == [None, 0.25]


def test_trials_that_fail_one_after_the_other_end_the_sweep(
    opened: Callable[[], SharedStudy],
) -> None:
    with pytest.raises(StageError, match=r"3 trials failed, .*; the last: the disk is full"):
        run(opened(), 9, lambda _: Result(state="failed", reason="the disk is full"))
    assert opened().finished() == 3


def test_a_failure_among_others_counts(opened: Callable[[], SharedStudy]) -> None:
    def objective(attempt: Attempt) -> Result:
        failed = attempt.number % 2 == 0
        return Result(state="failed", reason="no memory") if failed else finish(attempt)

    run(opened(), 6, objective)
    assert opened().finished() == 6
    assert len(opened().complete()) == 3


def test_without_any_complete_trial_the_last_reason_is_told(
    opened: Callable[[], SharedStudy],
) -> None:
    run(opened(), 2, lambda _: Result(state="pruned", reason="these do not go together"))
    with pytest.raises(StageError, match=r"No trial .* The last one: these do not go together"):
        opened().best()


def test_when_the_time_is_over_no_further_trial_is_begun(
    opened: Callable[[], SharedStudy],
) -> None:
    study = opened()
    study.run(5, time.monotonic(), finish, print)
    assert study.finished() == 1  # there is to be a winner
    study.run(5, time.monotonic(), finish, print)
    assert study.finished() == 1


# Where trials are kept.


@pytest.mark.parametrize(
    ("storage", "store", "expected"),
    [
        ("", "sqlite:////srv/mlruns/mlflow.db", "sqlite:////srv/mlruns/sweeps.db"),
        ("", "postgresql://u:p@host/db", "postgresql://u:p@host/db"),
        ("", "http://host:5000", "sqlite:////var/incumbent/sweeps.db"),
        ("sqlite:///x.db", "http://host:5000", "sqlite:///x.db"),
    ],
)
def test_the_address_of_the_trials(storage: str, store: str, expected: str) -> None:
    assert trial_database.address(storage, store, Path("/var/incumbent")) == expected


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("mysql://u:secret@host/db", r"--storage 'mysql://host/db' is no database"),
        ("sqlite:///", "is no database"),
        ("sweeps.db", "is no database"),
        ("sqlite:////srv/mlflow.db", "names the file of the MLflow store"),
    ],
)
def test_an_address_that_cannot_be_used(storage: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        trial_database.address(storage, "sqlite:////srv/mlflow.db", Path("/var/incumbent"))


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database " * 100)
    with pytest.raises(StageError, match=r"text\.db could not be read or written"):
        SharedStudy("sweep", f"sqlite:///{tmp_path}/text.db", SearchSpace.of(SPACE), 1)
