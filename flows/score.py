"""Classify the rows of a table with a registered model."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from incumbent.config import Hours
from incumbent.runtime import environment, time_limits
from incumbent.scoring.table_scoring import Summary
from incumbent.tracking.registry_writes import Registry
from tasks import announce, show
from tasks.score import score as score_rows

_REMEDY = (
    "Nothing was written. If it needs that long, set max_hours higher, or score the table in "
    "parts; else look at what the table and the model are read from."
)


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
    text_column: str | list[str] | None = None,
    sheet: str | int | None = None,
    encoding: str = "auto",
    header_row: int | None = None,
    delimiter: str = "",
    max_hours: Hours = 72.0,
) -> Summary:
    """Write the rows of a table with a label and class probabilities for each.

    Args:
        source: A path or URL of a table in any format that training reads.
        output: A file for the same rows; its extension is the format.
        model_name: The registered model.
        alias: Of the version to ask.
        text_column: The column of texts, or a list; without one, that of the training data.
        sheet: Of a workbook, by name or number (the first is 0); without one, that of the column.
        encoding: Of CSV, TSV and JSON; `auto` for what its bytes say.
        header_row: Number of the row that holds the names of the columns; without one, the first
            that has the column of texts.
        delimiter: Of CSV, one character; without one, that which gives the column.
        max_hours: How long it may take; as long as a training, unless told otherwise.

    Raises:
        ConfigError: if no version has the alias, or `output` cannot be written.
        DataError: if `source` cannot be read.
        RegistryError: if the version cannot be loaded.
        StageTimedOut: if it takes longer than `max_hours`.
    """
    environment.prepare()
    environment.quiet()
    show.tidy_logs()
    columns = (text_column,) if isinstance(text_column, str) else tuple(text_column or ())
    with time_limits.whole("score", max_hours, _REMEDY):
        version = Registry().aliased(model_name, alias)
        return score_rows(
            version, source, Path(output), columns, sheet, encoding, header_row, delimiter
        )
