"""Train the challenger again with other seeds, to see how much of its accuracy is luck."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent import assessment, classifiers, datasets
from incumbent.assessment import Assessment
from incumbent.classifiers import callbacks
from incumbent.config import Config
from incumbent.datasets import Dataset
from incumbent.encoding import Encoded
from incumbent.job import Job
from incumbent.runs import Run, Runs
from tasks import show, turn
from tasks.retries import RETRIES

if TYPE_CHECKING:
    from incumbent.classifiers.training import TrainedModel


@task(cache_policy=NO_CACHE, **RETRIES)
@turn.taken()
def repeat(
    encoded: Encoded, dataset: Dataset, result: Assessment, config: Config, job: Job, run: Run
) -> tuple[float, ...]:
    """The test accuracies of `promotion.seeds` models, the challenger's first.

    Raises:
        StageError: if no turn is to be had.
        TrainingDiverged: if the loss of one is not finite.
    """
    accuracies = [result.evidence.accuracy.value]
    for index in range(1, config.promotion.seeds):
        seed = (config.training.seed + index) % 2**32
        trained = _train(encoded, seed, config, job)
        total = dataset.test.rows
        with show.progress(f"seed-{seed}", total, "row", f"Scoring seed {seed}") as progress:
            accuracies.append(assessment.accuracy(trained.served.folder, dataset, progress.by))
        Runs(run.tracking).log_metrics(run, {f"accuracy_seed_{seed}": accuracies[-1]})
    show.say("accuracy by seed: %s", ", ".join(f"{100 * value:.2f}%" for value in accuracies))
    return tuple(accuracies)


def _train(encoded: Encoded, seed: int, config: Config, job: Job) -> TrainedModel:
    from incumbent.classifiers import apart

    settings = config.training.model_copy(update={"seed": seed})
    classifier = classifiers.create(
        settings, config.preprocessing, encoded.classes, Path(config.tracking.workdir),
        multilabel=encoded.multilabel,
    )  # fmt: skip
    title = f"Training {config.training.model} with seed {seed}"
    with show.progress(f"training-seed-{seed}", None, "step", title) as progress:

        def on_step(state: callbacks.Progress) -> None:
            progress.to(state.step, state.total, **state.metrics)

        return apart.fit(
            classifier, encoded, job.folder / f"seed-{seed}" / "predictor",
            datasets.text_column(config.data), config.serving, on_step, show.say,
        )  # fmt: skip
