"""Run the checks with Great Expectations on train and test, and collect what they found.

The only module that imports great_expectations, and only when something is validated: that
import takes several seconds.
"""

from __future__ import annotations

import html
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incumbent.data import datasets
from incumbent.data.datasets import Dataset, Split
from incumbent.errors import StageError
from incumbent.tables import training_files
from incumbent.validation import data_docs, label_checks, rows_left_out, rows_set_aside, text_checks
from incumbent.validation.check_base import Side
from incumbent.validation.validation_verdict import Finding, Verdict, refuses

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from incumbent.config import ValidationConfig
    from incumbent.validation.check_base import Check

_ROWS, _EXAMPLES, _CHARACTERS = 20, 3, 80  # how much of a failure a finding shows
_SEVERITIES = {"error": "critical", "warn": "warning"}  # ours → Great Expectations'


def load_library() -> None:
    """Import Great Expectations, which takes seconds, ahead of its use."""
    import great_expectations  # noqa: F401


def validate(
    dataset: Dataset, config: ValidationConfig, folder: Path, sample: int | None = None
) -> Verdict:
    """Check both splits, write Data Docs to `folder`/data_docs, and say what was found.

    With `bad_rows: set_aside`, training rows that fail by themselves are taken out first, if they
    are few. Training rows whose text stands in test are left out if they are few or `on_leak` is
    drop, and with `on_rare_class: drop` classes that are too rare: the verdict then holds a new
    dataset, written beside the old one. Where the training rows are not known, test is checked
    alone. `sample` is `data.sample`, for advice.

    Raises:
        DataError: if the dataset cannot be read, or `folder` not be written to.
        StageError: if Great Expectations itself fails.
    """
    read = dataset
    sampled = {"train": dataset.train.rows == sample, "test": dataset.test.rows == sample}
    aside = rows_set_aside.set_aside(dataset, config)
    kept = rows_left_out.leave_out(aside.dataset, config)
    dataset, train, test = kept.dataset, kept.train, kept.test
    known, sets = label_checks.known_labels(config, dataset.classes), dataset.multilabel

    def annotated(split: Side, own: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
        return text_checks.annotate(own, other, known[split], sets=sets)

    if not dataset.train_known:  # nothing can be said of it
        config = config.model_copy(update={"on_leak": "off"})
    sides: list[tuple[Side, pd.DataFrame]] = [("test", annotated("test", test, train))]
    if dataset.train_known:
        sides.insert(0, ("train", annotated("train", train, test)))
    findings = [*aside.findings, *kept.findings]
    pages: dict[str, str] = {}
    for split, frame in sides:
        suite = text_checks.for_split(
            split, config, known[split], sample if sampled[split] else None, sets=sets,
            files=(read.test.files, read.train.files),
        )  # fmt: skip
        results, pages[split] = _run(split, frame, suite)
        findings += [_finding(split, *pair, frame) for pair in zip(suite, results, strict=True)]
    findings = rows_set_aside.frozen(findings, config)
    findings = [
        *_with_examples((f for f in findings if f.split == "train"), read.train),
        *_with_examples((f for f in findings if f.split == "test"), read.test),
    ]
    refused = any(refuses(finding) for finding in findings)
    verdict = Verdict(
        dataset=dataset,
        passed=not refused,
        findings=tuple(findings),
        dropped=aside.dataset.train.rows - dataset.train.rows,
        bad_rows=aside.rows,
        data_docs=folder / "data_docs",
    )
    title = "The data was refused" if refused else "The data was accepted"
    data_docs.write(verdict.data_docs, title, findings, pages)
    return verdict


def _with_examples(findings: Iterable[Finding], split: Split) -> list[Finding]:
    """The findings of a split with the first texts that they concern, from one look at its file."""
    findings = list(findings)
    wanted = {row for finding in findings for row in finding.rows}
    texts: dict[int, str] = {}
    if wanted:
        for part in datasets.parts(split, ["row", "text"]):
            found = part[part["row"].isin(wanted) & (part["text"].str.strip() != "")]
            texts |= zip(found["row"], found["text"].str[:_CHARACTERS], strict=True)
    return [
        finding.model_copy(
            update={
                "where": training_files.rows_in_words(finding.rows, split.files),
                "examples": tuple(texts[r] for r in finding.rows if r in texts)[:_EXAMPLES],
            }
        )
        for finding in findings
    ]


def _run(split: str, frame: pd.DataFrame, suite: list[Check]) -> tuple[list[Any], str]:
    """Run the checks of one split; their results in order, and the rendered page.

    Results are summaries: of 25,000 failing rows, Great Expectations would otherwise put every
    one on the page.
    """
    import great_expectations as gx

    # Its import sets this level, below that of its other loggers, to tell of temporary folders.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    from great_expectations import expectations
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("sources").add_dataframe_asset(split)
    definition = gx.ValidationDefinition(
        name=split,
        data=asset.add_batch_definition_whole_dataframe("all rows"),
        suite=context.suites.add(
            gx.ExpectationSuite(
                split,
                expectations=[
                    getattr(expectations, check.expectation)(
                        **check.arguments,
                        severity=_SEVERITIES[check.severity],
                        description=html.escape(check.rule),  # the page does not escape it
                        meta={"check": check.name},
                    )
                    for check in suite
                ],
            )
        ),
    )
    labels = frame["label"].map(html.escape)
    validation: Any = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": frame.assign(label=labels.mask(labels == "", None))},
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": ["row"],
            "partial_unexpected_count": _ROWS,
        },
    )
    view: Any = DefaultJinjaPageView()
    page = view.render(ValidationResultsPageRenderer().render(validation))
    by_name = {result.expectation_config.meta["check"]: result for result in validation.results}
    return [by_name[check.name] for check in suite], str(page)


def _finding(split: Side, check: Check, result: Any, frame: pd.DataFrame) -> Finding:
    """One result in our words."""
    details: dict[str, Any] = result.result
    _raise_failure(check, result.exception_info)
    passed = bool(result.success)
    concerned = details.get("partial_unexpected_index_list") or []
    rows = () if passed else tuple(int(entry["row"]) for entry in concerned[:_ROWS])
    problem = "" if passed else check.problem(frame)
    return Finding(
        split=split,
        name=check.name,
        severity="error" if check.severity == "error" else "warn",
        passed=passed,
        count=0 if passed else details.get("unexpected_count", details.get("missing_count", 0)),
        message=check.rule if passed else f"{problem[0].upper()}{problem[1:]}. {check.advice}",
        rows=rows,
    )


def _raise_failure(check: Check, info: dict[str, Any]) -> None:
    """A check that broke has found nothing, whatever its severity."""
    reports = info.values() if info and "raised_exception" not in info else [info]
    for report in reports:
        if report and report.get("raised_exception"):
            raise StageError(
                f"Great Expectations could not run the check {check.name!r}: "
                f"{report.get('exception_message')}"
            )
