"""What becomes of the alias when a run dies half-way, or its owner moved it since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from incumbent import title
from incumbent.registry import CHAMPION, Registry, Version

pytestmark = pytest.mark.slow


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    registry = Registry()
    registry.client.create_registered_model("reviews")
    return registry


def decided(registry: Registry, digest: str, decision: str, previous: int | None) -> Version:
    """A version with a decision on record, as it is just before the alias moves."""
    made = registry.client.create_model_version(
        "reviews", f"file:///{digest}", tags={"incumbent.run_digest": digest}
    )
    version = registry.version("reviews", int(made.version))
    record: dict[str, Any] = {"decision": decision, "reason": "-", "previous_champion": previous}
    registry.record(version, record)
    return version


def champion(registry: Registry) -> int | None:
    found = registry.by_alias("reviews", CHAMPION)
    return found.version if found else None


def test_a_promotion_that_died_before_the_alias_moved_is_completed(registry: Registry) -> None:
    first = decided(registry, "one", "promoted", None)
    assert champion(registry) is None
    found = title.earlier(registry, "reviews", "one")
    assert found is not None
    assert found[0].version == first.version
    assert champion(registry) == first.version


def test_a_rollback_is_not_undone_by_the_same_run(registry: Registry) -> None:
    first = decided(registry, "one", "promoted", None)
    registry.set_alias(first, CHAMPION)
    registry.settle(first)
    second = decided(registry, "two", "promoted", first.version)
    registry.set_alias(second, CHAMPION)
    registry.settle(second)
    registry.set_alias(first, CHAMPION)  # the owner takes it back
    title.earlier(registry, "reviews", "two")
    assert champion(registry) == first.version
    registry.client.delete_registered_model_alias("reviews", CHAMPION)
    title.earlier(registry, "reviews", "one")
    assert champion(registry) is None


def test_a_promotion_that_another_overtook_stays_overtaken(registry: Registry) -> None:
    first = decided(registry, "one", "promoted", None)
    registry.set_alias(first, CHAMPION)
    registry.settle(first)
    decided(registry, "two", "promoted", first.version)  # died here
    third = decided(registry, "three", "promoted", first.version)
    registry.set_alias(third, CHAMPION)
    title.earlier(registry, "reviews", "two")
    assert champion(registry) == third.version


@pytest.mark.parametrize("decision", ["kept", "rejected"])
def test_only_promotions_move_the_alias(registry: Registry, decision: str) -> None:
    decided(registry, "one", decision, None)
    title.earlier(registry, "reviews", "one")
    assert champion(registry) is None


def test_a_version_without_a_decision_is_not_found(registry: Registry) -> None:
    registry.client.create_model_version(
        "reviews", "file:///x", tags={"incumbent.run_digest": "one"}
    )
    assert title.earlier(registry, "reviews", "one") is None
    assert title.earlier(registry, "reviews", "other") is None


def test_all_versions_are_found_however_many(registry: Registry) -> None:
    for number in range(120):
        registry.client.create_registered_model(f"model-{number}")
    assert len(registry.names()) == 121
