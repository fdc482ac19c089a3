"""Record the run, and register the model as a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.config import Config
from incumbent.data.datasets import Dataset
from incumbent.evaluation.assessment import Assessment
from incumbent.retraining import registration
from incumbent.retraining.identity import Retraining
from incumbent.tracking.model_versions import Version
from incumbent.tracking.run_files import Run
from tasks import show
from tasks.retries import RETRIES

if TYPE_CHECKING:
    from incumbent.training.fitting import TrainedModel


@task(cache_policy=NO_CACHE, **RETRIES)
def register(
    trained: TrainedModel,
    result: Assessment,
    dataset: Dataset,
    config: Config,
    retraining: Retraining,
    run: Run,
    about: dict[str, str],
    seed_accuracies: tuple[float, ...] = (),
) -> Version:
    """Log the dataset, the ktrain predictor and the pyfunc; register `@challenger`."""
    version = registration.register(
        trained, result, dataset, config, retraining, run, about, seed_accuracies
    )
    show.say("registered version %s of %s", version.version, version.name)
    return version
