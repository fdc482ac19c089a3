"""Train the challenger again with other seeds, to see how much of its accuracy is luck."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.classifiers import catalogue
from incumbent.config import Config
from incumbent.data import ingestion
from incumbent.data.datasets import Dataset
from incumbent.encoders.encoded_texts import Encoded
from incumbent.evaluation import challenger_assessment
from incumbent.evaluation.challenger_assessment import Assessment
from incumbent.retraining.retraining_identity import Retraining
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import Runs
from incumbent.training import callbacks
from tasks import await_training_slot, show
from tasks.retry_policy import RETRIES

if TYPE_CHECKING:
    from incumbent.training.fitting import TrainedModel


@task(cache_policy=NO_CACHE, **RETRIES)
@await_training_slot.taken()
def repeat(
    encoded: Encoded,
    dataset: Dataset,
    result: Assessment,
    config: Config,
    retraining: Retraining,
    run: Run,
) -> tuple[float, ...]:
    """The test accuracies of `promotion.seeds` models, the challenger's first.

    Raises:
        StageError: if no turn is to be had.
        TrainingDiverged: if the loss of one is not finite.
    """
    accuracies = [result.measured.accuracy.value]
    for index in range(1, config.promotion.seeds):
        seed = (config.training.seed + index) % 2**32
        trained = _train(encoded, seed, config, retraining)
        total = dataset.test.rows
        with show.progress(f"seed-{seed}", total, "row", f"Scoring seed {seed}") as progress:
            accuracies.append(
                challenger_assessment.accuracy(trained.served.folder, dataset, progress.by)
            )
        Runs(run.tracking).log_metrics(run, {f"accuracy_seed_{seed}": accuracies[-1]})
    show.say("accuracy by seed: %s", ", ".join(f"{100 * value:.2f}%" for value in accuracies))
    return tuple(accuracies)


def _train(encoded: Encoded, seed: int, config: Config, retraining: Retraining) -> TrainedModel:
    from incumbent.training import trainer_client

    settings = config.training.model_copy(update={"seed": seed})
    classifier = catalogue.create(
        settings, config.preprocessing, encoded.classes, Path(config.tracking.workdir),
        multilabel=encoded.multilabel,
    )  # fmt: skip
    title = f"Training {config.training.model} with seed {seed}"
    with show.progress(f"training-seed-{seed}", None, "step", title) as progress:

        def on_step(state: callbacks.Progress) -> None:
            progress.to(state.step, state.total, **state.metrics)

        return trainer_client.fit(
            classifier, encoded, retraining.folder / f"seed-{seed}" / "predictor",
            ingestion.text_column(config.data), config.serving, on_step, show.say,
        )  # fmt: skip
