"""The flow that looks for new files: what it starts, and what it leaves alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from incumbent.config import Config
from incumbent.errors import ConfigError, StageError

pytestmark = pytest.mark.slow

GOOD = "text,label\n" + "".join(f"a text number {i},{'ab'[i % 2]}\n" for i in range(40))
Watch = Callable[[], str | None]


@pytest.fixture
def deployment(here: Path, prefect_server: None) -> str:
    """A deployment of `retrain` that no worker runs."""
    from prefect.client.orchestration import get_client

    from flows.retrain import retrain

    (here / "test.csv").write_text(GOOD.replace("a text number", "another test"))
    (here / "train.csv").write_text(GOOD)
    config = {"model_name": "trial", "data": {"train": "train.csv", "test": "test.csv"}}
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(retrain)
        client.create_deployment(flow_id, here.name, parameters={"config": config})
    return f"retrain/{here.name}"


@pytest.fixture
def watch(here: Path, deployment: str) -> Watch:
    from flows.watch import watch as flow

    (here / "inbox").mkdir()
    return lambda: flow("inbox", deployment, settle_seconds=0.1)


def _run(run_id: str) -> Any:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(run_id))


def _end(run_id: str, **state: Any) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import State

    with get_client(sync_client=True) as client:
        client.set_flow_run_state(UUID(run_id), State(**state), force=True)


def test_a_complete_file_starts_one_run_with_it(watch: Watch, here: Path) -> None:
    assert watch() is None
    (here / "inbox" / "~$more.csv").write_text("a lock")
    (here / "inbox" / "bad.csv").write_text(GOOD.replace("text,", "words,"))
    assert watch() is None  # refused, and reported
    (here / "inbox" / "more.csv").write_text(GOOD.replace("a text", "one more"))
    first = watch()
    assert first is not None
    config = _run(first).parameters["config"]
    assert config["model_name"] == "trial"
    assert config["data"]["train"] == ["train.csv", "inbox/more.csv"]
    assert watch() is None  # nothing is new

    # The refused file is taken once it is mended; while the deployment is at work, it waits.
    (here / "inbox" / "bad.csv").write_text(GOOD.replace("a text", "mended"))
    assert watch() is None
    _end(first, type="COMPLETED")
    second = watch()
    assert second not in (None, first)
    assert _run(str(second)).parameters["config"]["data"]["train"] == [
        "train.csv", "inbox/more.csv", "inbox/bad.csv",  # as they came
    ]  # fmt: skip

    # A run that crashed is started again, three times in all; one that failed said why, once.
    lost = {second}
    for _ in range(2):
        _end(str(second), type="CRASHED")
        second = watch()
        assert second not in (None, *lost)
        lost.add(second)
    _end(str(second), type="CRASHED")
    assert watch() is None

    # Deleted, what was seen is looked into again, and runs that ended are no new ones.
    (state,) = (here / ".incumbent" / "watched").iterdir()
    state.unlink()
    assert watch() not in (None, first, *lost)


def test_a_run_that_failed_is_started_again_with_another_config(
    watch: Watch, deployment: str, here: Path
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import DeploymentUpdate
    from prefect.client.schemas.objects import State, StateType

    (here / "inbox" / "more.csv").write_text(GOOD.replace("a text", "one more"))
    first = watch()
    assert first is not None
    _end(first, type="FAILED")
    assert watch() is None  # it said why, and would fail again
    config = {"model_name": "trial", "data": {"train": "train.csv", "test": "test.csv"},
              "training": {"epochs": 9}}  # fmt: skip
    with get_client(sync_client=True) as client:
        found = client.read_deployment_by_name(deployment)
        client.update_deployment(found.id, DeploymentUpdate(parameters={"config": config}))
    second = watch()
    assert second not in (None, first)
    given = _run(str(second)).parameters["config"]
    assert given["training"] == {"epochs": 9}
    assert given["data"]["train"] == ["train.csv", "inbox/more.csv"]

    # Retried in the Prefect page, it is the same run with the same files, and is waited for.
    _end(str(second), type="FAILED")
    assert watch() is None
    with get_client(sync_client=True) as client:
        retry = State(type=StateType.SCHEDULED, name="AwaitingRetry")
        client.set_flow_run_state(UUID(str(second)), retry, force=False)
    assert _run(str(second)).state_type == StateType.SCHEDULED
    assert _run(str(second)).parameters["config"] == given
    (here / "inbox" / "third.csv").write_text(GOOD.replace("a text", "a third"))
    assert watch() is None  # at work


def test_what_was_seen_is_kept_by_digest(watch: Watch, here: Path) -> None:
    (here / "inbox" / "more.csv").write_text(GOOD.replace("a text", "one more"))
    assert watch() is not None
    (state,) = (here / ".incumbent" / "watched").iterdir()
    kept = json.loads(state.read_text())
    assert len(kept["files"]["more.csv"]["digest"]) == 64
    assert kept["handed_over"] == [kept["files"]["more.csv"]["digest"]]
    (here / "inbox" / "more.csv").touch()
    os.rename(here / "inbox" / "more.csv", here / "inbox" / "renamed.csv")  # noqa: PTH104
    assert watch() is None


def test_a_file_that_cannot_be_looked_into_waits_and_is_told_once(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks import collect_inbox

    said: list[str] = []
    told: list[str] = []
    monkeypatch.setattr(
        collect_inbox.show, "say", lambda message, *values: said.append(message % values)
    )
    monkeypatch.setattr(
        collect_inbox.prefect_events,
        "emit",
        lambda event, _, subject, *rest, **more: told.append(subject),
    )
    (here / "inbox").mkdir()
    (here / "inbox" / "a.csv").write_text(GOOD)
    config = Config.model_validate({"data": {"train": "train.csv", "test": "away.csv"}})
    target = collect_inbox.Target(name="retrain/x", id="d", api="x", given={}, config=config)
    for _ in range(2):
        watched = collect_inbox.take.fn("inbox", 0.0, target)
        assert watched is not None
        assert watched.files == {}
    assert told == ["files that wait in inbox: a.csv"]
    assert ["inbox/a.csv waits for the next look" in line for line in said] == [True, True]
    assert "There is no file away.csv" in said[0]
    (here / "away.csv").write_text(GOOD.replace("a text number", "another test"))
    watched = collect_inbox.take.fn("inbox", 0.0, target)
    assert watched is not None
    assert watched.accepted == ["a.csv"]
    assert watched.told == {}


def test_a_place_that_is_not_there_yet_is_no_failure(
    here: Path, deployment: str, prefect_server: None
) -> None:
    from flows.watch import watch as flow

    assert flow("none", deployment, settle_seconds=0.0) is None


def test_a_deployment_that_is_none_is_named(here: Path, prefect_server: None) -> None:
    from flows.watch import watch as flow

    with pytest.raises(ConfigError, match="has no deployment 'retrain/none'"):
        flow("inbox", "retrain/none")


def test_without_a_server_it_says_which_would_do(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from incumbent.servers import temporary_prefect_server as servers
    from tasks.collect_inbox import find_target

    monkeypatch.setattr(servers, "reach", lambda: None)
    with pytest.raises(StageError, match="`make up` starts one"):
        find_target.fn("retrain/reviews")
