"""Delete old versions and their files, but none that held the title or still may."""

from __future__ import annotations

from incumbent.config import RetentionConfig
from incumbent.title.ledger import Entry, Ledger
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_writes import Registry

RETIRED = "incumbent.retired"
"""Tag of a run whose model is deleted: `going`, then `gone`; or `kept` after all."""
_MODEL = "incumbent.retired_model"
_FILES = ("predictor", "predictor.zip")


def retire(registry: Registry, runs: Runs, name: str, config: RetentionConfig) -> list[int]:
    """Delete versions beyond the newest `keep`, and the files of their models.

    Champions past and present, versions with an alias and those that can still be approved stay,
    and those that no later run had the chance to decide about. The runs stay too, with their
    metrics, reports and the evidence of each decision. A run is marked before its version is
    deleted, so that files left by a crash go the next time.

    Returns:
        The numbers of the versions that were deleted.
    """
    if config.keep is None:
        return []
    entries = Ledger(registry, name).entries()
    held = {entry.champion for entry in entries}
    last = {entry.version: entry for entry in entries}
    newest = max(last, default=0)
    gone = []
    for version in registry.versions(name)[config.keep :]:
        entry = last.get(version.version)
        wanted = _may_be_approved(entry, entries[-1]) if entry else version.version > newest
        if version.aliases or version.version in held or wanted:
            continue
        if version.run_id and not runs.deleted(version.run_id):
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


def _may_be_approved(entry: Entry, now: Entry) -> bool:
    """Whether a version waits to succeed who is champion now, on the test set of now."""
    return (
        entry.decision == "waiting"
        and entry.previous_champion == now.champion
        and entry.test_digest == now.test_digest
    )
