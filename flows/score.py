"""Classify the rows of a table with a registered model."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from incumbent import environment
from incumbent.batch import Summary
from incumbent.registry import Registry
from tasks import announce, show
from tasks.score import score as score_rows


@flow(
    name="score",
    flow_run_name="score with {model_name}",
    on_failure=[announce.failure],
)
def score(
    source: str,
    output: str,
    model_name: str = "reviews",
    alias: str = "champion",
    text_column: str | None = None,
    sheet: str | int = 0,
    encoding: str = "utf-8",
) -> Summary:
    """Write the rows of a table with a label and class probabilities for each.

    Args:
        source: A path or URL of a table in any format that training reads.
        output: A file for the same rows; its extension is the format.
        model_name: The registered model.
        alias: Of the version to ask.
        text_column: The column of texts; without one, that of the training data.
        sheet: Of a workbook, by name or number (the first is 0).
        encoding: Of CSV, TSV and JSON Lines.

    Raises:
        ConfigError: if no version has the alias, or `output` cannot be written.
        DataError: if `source` cannot be read.
        RegistryError: if the version cannot be loaded.
    """
    environment.prepare()
    environment.quiet()
    show.tidy_logs()
    version = Registry().aliased(model_name, alias)
    return score_rows(version, source, Path(output), text_column, sheet, encoding)
