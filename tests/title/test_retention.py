"""Which versions and files go, and what stays for ever."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest

from incumbent.config import RetentionConfig
from incumbent.title import explanation, version_retention
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.model_registry import Registry
from tests.title.arena import NAME, Arena, Trained

pytestmark = pytest.mark.slow

KEEP_ONE = RetentionConfig(keep=1)


def folder(address: str) -> Path:
    return Path(url2pathname(urlparse(address).path))


def again(trained: Trained, digest: str) -> Trained:
    """The same model, as another run would make it."""
    return replace(
        trained, retraining=trained.retraining.model_copy(update={"digest": digest * 64})
    )


def test_old_versions_go_and_champions_stay(three: Arena, twin: Trained) -> None:
    runs = Runs()
    for digest in "45":  # each takes the alias `challenger` from the one before
        three.enter(again(twin, digest))
    fourth = three.registry.version(NAME, 4)
    model = runs.client.get_logged_model(fourth.source.removeprefix("models:/"))
    files = folder(model.artifact_location)
    assert (files / "artifacts" / "predictor").is_dir()

    assert version_retention.retire(three.registry, runs, NAME, RetentionConfig()) == []
    assert version_retention.retire(three.registry, runs, NAME, KEEP_ONE) == [4, 3]
    # 5 is the newest, 2 is champion, 1 was.
    assert [v.version for v in three.registry.versions(NAME)] == [5, 2, 1]
    assert three.champion() == 2
    assert not files.exists() or not list(files.iterdir())
    left = {file.path for file in runs.client.list_artifacts(str(fourth.run_id))}
    assert "decision" in left
    assert not left & {"predictor", "predictor.zip"}
    assert explanation.explain(three.registry, NAME, 4).differences == ()
    assert [entry.version for entry in three.ledger.entries()] == [1, 2, 3, 4, 5]
    # The same run is not trained anew, though its version is gone.
    assert three.ledger.find("4" * 64) is not None


def test_files_left_by_a_crash_go_the_next_time(
    three: Arena, twin: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    for digest in "67":
        three.enter(again(twin, digest))
    doomed = three.registry.version(NAME, 4)
    runs = Runs()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Runs, "delete_model", crash)
        with pytest.raises(KeyboardInterrupt):
            version_retention.retire(Registry(), runs, NAME, KEEP_ONE)
    assert 4 not in [v.version for v in three.registry.versions(NAME)]
    assert runs.has_file(str(doomed.run_id), "predictor.zip")
    assert version_retention.retire(Registry(), runs, NAME, KEEP_ONE) == []
    assert not runs.has_file(str(doomed.run_id), "predictor.zip")


def test_what_waits_for_approval_stays(one: Arena, good: Trained, twin: Trained) -> None:
    rules = good.config.promotion.model_copy(update={"mode": "manual"})
    config = good.config.model_copy(update={"promotion": rules})
    waiting = one.enter(replace(again(good, "8"), config=config))
    assert waiting.decision == "waiting"
    one.register(again(twin, "9"))
    assert version_retention.retire(one.registry, Runs(), NAME, KEEP_ONE) == []
    assert [v.version for v in one.registry.versions(NAME)] == [3, 2, 1]


def test_what_can_no_longer_be_approved_or_decided_goes(
    one: Arena, good: Trained, twin: Trained
) -> None:
    one.register(again(twin, "a"))  # and its run was killed
    rules = good.config.promotion.model_copy(update={"mode": "manual"})
    config = good.config.model_copy(update={"promotion": rules})
    assert one.enter(replace(again(twin, "b"), config=config)).decision == "waiting"
    assert one.enter(good).champion == 4  # whom version 3 has not been compared with
    assert version_retention.retire(one.registry, Runs(), NAME, KEEP_ONE) == [3, 2]


def test_files_of_a_version_that_is_wanted_again_stay(one: Arena, twin: Trained) -> None:
    """A crash came after its mark and before its deletion; then it was given an alias."""
    runs, (wanted, run) = Runs(), one.register(again(twin, "9"))
    runs.tag(run, {version_retention.RETIRED: "going", "incumbent.retired_model": wanted.source})
    assert version_retention.retire(one.registry, runs, NAME, KEEP_ONE) == []
    assert runs.has_file(run.run_id, "predictor.zip")
    assert runs.client.get_logged_model(wanted.source.removeprefix("models:/")) is not None
    assert runs.tagged(version_retention.RETIRED, "going") == {}
