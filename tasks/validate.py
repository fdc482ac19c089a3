"""Check the data before anything is trained on it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.config import Config
from incumbent.data import language_detection
from incumbent.data.datasets import Dataset
from incumbent.encoders import pretrained_weights
from incumbent.errors import DataRefused
from incumbent.retraining import next_step
from incumbent.retraining.retraining_identity import Retraining
from incumbent.runtime.markdown import escaped
from incumbent.title import contest
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_writes import Registry
from incumbent.validation import bad_rows_workbook, great_expectations_runner, rows_set_aside
from incumbent.validation.validation_verdict import Verdict
from tasks import show
from tasks.retry_policy import RETRIES


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
    _record_corrections(dataset, run)
    verdict = great_expectations_runner.validate(
        dataset, config.validation, retraining.folder, config.data.sample
    )
    runs = Runs(run.tracking)
    runs.log_files(run, verdict.data_docs, "data_docs")
    _keep_left_out(verdict, config, retraining, runs, run)
    show.markdown("validation", _summary(verdict, run), "What was expected of the data")
    if not verdict.passed:
        raise DataRefused(verdict.refusal())
    warnings = [finding for finding in verdict.findings if not finding.passed]
    show.say(
        "the data is valid: %s expectations met, %s warnings%s",
        len(verdict.findings) - len(warnings), len(warnings),
        "".join(f"; {finding.message}" for finding in warnings),
    )  # fmt: skip
    for sentence in next_step.sentences(verdict.dataset, config.promotion):
        show.say("to get further: %s", sentence)
    _tell_languages(verdict.dataset, config, run)
    return verdict


def _record_corrections(dataset: Dataset, run: Run) -> None:
    """Note with the run what became of rows that are labelled more than once.

    Names of people stay in the report.
    """
    runs = Runs(run.tracking)
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}
    for side, split in (("train", dataset.train), ("test", dataset.test)):
        settled = split.settled
        if words := split.settled_in_words:
            tags[f"incumbent.corrections_{side}"] = words
            metrics[f"labels_replaced_{side}"] = settled.replaced
            metrics[f"rows_set_aside_{side}"] = settled.set_aside
        if settled.agreement and settled.agreement.alpha is not None:
            metrics[f"annotator_alpha_{side}"] = settled.agreement.alpha
    if tags:
        runs.tag(run, tags)
    if metrics:
        runs.log_metrics(run, metrics)


def _keep_left_out(
    verdict: Verdict, config: Config, retraining: Retraining, runs: Runs, run: Run
) -> None:
    """Log the rows that were set aside, as a workbook, and those without a label, as a table."""
    train = verdict.dataset.train
    if train.unlabelled_path:
        with tempfile.TemporaryDirectory() as place:
            copy = shutil.copy(train.unlabelled_path, Path(place) / "unlabelled.parquet")
            runs.log_files(run, Path(copy))
    if config.validation.bad_rows == "set_aside":
        runs.log_metrics(run, {"rows_set_aside": float(verdict.rows_set_aside)})
    if verdict.rows_set_aside:
        path = retraining.folder / rows_set_aside.SHEET
        bad_rows_workbook.write(path, verdict.bad_rows, train, config.data)
        runs.log_files(run, path)
        show.say("the rows that were set aside are in %s", path)


def _tell_languages(dataset: Dataset, config: Config, run: Run) -> None:
    """Note in which languages most texts are, and warn if the weights know another one."""
    cache = Path(config.tracking.workdir) / "languages"
    splits = {"train": dataset.train, "test": dataset.test}
    found = {
        side: language_detection.main_language(split, cache)
        for side, split in splits.items()
        if split.rows
    }
    Runs(run.tracking).tag(
        run, {f"incumbent.language_{side}": language.code for side, language in found.items()}
    )
    show.say("languages: %s", ", ".join(f"{side} {what}" for side, what in found.items()))
    spoken = {language.code for language in found.values()} - {language_detection.UNKNOWN}
    if len(spoken) > 1:
        show.say(
            "warning: most texts of train are in %s and most of test in %s: the test set measures "
            "another task than the one that is trained",
            found["train"].code, found["test"].code,
        )  # fmt: skip
    training = config.training
    known = pretrained_weights.language_of(training.weights, training.model)
    if dataset.train_known and known and spoken - {known}:
        show.say(
            "warning: the %s weights know %s alone, and most texts are in %s: set training.weights "
            "to weights that know it (a folder, or a hub name such as "
            "bert-base-multilingual-uncased), or training.model to nbsvm, which learns any "
            "language from the rows",
            training.weights, known, ", ".join(sorted(spoken - {known})),
        )  # fmt: skip


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
