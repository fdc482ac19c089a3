"""The training rows that a config means, read and validated as a retraining does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from incumbent.data import datasets, ingestion
from incumbent.data.label_arrays import truth_of
from incumbent.data.stratified_sample import sample
from incumbent.encoders import pretrained_weights
from incumbent.encoders.frozen_encoder import FrozenEncoder
from incumbent.errors import ConfigError, DataRefused
from incumbent.tables import training_files
from incumbent.validation import great_expectations_runner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from incumbent.config import Config, DataConfig
    from incumbent.data.datasets import Split

MOST_ROWS = 100_000
"""More rows, of train or of a pool, are drawn from: their vectors take 1.5 kB each."""
_MOST_NUMBERS = 50_000_000  # probabilities: of 1,000 classes, 50,000 rows have so many


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """Labelled rows (n,), and where they came from."""

    texts: list[str]
    labels: list[str]
    numbers: list[int]
    """As `training_files` numbers rows."""
    classes: tuple[str, ...]
    split: Split
    text_columns: tuple[str, ...]
    label_column: str

    @property
    def text_column(self) -> str:
        """The column that a workbook gives the texts, whole."""
        return self.text_columns[0]

    @property
    def truth(self) -> NDArray[np.int64]:
        """The labels as indices into the classes (n,)."""
        return truth_of(self.labels, self.classes, multilabel=False)

    def where(self, row: int) -> tuple[str, int]:
        """The file that a row (a position) came from, and its number there."""
        files = self.split.files or (self.split.source,)
        file, number = training_files.place_of(self.numbers[row])
        return files[file], number


def read(config: Config, seed: int = 0) -> TrainingRows:
    """Read the training rows; of more than `MOST_ROWS`, a sample with the same shares of labels.

    Raises:
        ConfigError: if rows may have several labels.
        DataError: if the data cannot be read.
        DataRefused: if an expectation of severity `error` failed on it.
    """
    workdir = Path(config.tracking.workdir)
    columns = _columns(config.data, workdir)
    dataset = ingestion.ingest(
        config.data, workdir, config.evaluation.slices, config.validation.labels
    )
    if dataset.multilabel:
        raise ConfigError(
            "`incumbent labels` works on rows of one label each, and these may have several "
            "(data.label_columns, data.label_separator). Ask about one label at a time: a file "
            "with a column that says yes or no."
        )
    folder = workdir / "labelling" / "validation"
    folder.mkdir(parents=True, exist_ok=True)
    verdict = great_expectations_runner.validate(
        dataset, config.validation, folder, config.data.sample
    )
    if not verdict.passed:
        raise DataRefused(verdict.refusal())
    split, classes = verdict.dataset.train, verdict.dataset.classes
    most = min(MOST_ROWS, _MOST_NUMBERS // len(classes))
    kept = np.ones(split.rows, dtype=bool)
    if split.rows > most:
        labels = pd.concat(datasets.parts(split, ["label"]))["label"]
        kept[:] = False
        kept[sample(labels, most, seed)] = True
    rows = pd.concat(part[["text", "label", "row"]] for part in datasets.keep(split, kept))
    return TrainingRows(
        texts=rows["text"].tolist(), labels=rows["label"].tolist(), numbers=rows["row"].tolist(),
        classes=classes, split=split, text_columns=columns.texts_in,
        label_column=columns.labels_in[0],
    )  # fmt: skip


def encoder_of(config: Config) -> FrozenEncoder:
    """The encoder whose vectors stand for texts: the config's weights, or else the bundled ones."""
    training = config.training
    other = training.model == "bert"  # a checkpoint of Google's, which is no encoder here
    weights = pretrained_weights.BUNDLED if other else training.weights
    return FrozenEncoder(
        pretrained_weights.default(weights, training.model), config.preprocessing.max_length,
        Path(config.tracking.workdir),
    )  # fmt: skip


def _columns(data: DataConfig, workdir: Path) -> DataConfig:
    return data if data.train else ingestion.embedded(data, workdir)
