"""Check the data before anything is trained on it."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent import expectations
from incumbent.config import ValidationConfig
from incumbent.datasets import Dataset
from incumbent.errors import DataRefused
from incumbent.expectations import Verdict
from incumbent.job import Job
from incumbent.registry import Registry, Run
from tasks import show


@task(cache_policy=NO_CACHE)
def validate(dataset: Dataset, config: ValidationConfig, job: Job, run: Run) -> Verdict:
    """Validate both splits; the verdict's dataset lacks the rows that were dropped.

    Raises:
        DataRefused: if an expectation of severity `error` failed; it says which rows.
    """
    verdict = expectations.validate(dataset, config, job.folder)
    Registry(run.tracking).log_files(run, verdict.data_docs, "data_docs")
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
            f"| {finding.split} | {show.escaped(finding.name)} | {result} "
            f"| {show.escaped(finding.message)} |"
        )
    return "\n".join(lines)
