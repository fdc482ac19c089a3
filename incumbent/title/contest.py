"""A contest: gather the evidence, decide, write the decision to the ledger, move the alias."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from incumbent.data.datasets import Dataset, Split
from incumbent.decision import evidence, gates, proof_and_ruling
from incumbent.decision.evidence import Reign, Role
from incumbent.errors import DataRefused
from incumbent.runtime import environment
from incumbent.title import evidence_gathering, evidence_storage
from incumbent.title.evidence_gathering import Challenge
from incumbent.title.ledger import Entry, Ledger, entry_of, reign_of
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import RUN_DIGEST, Runs
from incumbent.tracking.registry_reads import Version
from incumbent.tracking.registry_writes import Registry

SWEEP_TRIALS = "incumbent.sweep_trials"
"""Tag of a version that won a sweep: how many trials it won against."""


def check_test_set(registry: Registry, name: str, test: Split, new_reign: bool) -> None:
    """See that the test set is the frozen one, before anything is trained.

    Raises:
        DataRefused: if it is another, and no new reign was asked for.
    """
    _same_test_set(Ledger(registry, name).reign(), name, test, new_reign)


def _same_test_set(reign: Reign | None, name: str, test: Split, new_reign: bool) -> None:
    # A version that MLflow alone made champion was measured on no test set: this one is frozen now.
    if reign is None or new_reign or reign.test_digest in ("", test.digest):
        return
    raise DataRefused(
        f"The test set {test.source} (digest {test.digest[:12]}) is not the frozen one of "
        f"{name!r} (digest {reign.test_digest[:12]}), on which its champion earned the title: "
        f"scores on different rows say nothing about each other.{_corrected(test)} Put "
        "the frozen file back (and data.sample as it was); or set promotion.new_reign=true to "
        "freeze this one instead and score the champion on it again; or use another model_name."
    )


def _corrected(test: Split) -> str:
    """What to say of a test set in which labels were corrected."""
    if not (words := test.settled_in_words):
        return ""
    return f" In it, {words} (data.on_disagreement): a corrected test set is another one."


def hold(
    registry: Registry,
    challenge: Challenge,
    run: Run,
    about: Mapping[str, str],
    folder: str = evidence_storage.DECISION,
) -> tuple[Entry, Version | None]:
    """Decide whether the challenger takes the title, record it, and move the alias if so.

    The evidence is stored first, then the decision is written to the ledger, and the alias moves
    last; each step can be repeated. If another decision came in between, this one is made again.

    Args:
        registry: Where both models are.
        challenge: The challenger, its evaluation, and the rules.
        run: The MLflow run that keeps the evidence.
        about: What else to record (the Prefect run).
        folder: Under which of the run's artifacts the evidence is kept.

    Returns:
        The entry in the ledger, and the champion after it.

    Raises:
        RegistryError: if the champion does not answer.
        DataRefused: if another reign began meanwhile, on another test set.
    """
    name, test = challenge.version.name, challenge.dataset.test
    ledger = Ledger(registry, name)
    run_digest = challenge.version.tags[RUN_DIGEST]
    runs, fresh = Runs(registry.tracking), True
    while True:
        champion, entries = adopt(ledger)
        made = next((entry for entry in entries if entry.run_digest == run_digest), None)
        if made is None and champion and champion.version == challenge.version.version:
            # Someone gave it the title by hand: it has nobody to beat.
            made = next(e for e in reversed(entries) if e.version == champion.version)
        if made is not None:
            return made, champion
        before = reign_of(entries)
        _same_test_set(before, name, test, challenge.config.promotion.new_reign)
        reign = reign_of(entries, test.digest) or Reign(number=1, test_digest=test.digest)
        contests = [
            entry
            for entry in entries
            if champion and entry.test_digest == test.digest
            and entry.contested and entry.previous_champion == champion.version
        ]  # fmt: skip
        found = evidence_gathering.gather(
            registry, challenge, champion, reign, contests, fresh=fresh
        )
        fresh = False  # if this is to be decided again, the answers are minutes old
        ruling = proof_and_ruling.decide(found)
        trials = int(challenge.version.tags.get(SWEEP_TRIALS, 0))
        evidence_digest = _keep(runs, run, found, challenge.workdir, folder)
        previous = champion.version if champion else None
        accuracy = challenge.assessment.measured.accuracy
        entry = ledger.append(
            entry_of(
                ruling,
                after=entries[-1].number if entries else 0,
                version=challenge.version.version,
                previous_champion=previous,
                champion=challenge.version.version if ruling.decision == "promoted" else previous,
                reign=reign.number,
                new_reign=before is not None and reign.number != before.number,
                test_digest=test.digest,
                train_digest=challenge.dataset.train.digest,
                run_digest=run_digest,
                run_id=challenge.version.run_id,
                evidence_run_id=run.run_id,
                evidence_folder=folder,
                evidence_digest=evidence_digest,
                flow_run_id=about.get("prefect.flow_run_id", ""),
                sweep_trials=trials or None,
                labels_replaced=_replaced(challenge.dataset),
                accuracy=accuracy.model_dump(),
                champion_accuracy=gates.accuracy_of(found, Role.CHAMPION) if champion else None,
                unseen_accuracy=gates.unseen_accuracies(found),
                **signature(),
            )
        )
        if entry is not None:
            return entry, ledger.settle()[0]


def _replaced(dataset: Dataset) -> dict[str, int]:
    counts = {"train": dataset.train.settled.replaced, "test": dataset.test.settled.replaced}
    return {side: count for side, count in counts.items() if count}


def _keep(runs: Runs, run: Run, found: evidence.Evidence, workdir: Path, folder: str) -> str:
    """Store the case with its MLflow run; gives its digest."""
    place = evidence_storage.kept_in(workdir, run.run_id) / folder
    evidence.save(found, place)
    runs.log_files(run, place, folder)
    return evidence.digest(place)


def adopt(ledger: Ledger) -> tuple[Version | None, list[Entry]]:
    """Do what was left undone, and record an alias that was moved by hand.

    Returns:
        The champion, and the entries, the last of which says so.
    """
    while True:
        champion, entries = ledger.settle()
        last = entries[-1] if entries else None
        held, recorded = champion.version if champion else None, last.champion if last else None
        if held == recorded:
            return champion, entries
        ledger.append(
            Entry(
                after=last.number if last else 0,
                decision="moved by hand",
                version=held or recorded or 0,
                previous_champion=recorded,
                champion=held,
                reason="The alias was found moved outside of incumbent.",
                rule="by hand",
                reign=last.reign if last else 1,
                test_digest=_test_digest(last, champion),
                run_id=champion.run_id if champion else None,
                **signature(),
            )
        )


def _test_digest(last: Entry | None, champion: Version | None) -> str:
    if last is not None and last.test_digest:
        return last.test_digest
    return champion.tags.get("incumbent.test_digest", "") if champion else ""


def signature() -> dict[str, Any]:
    """When, and by whom: what every entry is signed with."""
    return {"time": datetime.now(UTC).isoformat(timespec="seconds"), "who": environment.user()}
