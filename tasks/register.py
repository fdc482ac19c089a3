"""Record the run, and register the model as a version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent import datasets
from incumbent.assessment import Assessment
from incumbent.config import Config
from incumbent.datasets import Dataset
from incumbent.job import Job
from incumbent.registry import Registry, Run, Version, zipped
from tasks import show

if TYPE_CHECKING:
    from incumbent.classifiers.training import TrainedModel


@task(cache_policy=NO_CACHE)
def register(
    trained: TrainedModel,
    result: Assessment,
    dataset: Dataset,
    config: Config,
    job: Job,
    run: Run,
    about: dict[str, str],
) -> Version:
    """Log the dataset, the ktrain predictor and the pyfunc; register `@challenger`."""
    registry = Registry(run.tracking)
    for name, split in (("training", dataset.train), ("testing", dataset.test)):
        registry.log_dataset(
            run, datasets.load(split)[["text", "label"]], source=split.source,
            name=f"{config.model_name}-{name}", digest=split.digest, context=name,
        )  # fmt: skip
    registry.log_files(run, trained.folder, "predictor")
    with zipped(trained.folder) as archive:
        registry.log_files(run, archive)
    example, output = _example(result, dataset, config)
    accuracy = result.evidence.accuracy
    version = registry.register(
        run, config.model_name, trained.folder, example, output,
        tags={
            "incumbent.run_digest": job.digest,
            "incumbent.config_digest": job.config_digest,
            "incumbent.dataset_digest": dataset.digest,
            "incumbent.train_digest": dataset.train.digest,
            "incumbent.test_digest": dataset.test.digest,
            "incumbent.accuracy": f"{accuracy.value:.6f}",
            **about,
        },
        description=f"{config.training.model}, accuracy {accuracy.value:.2%} on "
        f"{result.evidence.rows:,} test rows. [MLflow run]({run.url}), "
        f"[Prefect run]({about['prefect.flow_run_url']})",
    )  # fmt: skip
    show.say("registered version %s of %s", version.version, version.name)
    return version


def _example(
    result: Assessment, dataset: Dataset, config: Config
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two test rows as the model's input, and the shape of what it answers."""
    texts = datasets.load(dataset.test)["text"].head(2)
    classes = result.evidence.classes
    example = pd.DataFrame({config.data.text_column: texts})
    return example, pd.DataFrame(columns=["label", *(f"probability_{c}" for c in classes)])
