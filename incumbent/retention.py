"""Old versions and their files go; what held the title, or may yet, stays."""

from __future__ import annotations

from incumbent.config import RetentionConfig
from incumbent.ledger import Ledger
from incumbent.registry import Registry
from incumbent.runs import Runs

RETIRED = "incumbent.retired"
"""Tag of a run whose model is deleted: `going`, then `gone`; or `kept` after all."""
_MODEL = "incumbent.retired_model"
_FILES = ("predictor", "predictor.zip")


def retire(registry: Registry, runs: Runs, name: str, config: RetentionConfig) -> list[int]:
    """Delete versions beyond the newest `keep`, and the files of their models.

    Champions past and present, versions with an alias and those that wait for approval stay.
    The runs stay too, with their metrics, reports and the evidence of each decision. A run is
    marked before its version is deleted, so that files left by a crash go the next time.

    Returns:
        The numbers of the versions that were deleted.
    """
    if config.keep is None:
        return []
    entries = Ledger(registry, name).entries()
    held = {entry.champion for entry in entries}
    last = {entry.version: entry.decision for entry in entries}
    gone = []
    for version in registry.versions(name)[config.keep :]:
        decision = last.get(version.version)
        if version.aliases or version.version in held or decision in (None, "waiting"):
            continue
        if version.run_id:
            runs.tag_id(version.run_id, {RETIRED: "going", _MODEL: version.source})
        registry.delete(version)
        gone.append(version.version)
    for run_id, tags in runs.tagged(RETIRED, "going").items():
        if registry.registered(tags[_MODEL]):  # a crash came before its deletion, and then a wish
            runs.tag_id(run_id, {RETIRED: "kept"})
            continue
        runs.delete_model(tags[_MODEL].removeprefix("models:/"))
        for path in _FILES:
            runs.delete_files(run_id, path)
        runs.tag_id(run_id, {RETIRED: "gone"})
    return gone
