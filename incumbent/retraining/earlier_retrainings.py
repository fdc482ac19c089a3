"""Find the earlier retraining of the same data and config: then there is nothing to do."""

from __future__ import annotations

from pathlib import Path

from incumbent.config import Config
from incumbent.data import ingestion
from incumbent.errors import IncumbentError
from incumbent.retraining.retraining_identity import Retraining
from incumbent.retraining.retraining_outcome import Outcome
from incumbent.title import contest
from incumbent.title.ledger import Ledger
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_writes import Registry

_REASON = (
    "The same data and config were trained and decided before, as version {version} ({decision}). "
    "Change either, or set training.seed, for a new challenger."
)


def of(config: Config) -> Outcome | None:
    """What came of the run of this config on its data, as far as that is soon told.

    It is not where data has to be fetched from afar first. What goes wrong is left to the flow,
    which records it.
    """
    workdir = Path(config.tracking.workdir)
    try:
        dataset = ingestion.read_before(
            config.data, workdir, config.evaluation.slices, config.validation.labels
        )
        return outcome(Retraining.of(dataset, config), config) if dataset else None
    except IncumbentError:
        return None


def outcome(
    retraining: Retraining, config: Config, flow_run_id: str | None = None, reason: str = _REASON
) -> Outcome | None:
    """The outcome `skipped`, if a run of the same dataset and config decided and ended well.

    One that was killed after the decision goes through the stages again: each finds its work done,
    and what was not written yet, as the report, is. Without a flow run that skips, the outcome
    names the one that decided. `reason` says what was the same, of a `version` and a `decision`.
    """
    registry, runs = Registry(config.tracking), Runs(config.tracking)
    ledger = Ledger(registry, config.model_name)
    entry = ledger.find(retraining.digest)
    if entry is None:
        return None
    if not runs.finished(config.model_name, retraining.digest) and registry.find(
        config.model_name, retraining.digest
    ):  # of a version that is gone, nothing is left to finish
        return None
    champion, _ = contest.adopt(ledger)
    report = retraining.folder / "report.html"
    return Outcome(
        decision="skipped",
        reason=reason.format(version=entry.version, decision=entry.decision),
        model_name=config.model_name,
        version=entry.version,
        champion_version=champion.version if champion else None,
        metrics=runs.metrics(entry.run_id) if entry.run_id else {},
        run_id=entry.run_id,
        flow_run_id=flow_run_id or entry.flow_run_id or None,
        report=str(report) if report.is_file() else None,
        timings={},
    )
