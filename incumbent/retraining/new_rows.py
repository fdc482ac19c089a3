"""Count new labelled rows: whether there are enough for a retraining."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from incumbent.config import Config
from incumbent.data import datasets, leaked_test_rows
from incumbent.data.datasets import Split
from incumbent.data.leaked_test_rows import Fingerprints
from incumbent.retraining.retraining_outcome import Outcome
from incumbent.title import contest, evidence_storage
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_reads import CHAMPION
from incumbent.tracking.registry_writes import Registry

_TAG = "incumbent.last_skip"
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio


class Skip(BaseModel, frozen=True):
    """A run that ended for want of new rows; the last one is kept with the registered model."""

    time: str
    reason: str
    new_rows: int
    min_new_rows: int
    dataset_digest: str
    flow_run_id: str


def new_rows(train: Split, known: Fingerprints) -> int:
    """How many different texts of a split are not, with their label, among those of a training.

    Where an earlier release kept no labels of the training, texts alone are compared.
    """
    before = _together(known.exact, known.labels)
    new: set[int] = set()
    for part in datasets.parts(train, ["text", "label"]):
        labelled = part[part["label"] != ""]
        texts = leaked_test_rows.hashes(labelled["text"])
        labels = None
        if known.labels is not None:
            labels = leaked_test_rows.label_hashes(labelled["label"])
        new.update(texts[~np.isin(_together(texts, labels), before)].tolist())
    return len(new)


def _together(texts: NDArray[np.uint64], labels: NDArray[np.uint64] | None) -> NDArray[np.uint64]:
    """One hash of each text and its label, if labels are known; modulo 2^64."""
    return texts if labels is None else texts * _ODD + labels


def too_little(
    train: Split, dataset_digest: str, config: Config, flow_run_id: str = ""
) -> Outcome | None:
    """The outcome `skipped`, recorded, if fewer rows are new than `ingest.min_new_rows`.

    They are compared with the training set of the version that was registered last and whose
    training set is known. Before there is one, all rows are new.
    """
    least = config.ingest.min_new_rows
    if not least:
        return None
    registry, runs = Registry(config.tracking), Runs(config.tracking)
    workdir = Path(config.tracking.workdir)
    versions = registry.versions(config.model_name)
    for version in versions:
        known = evidence_storage.registered_fingerprints(runs, version, workdir)
        if known is not None:
            break
    else:
        return None
    found = new_rows(train, known)
    if found >= least:
        return None
    skip = Skip(
        time=contest.signature()["time"],
        reason=(
            f"{found:,} labelled training texts are new since version {version.version} was "
            f"trained, those whose label was corrected included, and ingest.min_new_rows asks for "
            f"{least:,}. Add labelled rows, or lower it."
        ),
        new_rows=found, min_new_rows=least, dataset_digest=dataset_digest, flow_run_id=flow_run_id,
    )  # fmt: skip
    registry.tag_model(config.model_name, {_TAG: skip.model_dump_json()})
    champion = next((v.version for v in versions if CHAMPION in v.aliases), None)
    return Outcome(
        decision="skipped", reason=skip.reason, model_name=config.model_name, version=None,
        champion_version=champion, metrics={}, run_id=None, flow_run_id=flow_run_id or None,
        report=None, timings={},
    )  # fmt: skip


def last_skip(registry: Registry, name: str) -> Skip | None:
    """The last run about a model that ended for want of new rows, if any did."""
    try:
        return Skip.model_validate(json.loads(registry.model_tags(name)[_TAG]))
    except (KeyError, ValueError, ValidationError):
        return None
