"""Challengers that were tampered with, each caught by the gate that should catch it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np
import pandas as pd
import pytest

from incumbent.data import datasets
from incumbent.errors import RegistryError
from incumbent.predictor import WORDS, folder_digest
from incumbent.scoring import model_client
from incumbent.title import approval_and_rollback, evidence_storage
from incumbent.title.ledger import Entry
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_reads import Version
from tests.title.arena import NAME, Arena, Train, Trained

pytestmark = pytest.mark.slow


def blocked(entry: Entry) -> list[str]:
    return [gate.name for gate in entry.gates if gate.blocks]


def files(version: Version) -> Path:
    """The predictor of a version, where a local store keeps it."""
    model = Runs().client.get_logged_model(version.source.removeprefix("models:/"))
    folder = Path(url2pathname(urlparse(model.artifact_location).path))
    return folder / "artifacts" / "predictor"


def corrupt(predictor: Path) -> None:
    """Turn one bit in the largest file: the weights."""
    largest = max((p for p in predictor.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


def test_shuffled_labels_are_caught_by_the_proof(two: Arena, good: Trained, train: Train) -> None:
    frame = datasets.load(good.dataset.train)
    random = np.random.default_rng(0)
    rows = random.permutation(len(frame))[: len(frame) // 10]
    labels = frame["label"].to_numpy().copy()
    labels[rows] = random.permutation(labels[rows])
    spoilt = datasets.save(
        [frame.assign(label=labels)], [datasets.load(good.dataset.test)], ("train", "test"),
        two.workdir / "datasets",
    )  # fmt: skip
    entry = two.enter(train(spoilt, training={"epochs": 3}))
    assert entry.decision == "kept"
    assert "superiority" in blocked(entry)
    assert entry.comparison is not None
    assert entry.comparison.gain < 0  # the clean twin of it is about as good as the champion
    assert entry.comparison.p_value > 0.9
    assert two.champion() == 2


def test_weights_corrupted_in_the_registry_are_caught_by_the_round_trip(
    one: Arena, good: Trained
) -> None:
    version, run = one.register(good)
    corrupt(files(version))
    entry, champion = one.hold_contest(good, version, run)
    assert entry.decision == "rejected"
    assert blocked(entry) == ["round_trip"]
    assert "not those that were registered" in entry.reason
    assert champion is not None
    assert champion.version == one.champion() == 1


def test_a_first_model_that_is_corrupted_takes_no_title(empty: Arena, good: Trained) -> None:
    version, run = empty.register(good)
    corrupt(files(version))
    entry, champion = empty.hold_contest(good, version, run)
    assert entry.decision == "rejected"
    assert champion is None
    assert empty.champion() is None


def test_another_vocabulary_is_caught_by_the_round_trip(
    one: Arena, good: Trained, tmp_path: Path
) -> None:
    """Words numbered otherwise than in training, in the folder that is registered."""
    mixed = tmp_path / "predictor"
    shutil.copytree(good.model.served.folder, mixed)
    numbers = json.loads((mixed / WORDS).read_text("utf-8"))
    rolled = np.roll(list(numbers.values()), 7).tolist()
    (mixed / WORDS).write_text(json.dumps(dict(zip(numbers, rolled, strict=True))), "utf-8")
    served = good.model.served.model_copy(update={"folder": mixed})
    model = good.model.model_copy(update={"served": served})
    entry = one.enter(replace(good, model=model))
    assert entry.decision == "rejected"
    assert blocked(entry) == ["round_trip"]
    assert "not those that were registered" in entry.reason
    # And where its digest was written down as if these were the measured files:
    forged = good.result.model_copy(update={"predictor_digest": folder_digest(mixed)})
    retraining = good.retraining.model_copy(update={"digest": "f" * 64})
    entry = one.enter(replace(good, model=model, result=forged, retraining=retraining))
    assert blocked(entry) == ["round_trip"]
    assert "test rows otherwise than it was measured" in entry.reason
    assert one.champion() == 1


def test_training_rows_of_the_champion_in_the_test_set_are_left_out(
    two: Arena, good: Trained, train: Train, tmp_path: Path
) -> None:
    seen = datasets.load(good.dataset.train)
    test = datasets.load(good.dataset.test)
    moved = seen.iloc[:200].assign(row=np.arange(200) + 10_000)
    edited = moved.iloc[:50].assign(
        text=moved["text"].iloc[:50] + " indeed", row=np.arange(50) + 20_000
    )
    leaked = datasets.save(
        [seen.iloc[200:]],
        [pd.concat([test, moved.iloc[50:], edited], ignore_index=True)],
        ("train", "test"), two.workdir / "datasets",
    )  # fmt: skip
    entry = two.enter(
        train(leaked, training={"epochs": 3, "seed": 3}, promotion={"new_reign": True})
    )
    assert entry.comparison is not None
    found = evidence_storage.replay(Runs(), str(entry.evidence_run_id), tmp_path)
    seen_by_champion = found.rows["seen"].isin(["champion", "both"]).to_numpy()
    assert seen_by_champion[len(test) : len(test) + 150].all()  # exactly
    assert seen_by_champion[len(test) + 150 :].mean() > 0.8  # nearly
    assert seen_by_champion[: len(test)].mean() < 0.02
    assert entry.comparison.seen_exactly_or_nearly == int((found.rows["seen"] != "").sum())
    proof = next(gate for gate in entry.gates if gate.name == "superiority")
    assert f"{entry.comparison.seen_exactly_or_nearly} left out" in proof.message


def test_a_rollback_to_a_corrupted_version_is_refused(two: Arena) -> None:
    predictor = files(two.registry.version(NAME, 1))
    corrupt(predictor)
    try:
        with pytest.raises(RegistryError, match="not those that were registered"):
            approval_and_rollback.rollback(two.registry, NAME, None, "reason")
    finally:
        corrupt(predictor)  # the same bit again: other tests read these files
    assert two.champion() == 2
    assert [entry.decision for entry in two.ledger.entries()] == ["promoted", "promoted"]


def test_code_that_was_changed_in_the_registry_is_not_run(two: Arena, tmp_path: Path) -> None:
    """The file that MLflow runs to load the model, and what says which file that is."""
    version, ran = two.registry.version(NAME, 1), tmp_path / "ran"
    model = files(version).parent.parent
    for file, added in (
        (model / "predictor.py", f"\nopen({str(ran)!r}, 'w').close()\n"),
        (model / "MLmodel", "\nnote: another\n"),
    ):
        whole = file.read_bytes()
        file.write_bytes(whole + added.encode())
        try:
            with pytest.raises(RegistryError, match="not those that were registered"):
                model_client.predict(version, ["a film"])
            with pytest.raises(RegistryError, match="not those that were registered"):
                approval_and_rollback.rollback(two.registry, NAME, None, "reason")
        finally:
            file.write_bytes(whole)
    assert not ran.exists()
    assert len(model_client.predict(version, ["a film"])) == 1


def test_a_consumer_with_mlflow_alone_loads_no_corrupted_model(two: Arena) -> None:
    import mlflow

    version = two.registry.version(NAME, 2)
    corrupt(files(version))
    try:
        with pytest.raises(ValueError, match="not those that were registered"):
            mlflow.pyfunc.load_model(version.uri)
    finally:
        corrupt(files(version))
    assert len(mlflow.pyfunc.load_model(version.uri).predict(["a film"])) == 1


def test_the_evidence_holds_no_text(two: Arena, good: Trained, tmp_path: Path) -> None:
    entry = two.ledger.entries()[-1]
    evidence_storage.replay(Runs(), str(entry.evidence_run_id), tmp_path)
    written = "".join(
        path.read_bytes().decode("latin-1")
        for path in (tmp_path / evidence_storage.DECISION).iterdir()
    ) + json.dumps(entry.model_dump(mode="json"))
    texts = datasets.load(good.dataset.test)["text"].tolist()
    assert not [text for text in texts if len(text) > 30 and text in written]
