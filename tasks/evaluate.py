"""Measure the challenger on the frozen test set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.config import EvaluationConfig
from incumbent.data.datasets import Dataset
from incumbent.evaluation import challenger_assessment
from incumbent.evaluation.challenger_assessment import Assessment
from incumbent.retraining.retraining_identity import Retraining
from incumbent.scoring import model_client
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import Runs
from tasks import show
from tasks.retry_policy import RETRIES

if TYPE_CHECKING:
    from incumbent.training.fitting import TrainedModel

_HEADLINES = ("accuracy", "macro_f1", "roc_auc", "log_loss", "calibration_error")


@task(cache_policy=NO_CACHE, **RETRIES)
def evaluate(
    trained: TrainedModel,
    dataset: Dataset,
    config: EvaluationConfig,
    retraining: Retraining,
    run: Run,
) -> Assessment:
    """Score the test rows by the model that will be served, and by the baseline."""
    model_client.expect()  # of the registered model, once this is done
    with show.progress("evaluation", dataset.test.rows, "row", "Scoring the test set") as progress:
        result = challenger_assessment.assess(
            trained.served.folder,
            dataset,
            config,
            retraining.folder,
            retraining.baselines,
            progress.by,
        )
    runs = Runs(run.tracking)
    wrong = pd.read_parquet(result.top_losses)
    runs.log_metrics(run, result.metrics())
    runs.log_files(run, retraining.folder / "plots", "plots")
    runs.log_table(run, wrong, "top_losses.json")
    show.table(
        "metrics",
        [_row(name, result) for name in _HEADLINES],
        f"On {result.measured.rows:,} test rows, with {config.confidence:.0%} intervals",
    )
    show.table(
        "top-losses",
        wrong.assign(text=wrong["text"].str.slice(0, 300)).round(4).to_dict("records"),
        "The reviews it got most wrong",
    )
    accuracy = result.measured.accuracy
    baseline = result.baseline
    show.say(
        "accuracy %.2f%% (%.2f to %.2f) on %s test rows; %s",
        100 * accuracy.value, 100 * accuracy.low, 100 * accuracy.high,
        f"{result.measured.rows:,}",
        f"the NBSVM baseline has {100 * baseline.accuracy.value:.2f}%" if baseline
        else "no training rows are known to train a baseline on",
    )  # fmt: skip
    return result


def _row(name: str, result: Assessment) -> dict[str, object]:
    def cells(prefix: str, estimate: object) -> dict[str, object]:
        value = getattr(estimate, "value", None)
        low, high = getattr(estimate, "low", None), getattr(estimate, "high", None)
        if value is None or low is None or high is None:
            return {prefix: "-"}
        return {prefix: f"{value:.4f}", f"{prefix}, interval": f"{low:.4f} to {high:.4f}"}

    return {
        "metric": name.replace("_", " "),
        **cells("model", getattr(result.measured, name)),
        **cells("NBSVM baseline", getattr(result.baseline, name, None)),
    }
