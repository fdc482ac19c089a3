"""The configuration: frozen models, one a stage, composed into `Config`.

Every default is written here and nowhere else. The flow's only parameter is a `Config`, so
the Prefect form, the command line and the deployments share this one schema.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from incumbent.errors import ConfigError

Severity = Literal["error", "warn", "off"]
"""What a failed expectation does: refuse the data, report it, or go unchecked."""


MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What a registered model may be called: safe in a path, a URL and a filter."""

Seed = Annotated[int, Field(ge=0, lt=2**32)]
"""What both NumPy and TensorFlow take for a seed."""


class Section(BaseModel):
    """A frozen part of the configuration; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataConfig(Section):
    """Where labelled text comes from, and how to read it."""

    train: str = ""
    """Training data: a path or any fsspec URL (.xlsx .xls .csv .tsv .parquet .jsonl). Empty for
    the embedded film reviews."""
    test: str = ""
    """The frozen test set, read like `train`. Empty for the embedded film reviews."""
    sheet: str | Annotated[int, Field(ge=0, strict=True)] = 0
    """Excel sheet, by name or by number (the first is 0)."""
    text_column: str = "text"
    """Column that holds the text."""
    label_columns: str | tuple[str, ...] = "label"
    """Column that holds the label, by name or as a list of one."""
    encoding: str = "utf-8"
    """Character encoding of CSV, TSV and JSON Lines files."""
    sample: Annotated[int, Field(ge=2)] | None = None
    """So many rows of each split, stratified by label and seeded; all of them when null."""
    seed: Seed = 0
    """Seed of the sample."""

    @property
    def label_column(self) -> str:
        """The one label column."""
        return self.label_columns if isinstance(self.label_columns, str) else self.label_columns[0]

    @model_validator(mode="after")
    def _consistent(self) -> DataConfig:
        if not isinstance(self.label_columns, str) and len(self.label_columns) != 1:
            raise ValueError(
                f"label_columns names {len(self.label_columns)} columns; one label column is "
                "supported: give its name, or a list of one"
            )
        if self.label_column == self.text_column:
            raise ValueError(
                f"text_column and label_columns are both {self.text_column!r}; two columns are "
                "needed"
            )
        if bool(self.train) != bool(self.test):
            missing = "test" if self.train else "train"
            raise ValueError(
                f"data.{missing} is not set: name both files, or neither for the embedded reviews"
            )
        return self


class ValidationConfig(Section):
    """What data must satisfy before anything is trained on it, and how severe a failure is."""

    labels: tuple[str, ...] | None = None
    """The known labels; rows without one are refused, and test rows whose label train lacks. Null:
    those of the training data."""
    min_rows: Annotated[int, Field(ge=2)] = 20
    """Fewest rows of each split."""
    min_rows_per_class: Annotated[int, Field(ge=1)] = 5
    """Fewest rows of each class in each split."""
    min_characters: Annotated[int, Field(ge=1)] = 2
    """Shortest text, in characters."""
    max_characters: Annotated[int, Field(ge=1)] = 32_767
    """Longest text, in characters. The default is the most that an Excel cell can hold."""
    on_empty: Severity = "error"
    """A row has no text."""
    on_rows: Severity = "error"
    """A split has fewer than `min_rows`, or a class fewer than `min_rows_per_class`."""
    on_length: Severity = "error"
    """A text is shorter than `min_characters` or longer than `max_characters`."""
    on_not_text: Severity = "error"
    """A cell of the text column holds a number, a date, a formula error or no words at all."""
    on_control: Severity = "warn"
    """A text holds control characters; they are replaced by spaces."""
    on_repeat: Severity = "warn"
    """A text stands more than once in a split."""
    on_conflict: Severity = "warn"
    """One text has two labels."""
    on_leak: Literal["error", "warn", "drop", "off"] = "error"
    """A test text stands in train too (after case and white space are folded): refuse, report,
    or drop the row from train."""

    @model_validator(mode="after")
    def _consistent(self) -> ValidationConfig:
        if self.min_characters > self.max_characters:
            raise ValueError(
                f"min_characters ({self.min_characters}) is above max_characters "
                f"({self.max_characters}): no text could pass"
            )
        return self


class PreprocessingConfig(Section):
    """How text becomes model input."""

    max_length: Annotated[int, Field(ge=8, le=4096)] = 64
    """Longest input, in tokens, special tokens included."""
    truncation: Literal["head", "tail", "head_tail"] = "head"
    """Which part of a longer text is kept. `head_tail` keeps the first quarter and the last
    three (Sun et al. 2019, section 5.3.1)."""


class TrainingConfig(Section):
    """The model and how it is trained."""

    model: Literal["transformer", "distilbert", "bert", "nbsvm"] = "transformer"
    """`transformer` and `distilbert` are Hugging Face models, `bert` is ktrain's keras_bert
    route, `nbsvm` a linear model on word n-grams."""
    weights: str = "bundled"
    """Pretrained weights: `bundled` (MiniLM, shipped with the installation), a folder or a hub
    name. For `bert`: `bundled`, or a folder with a Google BERT checkpoint."""
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 32
    """Rows in a training step."""
    learning_rate: Annotated[float, Field(gt=0, le=10)] | Literal["auto"] = 1.5e-4
    """Peak learning rate of the schedule; `auto` asks ktrain's finder. NBSVM wants about 0.01."""
    lr_find_steps: Annotated[int, Field(ge=50, le=2000)] = 100
    """Steps that the learning-rate finder may take."""
    schedule: Literal["onecycle", "triangular", "sgdr"] = "onecycle"
    """ktrain's `fit_onecycle`, its `autofit` (triangular, early stopping) or warm restarts."""
    epochs: Annotated[int, Field(ge=1, le=1000)] = 1
    """Passes over the training rows; with `triangular`, the most there may be."""
    early_stopping: Annotated[int, Field(ge=1)] = 2
    """`triangular` only: stop after so many epochs without a lower validation loss."""
    validation_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    """Share of *train* that is held out, stratified, to watch training."""
    freeze_embeddings: bool = False
    """Leave the word embeddings as they are: smaller steps, quicker training."""
    seed: Seed = 1
    """Seed of the split, the initial head, dropout and the order of the batches."""


