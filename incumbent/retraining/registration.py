"""Register a trained model as a version, and keep with its run what later contests need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from incumbent.config import Config
from incumbent.data import datasets
from incumbent.data.datasets import Dataset
from incumbent.evaluation.challenger_assessment import Assessment
from incumbent.retraining.retraining_identity import Retraining
from incumbent.title import evidence_storage, undecided_challengers
from incumbent.tracking.mlflow_run_files import Run, zipped
from incumbent.tracking.mlflow_runs import RUN_DIGEST, Runs
from incumbent.tracking.registry_reads import Version
from incumbent.tracking.registry_writes import Registry

if TYPE_CHECKING:
    from incumbent.training.fitting import TrainedModel

_EXAMPLES = 8  # test rows that go with a model, so that whoever loads it can see that it answers


def register(
    trained: TrainedModel,
    result: Assessment,
    dataset: Dataset,
    config: Config,
    retraining: Retraining,
    run: Run,
    about: Mapping[str, str],
    seed_accuracies: tuple[float, ...] = (),
) -> Version:
    """Log the dataset, the ktrain predictor and the pyfunc; register `@challenger`.

    Each step can be repeated: the version of the same retraining is not registered twice.

    Args:
        trained: The ktrain predictor, and what is served of it.
        result: Its evaluation.
        dataset: What it was trained and measured on.
        config: The whole of the run.
        retraining: The run's identity.
        run: The MLflow run.
        about: More tags of the version.
        seed_accuracies: See `evidence_gathering.Challenge`.
    """
    runs = Runs(run.tracking)
    for name, split in (("training", dataset.train), ("testing", dataset.test)):
        if not split.digest:
            continue
        runs.log_dataset(
            run, datasets.load(split)[["text", "label"]], source=split.source,
            name=f"{config.model_name}-{name}", digest=split.digest, context=name,
        )  # fmt: skip
    runs.log_files(run, trained.folder, "predictor")
    with evidence_storage.to_log(dataset, result, Path(config.tracking.workdir)) as folder:
        runs.log_files(run, folder)
    undecided_challengers.keep(runs, run, result, dataset, config, seed_accuracies)
    with zipped(trained.folder) as archive:
        runs.log_files(run, archive)
    accuracy = result.measured.accuracy
    description = (
        f"{config.training.model}{'' if dataset.train_known else ', imported'}, accuracy "
        f"{accuracy.value:.2%} on {result.measured.rows:,} test rows. [MLflow run]({run.url})"
    )
    if link := about.get("prefect.flow_run_url"):
        description += f", [Prefect run]({link})"
    return Registry(run.tracking).register(
        run, config.model_name, trained.served.folder, _examples(result, dataset),
        tags={
            RUN_DIGEST: retraining.digest,
            "incumbent.config_digest": retraining.config_digest,
            "incumbent.dataset_digest": dataset.digest,
            **({"incumbent.train_digest": dataset.train.digest} if dataset.train_known else {}),
            "incumbent.test_digest": dataset.test.digest,
            "incumbent.predictor_digest": result.predictor_digest,
            "incumbent.accuracy": f"{accuracy.value:.6f}",
            "incumbent.precision": trained.served.precision,
            **about,
        },
        description=description,
    )  # fmt: skip


def _examples(result: Assessment, dataset: Dataset) -> pd.DataFrame:
    """What the model answered to the first test rows: `probability_<class>`, by text."""
    measured = pd.read_parquet(result.probabilities).add_prefix("probability_")
    measured.index = pd.Index(datasets.load(dataset.test)["text"])
    return measured[[bool(text.strip()) for text in measured.index]].head(_EXAMPLES)
