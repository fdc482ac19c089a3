"""Classify the rows of a table."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.scoring import table_scoring
from incumbent.scoring.table_scoring import Summary
from incumbent.tracking.registry_reads import Version
from tasks import show
from tasks.retry_policy import RETRIES


@task(cache_policy=NO_CACHE, **RETRIES)
def score(
    version: Version, source: str, output: Path, text_columns: tuple[str, ...],
    sheet: str | int | None, encoding: str, header_row: int | None = None, delimiter: str = "",
) -> Summary:  # fmt: skip
    """Write the rows with their labels and probabilities; see `table_scoring.score`."""
    with show.progress("scoring", None, "row", "Rows scored") as progress:
        summary = table_scoring.score(
            version, source, output, text_columns=text_columns, sheet=sheet, encoding=encoding,
            header_row=header_row, delimiter=delimiter, on_rows=progress.by, note=show.say,
        )  # fmt: skip
    show.table(
        "labels",
        [{"label": label, "rows": rows} for label, rows in summary.labels.items()],
        f"Rows by predicted label; {summary.empty:,} rows without text",
    )
    show.say(
        "scored %s rows with version %s of %s into %s",
        f"{summary.rows:,}", summary.version, summary.model_name, summary.output,
    )  # fmt: skip
    return summary
