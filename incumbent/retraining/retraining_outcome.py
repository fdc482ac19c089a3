"""The outcome of a retraining, and the clock that measures and limits its stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Literal

from pydantic import BaseModel, ConfigDict

from incumbent.config import TimeoutsConfig
from incumbent.runtime import time_limits
from incumbent.title.ledger import Entry, Kind
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.registry_reads import Version


class Outcome(BaseModel):
    """What came of a retraining; what `incumbent retrain --json` prints.

    `version` is the challenger's, `champion_version` the title holder's afterwards; `timings`
    are seconds by stage; `report` is a file.
    """

    model_config = ConfigDict(frozen=True)

    decision: Kind | Literal["skipped"]
    reason: str
    model_name: str
    version: int | None
    champion_version: int | None
    metrics: dict[str, float]
    run_id: str | None
    run_url: str | None = None
    flow_run_id: str | None
    report: str | None
    timings: dict[str, float]

    @classmethod
    def decided(
        cls, entry: Entry, version: Version, champion: Version | None,
        metrics: dict[str, float], run: Run, flow_run_id: str, folder: Path,
        timings: dict[str, float],
    ) -> Outcome:  # fmt: skip
        """The outcome of a run that went as far as a decision; `folder` is that of its files."""
        return cls(
            decision=entry.decision,
            reason=entry.reason,
            model_name=version.name,
            version=version.version,
            champion_version=champion.version if champion else None,
            metrics=metrics,
            run_id=run.run_id,
            run_url=run.url,
            flow_run_id=flow_run_id,
            report=str(folder / "report.html"),
            timings=timings,
        )


class Clock:
    """Measures stages, and ends those that take too long: `with clock("train"): ...`.

    `timings` are seconds by stage.
    """

    def __init__(self, timeouts: TimeoutsConfig) -> None:
        self.timings: dict[str, float] = {}
        self._hours = timeouts.model_dump()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Measure what runs inside the context.

        Raises:
            StageTimedOut: if it takes longer than `timeouts` allows.
        """
        start = perf_counter()
        try:
            key = stage if stage in self._hours else "other"
            with time_limits.within(stage, self._hours[key], f"timeouts.{key}"):
                yield
        finally:
            self.timings[stage] = round(perf_counter() - start, 2)
