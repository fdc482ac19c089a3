"""Check the data before anything is trained on it."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.config import Config
from incumbent.data.datasets import Dataset
from incumbent.errors import DataRefused
from incumbent.retraining.identity import Retraining
from incumbent.runtime.markdown import escaped
from incumbent.title import contest
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.model_registry import Registry
from incumbent.tracking.run_files import Run
from incumbent.validation import expectation_suites
from incumbent.validation.verdict import Verdict
from tasks import show
from tasks.retries import RETRIES


@task(cache_policy=NO_CACHE, **RETRIES)
def validate(dataset: Dataset, config: Config, retraining: Retraining, run: Run) -> Verdict:
    """Validate both splits; the verdict's dataset lacks the rows that were dropped.

    Raises:
        DataRefused: if the test set is not the frozen one, or an expectation of severity `error`
            failed; it says which rows.
    """
    contest.check_test_set(
        Registry(run.tracking), config.model_name, dataset.test, config.promotion.new_reign
    )
    verdict = expectation_suites.validate(
        dataset, config.validation, retraining.folder, config.data.sample
    )
    Runs(run.tracking).log_files(run, verdict.data_docs, "data_docs")
    show.markdown("validation", _summary(verdict, run), "What was expected of the data")
    if not verdict.passed:
        raise DataRefused(verdict.refusal())
    warnings = [finding for finding in verdict.findings if not finding.passed]
    show.say(
        "the data is valid: %s expectations met, %s warnings%s",
        len(verdict.findings) - len(warnings), len(warnings),
        "".join(f"; {finding.message}" for finding in warnings),
    )  # fmt: skip
    return verdict


def _summary(verdict: Verdict, run: Run) -> str:
    lines = [
        f"**{'Accepted' if verdict.passed else 'Refused'}.** "
        f"[Data Docs in the MLflow run]({run.url}/artifacts/data_docs)",
        "",
        "| split | expectation | result | found |",
        "|---|---|---|---|",
    ]
    for finding in verdict.findings:
        result = "met" if finding.passed else finding.severity
        lines.append(
            f"| {finding.split} | {escaped(finding.name)} | {result} | {escaped(finding.message)} |"
        )
    return "\n".join(lines)
