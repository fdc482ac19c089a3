"""Record the run, and register the model as a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent import registration
from incumbent.assessment import Assessment
from incumbent.config import Config
from incumbent.datasets import Dataset
from incumbent.job import Job
from incumbent.registry import Version
from incumbent.runs import Run
from tasks import show
from tasks.retries import RETRIES

if TYPE_CHECKING:
    from incumbent.classifiers.training import TrainedModel


@task(cache_policy=NO_CACHE, **RETRIES)
def register(
    trained: TrainedModel,
    result: Assessment,
    dataset: Dataset,
    config: Config,
    job: Job,
    run: Run,
    about: dict[str, str],
    seed_accuracies: tuple[float, ...] = (),
) -> Version:
    """Log the dataset, the ktrain predictor and the pyfunc; register `@challenger`."""
    version = registration.register(
        trained, result, dataset, config, job, run, about, seed_accuracies
    )
    show.say("registered version %s of %s", version.version, version.name)
    return version
