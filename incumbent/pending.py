"""Challengers whose run ended between their registration and the decision: the next run decides.

What a decision needs of a challenger is kept with its MLflow run before it is registered, in the
folder `challenge`: `challenge.json` (its evaluation, the rules it came with and its dataset's
digests) and `probabilities.parquet` (its answers to the test rows, as they were measured). There is
no text in it: the rows are the frozen test set's, which the next run has too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from incumbent import artifacts, title
from incumbent.assessment import Assessment
from incumbent.config import Config, DataConfig
from incumbent.datasets import Dataset
from incumbent.encoding import write_atomically
from incumbent.errors import IncumbentError, RegistryError
from incumbent.evidence import Challenge
from incumbent.ledger import Entry, Ledger
from incumbent.registry import Registry, Version
from incumbent.runs import RUN_DIGEST, Run, Runs

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
    kept = _Kept(
        assessment=assessment,
        dataset=dataset,
        config=config.model_copy(update={"data": DataConfig()}),
        seed_accuracies=seed_accuracies,
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_atomically(folder / _FILE, kept.model_dump_json(indent=1))
        (folder / assessment.probabilities.name).write_bytes(assessment.probabilities.read_bytes())
        runs.log_files(run, folder, FOLDER)


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
            challenge = _challenge(version, dataset, config)
            folder = f"{artifacts.DECISION}-{version.version}"
            yield title.contest(registry, challenge, run, about, folder)[0]
        except IncumbentError as error:
            say(
                "version %s, whose run ended before the decision, cannot be decided about: %s",
                version.version, error,
            )  # fmt: skip


def _undecided(registry: Registry, before: Version) -> list[Version]:
    """The versions that incumbent registered earlier and never decided about, oldest first."""
    entries = Ledger(registry, before.name).entries()
    known = {entry.version for entry in entries}
    digests = {entry.run_digest for entry in entries}
    return [
        version
        for version in reversed(registry.versions(before.name))
        if version.version < before.version and version.version not in known
        and version.tags.get(RUN_DIGEST, "") not in digests | {""}
    ]  # fmt: skip


def _challenge(version: Version, dataset: Dataset, config: Config) -> Challenge:
    """The challenge of a version as its own run would have made it.

    Raises:
        RegistryError: if its run did not keep it, or its test rows are not here.
    """
    workdir, runs = Path(config.tracking.workdir), Runs(config.tracking)
    if not version.run_id or not runs.has_file(version.run_id, f"{FOLDER}/{_FILE}"):
        raise RegistryError("its run kept no evaluation")
    place = runs.download(version.run_id, FOLDER, workdir / "downloads" / version.run_id)
    kept = _Kept.model_validate_json((place / _FILE).read_text(encoding="utf-8"))
    return Challenge(
        version,
        kept.assessment.model_copy(update={"folder": place}),
        _here(kept, dataset, config, workdir),
        kept.config.model_copy(update={"tracking": config.tracking}),
        kept.seed_accuracies,
    )


def _here(kept: _Kept, dataset: Dataset, config: Config, workdir: Path) -> Dataset:
    """The dataset of a challenge, with its test rows where this machine has them."""
    own = workdir / "datasets" / kept.dataset.digest / "test.parquet"
    same_slices = kept.config.evaluation.slices == config.evaluation.slices
    if own.is_file():
        test = kept.dataset.test.model_copy(update={"path": own})
    elif dataset.test.digest == kept.dataset.test.digest and same_slices:
        test = dataset.test
    else:
        raise RegistryError(
            f"its test rows (digest {kept.dataset.test.digest[:12]}) are not here; retrain with "
            "its own data and config where it was trained"
        )
    return kept.dataset.model_copy(update={"test": test})
