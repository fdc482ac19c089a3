"""A store in which models contend, and what is known of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from incumbent.config import Config
from incumbent.data.datasets import Dataset
from incumbent.evaluation.assessment import Assessment
from incumbent.retraining import registration
from incumbent.retraining.identity import Retraining
from incumbent.title import contest
from incumbent.title.evidence_gathering import Challenge
from incumbent.title.ledger import Entry, Ledger
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.model_registry import Registry
from incumbent.tracking.model_versions import CHAMPION, Version
from incumbent.tracking.run_files import Run
from incumbent.training.fitting import TrainedModel

NAME = "reviews"


@dataclass(frozen=True)
class Trained:
    """A trained model, measured and ready to be registered."""

    config: Config
    dataset: Dataset
    retraining: Retraining
    model: TrainedModel
    result: Assessment


def manual(trained: Trained) -> Trained:
    """The same model, in a run whose promotion waits for approval."""
    config = trained.config.model_copy(
        update={"promotion": trained.config.promotion.model_copy(update={"mode": "manual"})}
    )
    retraining = trained.retraining.model_copy(update={"digest": trained.retraining.digest[::-1]})
    return replace(trained, config=config, retraining=retraining)


@dataclass
class Arena:
    """A store, and what happens in it."""

    store: str
    workdir: Path
    about: dict[str, str] = field(default_factory=lambda: {"prefect.flow_run_url": ""})

    @property
    def file(self) -> Path:
        """The database of the store."""
        return Path(self.store.removeprefix("sqlite:///"))

    @property
    def registry(self) -> Registry:
        return Registry()

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.registry, NAME)

    def champion(self) -> int | None:
        found = self.registry.by_alias(NAME, CHAMPION)
        return found.version if found else None

    def register(self, trained: Trained) -> tuple[Version, Run]:
        """Start an MLflow run and register the model, as the flow does."""
        run = Runs(trained.config.tracking).start_run(NAME, {}, "test")
        version = registration.register(
            trained.model, trained.result, trained.dataset, trained.config, trained.retraining, run,
            self.about,
        )  # fmt: skip
        return version, run

    def hold_contest(
        self, trained: Trained, version: Version, run: Run
    ) -> tuple[Entry, Version | None]:
        challenge = Challenge(version, trained.result, trained.dataset, trained.config)
        return contest.hold(self.registry, challenge, run, self.about)

    def enter(self, trained: Trained) -> Entry:
        """Register a model and decide about it."""
        return self.hold_contest(trained, *self.register(trained))[0]


@dataclass(frozen=True)
class Stores:
    """MLflow databases to begin with; making one takes seconds, a contest more.

    `blank` has no row; in `one` the weak model is champion, in `two` the good one took the title
    from it, in `three` its twin was kept out. `challenged` is `one` with the good model
    registered, and not yet decided about.
    """

    blank: Path
    one: Path
    challenged: Path
    two: Path
    three: Path


Train = Callable[..., Trained]
