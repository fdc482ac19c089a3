"""The identity of a sweep: the digests of its data, config and space, and the folder of its files.

The same command finds the same study, so it resumes a sweep, or joins it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from incumbent.config import Config
from incumbent.data.datasets import Dataset
from incumbent.retraining.retraining_identity import Retraining, digest_of, made
from incumbent.sweeps.search_space import SearchSpace


def of_sweep(dataset: Dataset, config: Config, space: SearchSpace) -> Retraining:
    """Identify the sweep of a space around a config; the number of trials does not matter.

    Raises:
        ConfigError: if the weights cannot be had, or the behaviour tests not be read.
    """
    config_digest = digest_of(config)
    settings = f"{dataset.digest} {config_digest} {space.model_dump_json()}"
    digest = hashlib.sha256(settings.encode()).hexdigest()
    folder = made(Path(config.tracking.workdir) / "sweeps" / digest[:16])
    return Retraining(digest=digest, config_digest=config_digest, folder=folder)


def of_trial(sweep: Retraining, config: Config) -> Retraining:
    """Identify the training of a trial, so that a killed one resumes at its checkpoint.

    Raises:
        ConfigError: if the weights cannot be had.
    """
    config_digest = digest_of(config)
    digest = hashlib.sha256(f"{sweep.digest} {config_digest}".encode()).hexdigest()
    folder = made(sweep.folder / "trials" / digest[:16])
    return Retraining(digest=digest, config_digest=config_digest, folder=folder)


def study_name(sweep: Retraining, config: Config) -> str:
    """What the study is called: the model's name, and the digest of the sweep."""
    return f"{config.model_name}-{sweep.digest[:16]}"