class EvaluationConfig(Section):
    """How the challenger is measured on the frozen test set."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Coverage of the intervals."""
    bootstrap_samples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """Resamples of the test rows for intervals that have no closed form."""
    calibration_bins: Annotated[int, Field(ge=2, le=100)] = 15
    """Bins of equal width for the calibration error (Guo et al. 2017 use 15)."""
    top_losses: Annotated[int, Field(ge=1, le=1000)] = 20
    """How many of the reviews it got most wrong to list."""
    seed: Seed = 0
    """Seed of the resampling."""


class PromotionConfig(Section):
    """When a challenger takes the title."""

    min_accuracy: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Gate for the first champion: lowest test accuracy."""
    min_gain_over_baseline: Annotated[float, Field(ge=-1, le=1)] = 0.0
    """Gate for the first champion: how much its accuracy must exceed the baseline's."""
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Level of the one-sided paired test that the challenger is better than the champion."""


class TrackingConfig(Section):
    """Where runs and models are recorded."""

    experiment: str = ""
    """MLflow experiment; empty for the model's name."""
    artifacts: str = ""
    """Artifact location of a new experiment; empty for `mlruns/artifacts` beside a local store,
    or the server's own."""
    mlflow_ui: str = "http://127.0.0.1:5000"
    """Address under which people open MLflow, for links, when the store is a database."""
    workdir: str = ".incumbent"
    """Folder for caches and the files of a run in the making."""


class Config(Section):
    """One retraining, complete."""

    model_name: Annotated[str, Field(pattern=MODEL_NAME)] = "reviews"
    """Name in the MLflow registry: letters, digits, `.`, `_` and `-`."""
    data: DataConfig = DataConfig()
    validation: ValidationConfig = ValidationConfig()
    preprocessing: PreprocessingConfig = PreprocessingConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    promotion: PromotionConfig = PromotionConfig()
    tracking: TrackingConfig = TrackingConfig()


def load(path: str | Path | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read a config file and apply `a.b=VALUE` overrides, whose values are YAML.

    Raises:
        ConfigError: if the file is missing or no YAML mapping, or a key or value is wrong;
            every problem is named with its key.
    """
    values = _read_yaml(Path(path)) if path else {}
    for override in overrides:
        _set(values, override)
    return parse(values, source=str(path) if path else "the command line")


def parse(values: dict[str, Any], source: str) -> Config:
    """Validate a nested mapping into a `Config`.

    Raises:
        ConfigError: naming each wrong key, and the nearest known one for an unknown key.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        lines = "\n".join(f"  {_explain(problem)}" for problem in error.errors())
        raise ConfigError(f"The config in {source} is wrong:\n{lines}") from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, _siblings(path), n=1)
        hint = f" Did you mean {path.parent / near[0]}?" if near else ""
        raise ConfigError(f"There is no config file {path}.{hint}") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder; a config file is expected.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The config file {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path} holds a {type(values).__name__}; a mapping of sections is expected, "
            "like `model_name: reviews`."
        )
    return values


def _siblings(path: Path) -> list[str]:
    return [p.name for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []


def _set(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(
            f"--set {override!r} is not KEY=VALUE; write it like --set training.epochs=2"
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key}: the value {text!r} is not valid YAML: {error}") from None
    *parents, last = key.strip().split(".")
    for parent in parents:
        child = values.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"--set {key}: {parent} is a value, not a section.")
        values = child
    values[last] = value


def _explain(problem: Any) -> str:
    """One pydantic problem as a line a user can act on."""
    location = [str(part) for part in problem["loc"]]
    key = ".".join(location)
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(location[-1], _known_keys(location[:-1]), n=1, cutoff=0.5)
        known = ", ".join(_known_keys(location[:-1]))
        hint = f"did you mean {near[0]}?" if near else f"known keys are {known}"
        return f"{key}: unknown key; {hint}"
    message = problem["msg"].removeprefix("Value error, ")
    found = problem["input"]
    shown = "" if isinstance(found, dict) else f" (found {found!r})"
    return f"{key or 'config'}: {message[0].lower()}{message[1:]}{shown}"


def _known_keys(location: Sequence[str]) -> list[str]:
    model: type[BaseModel] = Config
    for part in location:
        field = model.model_fields.get(part)
        if field is None:
            return []
        candidates = [field.annotation, *get_args(field.annotation)]
        models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)
