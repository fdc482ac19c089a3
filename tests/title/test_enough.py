"""A run with too few new rows is skipped, and says so."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from incumbent.config import IngestConfig
from incumbent.data import datasets, leaked_test_rows
from incumbent.data.datasets import Split
from incumbent.operations import status
from incumbent.retraining import new_rows
from incumbent.retraining.retraining_outcome import Outcome
from incumbent.title import evidence_storage
from tests.title.arena import NAME, Arena, Trained

pytestmark = pytest.mark.slow


def _asked(trained: Trained, least: int) -> Outcome | None:
    config = trained.config.model_copy(update={"ingest": IngestConfig(min_new_rows=least)})
    return new_rows.too_little(trained.dataset.train, trained.dataset.digest, config, "flow-run")


def test_the_same_rows_are_skipped_with_both_numbers_and_on_record(
    two: Arena, good: Trained, tmp_path: Path
) -> None:
    before = len(two.ledger.entries())
    outcome = _asked(good, 5)
    assert outcome is not None
    assert (outcome.decision, outcome.version, outcome.champion_version) == ("skipped", None, 2)
    assert "0 labelled training texts are new since version 2 was trained" in outcome.reason
    assert "ingest.min_new_rows asks for 5" in outcome.reason
    assert len(two.ledger.entries()) == before  # it decided nothing
    skip = new_rows.last_skip(two.registry, NAME)
    assert skip is not None
    assert (skip.new_rows, skip.min_new_rows, skip.flow_run_id) == (0, 5, "flow-run")
    (title,) = status.look({"MLFLOW_TRACKING_URI": two.store}, tmp_path).models
    assert title.decision == "promoted"
    assert title.skipped == f"{skip.time}: {skip.reason}"


def test_none_is_asked_for_unless_configured(two: Arena, good: Trained) -> None:
    assert _asked(good, 0) is None


def test_before_the_first_version_all_rows_are_new(empty: Arena, good: Trained) -> None:
    assert _asked(good, 1_000_000) is None


def test_only_labelled_texts_that_differ_count(good: Trained, tmp_path: Path) -> None:
    known = evidence_storage.fingerprints(good.dataset.train, Path(good.config.tracking.workdir))
    rows = datasets.load(good.dataset.train, ["text", "label"]).head(3)
    more = pd.DataFrame(
        {
            "text": ["new one", "New  ONE", "another", "unlabelled"],
            "label": ["pos", "neg", "pos", ""],
        }
    )
    path = tmp_path / "more.parquet"
    pd.concat([rows, more], ignore_index=True).to_parquet(path)
    split = Split(path=path, source="more", rows=7, digest="d", labels={})
    assert new_rows.new_rows(split, known) == 2


def test_a_text_whose_label_was_corrected_counts(good: Trained, tmp_path: Path) -> None:
    workdir = Path(good.config.tracking.workdir)
    known = evidence_storage.fingerprints(good.dataset.train, workdir)
    rows = datasets.load(good.dataset.train, ["text", "label"]).head(5)
    other = {"pos": "neg", "neg": "pos"}
    corrected = rows.head(2).assign(label=lambda frame: frame["label"].map(other))
    path = tmp_path / "corrected.parquet"
    pd.concat([corrected, rows.tail(3)], ignore_index=True).to_parquet(path)
    split = Split(path=path, source="corrected", rows=5, digest="d", labels={})
    assert new_rows.new_rows(split, known) == 2
    # What an earlier release kept has no labels, and goes on working.
    earlier = dataclasses.replace(known, labels=None)
    leaked_test_rows.save(earlier, tmp_path / "earlier.parquet")
    assert leaked_test_rows.load(tmp_path / "earlier.parquet").labels is None
    assert new_rows.new_rows(split, leaked_test_rows.load(tmp_path / "earlier.parquet")) == 0
    # It is made anew for the next version that is trained on these rows.
    cached = workdir / "fingerprints" / f"{good.dataset.train.digest}.parquet"
    leaked_test_rows.save(earlier, cached)
    again = evidence_storage.fingerprints(good.dataset.train, workdir)
    assert again.labels is not None
    assert (again.labels == known.labels).all()
