"""One retraining: what identifies it, where its files are, and what came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import Literal

from pydantic import BaseModel, ConfigDict

from incumbent import __version__
from incumbent.behaviour import suite_file
from incumbent.config import Config, TimeoutsConfig
from incumbent.data.datasets import Dataset
from incumbent.errors import StageError
from incumbent.runtime import address_secrets, time_limits
from incumbent.runtime.atomic_files import write_atomically
from incumbent.title.ledger import Kind


class Job(BaseModel):
    """A retraining's identity: the same dataset and config have the same `digest`.

    `folder` holds the predictor, plots, Data Docs and report of this job.
    """

    model_config = ConfigDict(frozen=True)

    digest: str
    config_digest: str
    folder: Path

    @property
    def baselines(self) -> Path:
        """Where the evidence on baselines is kept, for all jobs."""
        return self.folder.parent.parent / "baselines"

    def last_run(self, run_id: str) -> str:
        """Note the MLflow run that does this job; gives that which did it before, or nothing."""
        file = self.folder / "run_id"
        before = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
        with suppress(OSError):  # whatever needs the disk more says that it is full
            write_atomically(file, run_id)
        return before

    @classmethod
    def of(cls, dataset: Dataset, config: Config) -> Job:
        """Identify the retraining of a dataset by a config.

        Where the data was read from, where results are tracked, when checkpoints are saved and how
        long a stage may take do not matter; the weights' content does.

        Raises:
            ConfigError: if the weights cannot be had, or the behaviour tests not be read.
        """
        settings = __version__ + config.model_dump_json(
            exclude={
                "tracking": True, "data": True, "ingest": True, "retention": True,
                "timeouts": True,
                "training": {"checkpoint_minutes"},
            }
        )  # fmt: skip
        settings += suite_file.load(config.evaluation.behaviour).model_dump_json()
        if config.training.model != "nbsvm":
            from incumbent.classifiers import pretrained_weights

            settings += pretrained_weights.fingerprint(
                pretrained_weights.default(config.training.weights, config.training.model)
            )
        config_digest = hashlib.sha256(settings.encode()).hexdigest()
        digest = hashlib.sha256(f"{dataset.digest} {config_digest}".encode()).hexdigest()
        folder = Path(config.tracking.workdir) / "runs" / digest[:16]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StageError(
                f"The folder {folder} cannot be made: {error.strerror}. Free it, or set "
                "tracking.workdir to a folder you may write to."
            ) from None
        return cls(digest=digest, config_digest=config_digest, folder=folder)


def settings(config: Config) -> dict[str, object]:
    """The config under dotted names, to show and log: addresses without their secrets."""
    shown = config.model_dump(mode="json")
    shown["data"]["test"] = address_secrets.public(config.data.test)
    train = config.data.train
    shown["data"]["train"] = (
        address_secrets.public(train)
        if isinstance(train, str)
        else list(map(address_secrets.public, train))
    )
    return dict(_flatten(shown))


def _flatten(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


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
