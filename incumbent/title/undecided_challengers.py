"""Decide about challengers whose run ended after their registration and before the decision.

What a decision needs of a challenger is kept with its MLflow run before it is registered, in the
folder `challenge`: `challenge.json` (its evaluation, the rules it came with and its dataset's
digests) and `probabilities.parquet` (its answers to the test rows, as they were measured). There is
no text in it: the rows are the frozen test set's, which the next run has too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from incumbent.config import Config, DataConfig
from incumbent.data.datasets import Dataset
from incumbent.errors import IncumbentError, RegistryError
from incumbent.evaluation.challenger_assessment import Assessment
from incumbent.runtime.atomic_files import write_atomically
from incumbent.title import contest, evidence_storage
from incumbent.title.evidence_gathering import Challenge
from incumbent.title.ledger import Entry, Ledger
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import RUN_DIGEST, Runs
from incumbent.tracking.registry_reads import Version
from incumbent.tracking.registry_writes import Registry

FOLDER = "challenge"
_FILE = "challenge.json"


class _Kept(BaseModel):
    """A challenge without its version, as it is stored; the config without addresses of data."""

    model_config = ConfigDict(frozen=True)

    assessment: Assessment
    dataset: Dataset
    config: Config
    seed_accuracies: tuple[float, ...]


def keep(
    runs: Runs, run: Run, assessment: Assessment, dataset: Dataset, config: Config,
    seed_accuracies: tuple[float, ...],
) -> None:  # fmt: skip
    """Store with its run what a decision about a challenger needs, before it is registered."""
    found = _Kept(
        assessment=assessment,
        dataset=dataset,
        config=config.model_copy(update={"data": _columns_of(config.data)}),
        seed_accuracies=seed_accuracies,
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_atomically(folder / _FILE, found.model_dump_json(indent=1))
        (folder / assessment.probabilities.name).write_bytes(assessment.probabilities.read_bytes())
        runs.log_files(run, folder, FOLDER)


def _columns_of(data: DataConfig) -> DataConfig:
    """Which columns are read, without the addresses of the data.

    The group's may have the name that is the default of the text's or the label's.
    """
    return DataConfig(
        text_column=data.text_column, label_columns=data.label_columns,
        group_column=data.group_column,
    )  # fmt: skip


def decide(
    registry: Registry,
    before: Version,
    dataset: Dataset,
    config: Config,
    run: Run,
    about: Mapping[str, str],
    say: Callable[..., None],
) -> Iterator[Entry]:
    """Decide about the versions registered before one that the ledger does not know of.

    A run that is still alive may be about to decide about its own: then one of the two does.

    Args:
        registry: Where the versions are.
        before: The challenger of this run.
        dataset: This run's, for the rows of the frozen test set.
        config: This run's, for where things are kept.
        run: The MLflow run that keeps the evidence.
        about: What else to record (the Prefect run).
        say: Told which version could not be decided about, and why.
    """
    for version in _undecided(registry, before):
        try:
            left = _kept(version, dataset, config)
            _same_test_set(registry, left, dataset)
            folder = f"{evidence_storage.DECISION}-{version.version}"
            yield contest.hold(registry, left, run, about, folder)[0]
        except IncumbentError as error:
            say(
                "version %s, whose run ended before the decision, cannot be decided about: %s",
                version.version, error,
            )  # fmt: skip


def challenge(
    version: Version, assessment: Assessment, dataset: Dataset, config: Config,
    seed_accuracies: tuple[float, ...],
) -> Challenge:  # fmt: skip
    """The challenge of a run's version.

    If the version is of an earlier try, and what this one trained and measured is another model, as
    on another machine, it is that of the earlier one.

    Raises:
        RegistryError: if the earlier try's cannot be had.
    """
    if version.predictor_digest == assessment.predictor_digest:
        return Challenge(version, assessment, dataset, config, seed_accuracies)
    return _kept(version, dataset, config)


def _undecided(registry: Registry, before: Version) -> list[Version]:
    """The versions that incumbent registered earlier and never decided about, oldest first."""
    _, entries = contest.adopt(Ledger(registry, before.name))
    known = {entry.version for entry in entries}
    digests = {entry.run_digest for entry in entries}
    return [
        version
        for version in reversed(registry.versions(before.name))
        if version.version < before.version and version.version not in known
        and version.tags.get(RUN_DIGEST, "") not in digests | {""}
    ]  # fmt: skip


def _kept(version: Version, dataset: Dataset, config: Config) -> Challenge:
    """The challenge of a version as its own run would have made it.

    Args:
        version: A registered challenger.
        dataset: A dataset that may have the same test rows.
        config: Of the present run, for where things are kept.

    Raises:
        RegistryError: if its run did not keep it, or its test rows are not here.
    """
    workdir, runs = Path(config.tracking.workdir), Runs(config.tracking)
    if not version.run_id or not runs.has_file(version.run_id, f"{FOLDER}/{_FILE}"):
        raise RegistryError("its run kept no evaluation")
    place = runs.download(version.run_id, FOLDER, workdir / "downloads" / version.run_id)
    try:
        found = _Kept.model_validate_json((place / _FILE).read_text(encoding="utf-8"))
        assessment = found.assessment.model_copy(update={"folder": place})
        pd.read_parquet(assessment.probabilities)
    except (OSError, ValueError) as error:  # damaged, or of a release with other settings
        raise RegistryError(f"what its run kept cannot be read ({error})") from None
    return Challenge(
        version,
        assessment,
        _here(found, dataset, config, workdir),
        found.config.model_copy(update={"tracking": config.tracking}),
        found.seed_accuracies,
    )


def _same_test_set(registry: Registry, challenge: Challenge, dataset: Dataset) -> None:
    """See that a version was measured on the frozen test set: it shall begin no reign, so late.

    Raises:
        RegistryError: if not.
    """
    reign = Ledger(registry, challenge.version.name).reign()
    frozen = reign.test_digest if reign else dataset.test.digest
    if challenge.dataset.test.digest != frozen:
        raise RegistryError("it was measured on another test set than the frozen one")


def _here(found: _Kept, dataset: Dataset, config: Config, workdir: Path) -> Dataset:
    """The dataset of a challenge, with its test rows where this machine has them."""
    folder = workdir / "datasets" / found.dataset.digest
    train, test = (
        split.model_copy(update={"path": folder / f"{name}.parquet"})
        for name, split in (("train", found.dataset.train), ("test", found.dataset.test))
    )
    ours, theirs = (
        each.data.further_columns(each.evaluation.slices) for each in (config, found.config)
    )
    same_slices = ours == theirs
    if not test.path.is_file():
        if dataset.test.digest != test.digest or not same_slices:
            raise RegistryError(
                f"its test rows (digest {test.digest[:12]}) are not here; retrain with its own "
                "data and config where it was trained"
            )
        test = dataset.test
    return found.dataset.model_copy(update={"train": train, "test": test})
