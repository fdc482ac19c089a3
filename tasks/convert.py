"""Load a predictor that ktrain saved, in a process of its own, and export it to be served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.config import Config
from incumbent.data import datasets, ingestion
from incumbent.data.datasets import Dataset
from incumbent.importing import conversion, conversion_client
from incumbent.importing.conversion import Converted
from incumbent.importing.saved_predictor import FOLDER, Saved
from incumbent.retraining.retraining_identity import Retraining
from tasks import show

if TYPE_CHECKING:
    from incumbent.training.fitting import TrainedModel

_TEXTS = 2000  # of the test set, that are handed over


@task(cache_policy=NO_CACHE)
def read_test_set(config: Config) -> Dataset:
    """Read the test set; the training rows of what is imported are not known.

    Raises:
        DataError: if it cannot be read as labelled text.
    """
    workdir = Path(config.tracking.workdir)
    dataset = ingestion.ingest_test(config.data, workdir, config.evaluation.slices)
    show.say("read %s test rows; the training rows are not known", f"{dataset.test.rows:,}")
    return dataset


@task(cache_policy=NO_CACHE)
def convert(
    saved: Saved, dataset: Dataset, config: Config, retraining: Retraining
) -> tuple[Converted, Dataset]:
    """Export a predictor; gives what came of it, and the dataset with the labels that it knows.

    Raises:
        ConfigError: if the columns of labels are not those of the predictor.
        DataRefused: if the test set has labels that the predictor does not know.
        StageError: if it cannot be loaded or exported, or the export answers otherwise.
    """
    done = conversion_client.convert(
        saved,
        datasets.load(dataset.test, ["text"])["text"].head(_TEXTS).tolist(),
        retraining.folder / "served" / FOLDER,
        config.data.text_column,
        config.serving,
        config.importing,
        show.say,
    )
    conversion.check_labels(done, dataset, config.data.labels_in)
    show.say(
        "exported %s as %s in %s: on %s test texts it answers as ktrain does, to %.1g",
        saved.source, done.kind, done.precision, done.compared, done.gap,
    )  # fmt: skip
    return done, ingestion.with_labels(dataset, done.classes)


def as_trained(saved: Saved, done: Converted, retraining: Retraining) -> TrainedModel:
    """An imported predictor as the stages after a training take it."""
    from incumbent.classifiers.int8_or_float32_export import Served
    from incumbent.training.fitting import TrainedModel

    return TrainedModel(
        folder=saved.folder,
        served=Served(folder=retraining.folder / "served" / FOLDER, precision=done.precision),
        device="", rows=0, validation_rows=0, steps=0, learning_rate=0, metrics={},
    )  # fmt: skip
