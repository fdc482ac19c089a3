"""The identity of a retraining: the digests of its data and config, and the folder of its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from incumbent import __version__
from incumbent.behaviour import behaviour_yaml
from incumbent.config import WITHOUT_WEIGHTS, Config
from incumbent.data.datasets import Dataset
from incumbent.errors import StageError
from incumbent.runtime import url_secrets
from incumbent.runtime.atomic_files import write_atomically


class Retraining(BaseModel):
    """A retraining's identity: the same dataset and config have the same `digest`.

    `folder` holds the predictor, plots, Data Docs and report of this retraining.
    """

    model_config = ConfigDict(frozen=True)

    digest: str
    config_digest: str
    folder: Path

    @property
    def baselines(self) -> Path:
        """Where the evaluations of baselines are kept, for all retrainings."""
        return self.folder.parent.parent / "baselines"

    def last_run(self, run_id: str) -> str:
        """Note the MLflow run that does this work; gives that which did it before, or ""."""
        file = self.folder / "run_id"
        before = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
        with suppress(OSError):  # whatever needs the disk more says that it is full
            write_atomically(file, run_id)
        return before

    @classmethod
    def of(cls, dataset: Dataset, config: Config) -> Retraining:
        """Identify the retraining of a dataset by a config.

        Where the data was read from, where results are tracked, when checkpoints are saved and how
        long a stage may take do not matter; the weights' content does.

        Raises:
            ConfigError: if the weights cannot be had, or the behaviour tests not be read.
        """
        return cls._named(dataset, config, digest_of(config))

    @classmethod
    def of_import(cls, dataset: Dataset, config: Config, predictor_digest: str) -> Retraining:
        """Identify the import of a predictor, measured on a test set: how to train plays no part.

        Raises:
            ConfigError: if the behaviour tests cannot be read.
        """
        rules = {"model_name", "validation", "serving", "evaluation", "promotion"}
        settings = f"import {predictor_digest} {__version__}" + config.model_dump_json(
            include=rules
        )
        settings += behaviour_yaml.load(config.evaluation.behaviour).model_dump_json()
        return cls._named(dataset, config, hashlib.sha256(settings.encode()).hexdigest())

    @classmethod
    def _named(cls, dataset: Dataset, config: Config, config_digest: str) -> Retraining:
        digest = hashlib.sha256(f"{dataset.digest} {config_digest}".encode()).hexdigest()
        folder = made(Path(config.tracking.workdir) / "runs" / digest[:16])
        return cls(digest=digest, config_digest=config_digest, folder=folder)


def digest_of(config: Config) -> str:
    """The digest of all settings that a trained model and its decision depend on.

    Raises:
        ConfigError: as `Retraining.of` does.
    """
    settings = __version__ + config.model_dump_json(
        exclude={
            "tracking": True, "data": True, "ingest": True, "retention": True,
            "timeouts": True, "importing": True,
            "training": {"checkpoint_minutes"},
        }
    )  # fmt: skip
    settings += behaviour_yaml.load(config.evaluation.behaviour).model_dump_json()
    if config.training.model not in WITHOUT_WEIGHTS:
        from incumbent.encoders import pretrained_weights

        settings += pretrained_weights.fingerprint(
            pretrained_weights.default(config.training.weights, config.training.model)
        )
    return hashlib.sha256(settings.encode()).hexdigest()


def made(folder: Path) -> Path:
    """A folder for the files of a retraining, made if need be.

    Raises:
        StageError: if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StageError(
            f"The folder {folder} cannot be made: {error.strerror}. Free it, or set "
            "tracking.workdir to a folder you may write to."
        ) from None
    return folder


def settings(config: Config) -> dict[str, object]:
    """The config under dotted names, to show and log: addresses without their secrets."""
    shown = config.model_dump(mode="json")
    shown["data"]["test"] = url_secrets.public(config.data.test)
    train = config.data.train
    shown["data"]["train"] = (
        url_secrets.public(train)
        if isinstance(train, str)
        else list(map(url_secrets.public, train))
    )
    if isinstance(weights := shown["training"]["class_weights"], dict):  # labels are no keys
        shown["training"]["class_weights"] = str(weights)
    return dict(_flatten(shown))


def of_import(config: Config, facts: Mapping[str, object]) -> dict[str, object]:
    """As `settings`, of an import: without what is about training, and with facts about it."""
    about_training = ("data.train", "ingest.", "preprocessing.", "training.")
    shown = {k: v for k, v in settings(config).items() if not k.startswith(about_training)}
    return {**facts, **shown}


def _flatten(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
