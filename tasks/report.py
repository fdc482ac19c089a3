"""Write the report of the run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.config import Config
from incumbent.evaluation.challenger_assessment import Assessment
from incumbent.retraining import html_report as page
from incumbent.retraining import next_step, won_sweep
from incumbent.retraining.retraining_identity import of_import, settings
from incumbent.retraining.retraining_outcome import Outcome
from incumbent.runtime.atomic_files import write_atomically
from incumbent.title.ledger import Entry
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import Runs
from incumbent.validation.check_base import counted
from incumbent.validation.validation_verdict import Verdict
from tasks import show
from tasks.retry_policy import RETRIES

if TYPE_CHECKING:
    from incumbent.training.fitting import TrainedModel

_NOT_KNOWN = {"rows": "unknown: the predictor was imported"}


@task(cache_policy=NO_CACHE, **RETRIES)
def report(
    outcome: Outcome,
    entry: Entry,
    result: Assessment,
    verdict: Verdict,
    trained: TrainedModel,
    config: Config,
    run: Run,
    facts: dict[str, object] | None = None,
) -> None:
    """Render one HTML page of the whole run, and log it."""
    path = Path(outcome.report or "report.html")
    rates = {"learning rate": trained.plot} if trained.plot else {}
    plots = {**result.plots, **rates, **won_sweep.plots()}
    splits = {"train": verdict.dataset.train, "test": verdict.dataset.test}
    if not verdict.dataset.train_known:
        del splits["train"]
    html = page.render(
        page.Report(
            model_name=outcome.model_name,
            ruling=entry,
            measured=result.measured,
            version=str(outcome.version),
            champion_version=str(outcome.champion_version or ""),
            created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            confidence=config.evaluation.confidence,
            baseline_accuracy=result.baseline.accuracy.value if result.baseline else None,
            data=({} if "train" in splits else {"train": _NOT_KNOWN})
            | {
                name: {
                    "rows": s.rows,
                    "labels": counted(s.labels),
                    **({"set aside": s.set_aside} if s.set_aside else {}),
                    "digest": s.digest,
                    "source": s.source,
                    **({"corrections": s.settled_in_words} if s.settled_in_words else {}),
                }
                for name, s in splits.items()
            },
            agreement={
                name: s.settled.agreement for name, s in splits.items() if s.settled.agreement
            },
            findings=[
                ("met" if f.passed else f.severity, f"{f.split}: {f.message}")
                for f in verdict.findings
            ]
            + [("next", s) for s in next_step.sentences(verdict.dataset, config.promotion)],
            plots=plots,
            top_losses=pd.read_parquet(result.top_losses),
            parameters=of_import(config, facts) if facts else settings(config),
            timings=outcome.timings,
            links={"MLflow run": run.url},
        )
    )
    write_atomically(path, html)
    runs = Runs(run.tracking)
    runs.log_files(run, path)
    runs.log_metrics(run, {f"seconds_{k}": v for k, v in outcome.timings.items()})
    show.say("report: %s", path)
