"""What stands in a store, as a fork of the zygote finds it."""

from __future__ import annotations

from typing import Any

NAME = "reviews"
TEXTS = ["A wonderful, moving film.", "A dull and pointless mess.", ""]


def look() -> dict[str, Any]:
    """What stands in the store of the working directory; see `State`."""
    from incumbent.scoring import model_client
    from incumbent.title import explanation
    from incumbent.title.ledger import Ledger
    from incumbent.tracking.mlflow_runs import RUN_DIGEST
    from incumbent.tracking.model_registry import Registry
    from incumbent.tracking.model_versions import CHAMPION

    registry = Registry()
    versions = registry.versions(NAME)
    numbers = sorted(version.version for version in versions)
    entries = Ledger(registry, NAME).entries()
    decided = [entry.version for entry in entries]
    jobs = [version.tags.get(RUN_DIGEST) for version in versions]
    held = registry.by_alias(NAME, CHAMPION)
    doubts = [f"version {n} is not in the registry" for n in set(decided) - set(numbers)]
    if entries and (held.version if held else None) != entries[-1].champion:
        doubts.append("the alias does not follow the ledger")
    for number in sorted(set(decided) & set(numbers)):
        found = explanation.explain(registry, NAME, number)
        doubts += [f"version {number}: {difference}" for difference in found.differences]
    return {
        "champion": held.version if held else None,
        "versions": numbers,
        "answers": {v.version: model_client.predict(v, TEXTS) for v in versions},
        "twice": len(jobs) - len(set(jobs)) + len(decided) - len(set(decided)),
        "doubts": doubts,
    }
