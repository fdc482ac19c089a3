"""Train the challenger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.classifiers import catalogue
from incumbent.config import Config
from incumbent.data import ingestion
from incumbent.encoders.encoded_texts import Encoded
from incumbent.retraining.retraining_identity import Retraining
from incumbent.tracking.metrics_buffer import MetricsBuffer
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import Runs
from incumbent.training import callbacks
from tasks import await_training_slot, show
from tasks.retry_policy import RETRIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from incumbent.training.fitting import TrainedModel


@task(task_run_name="train {config.training.model}", cache_policy=NO_CACHE, **RETRIES)
@await_training_slot.taken()
def train(encoded: Encoded, config: Config, retraining: Retraining, run: Run) -> TrainedModel:
    """Fine-tune on the training rows; loss, accuracy and learning rate reach MLflow meanwhile.

    Raises:
        StageError: if memory cannot hold a single row of a step, the process is killed, or no turn
            is to be had.
        TrainingDiverged: if the loss is not finite; the learning rate is named.
    """
    runs = Runs(run.tracking)
    trained = fit(encoded, config, retraining, run, show.say)
    runs.tag(run, {"incumbent.device": trained.device, "incumbent.parts": str(trained.parts)})
    runs.log_metrics(run, {"peak_learning_rate": trained.learning_rate})
    if trained.plot:
        runs.log_files(run, trained.plot, "plots")
    show.say(
        "trained %s on %s rows in %s steps at %.2g; %s held-out rows: loss %.4f, accuracy %.2f%%",
        config.training.model, f"{trained.rows:,}", trained.steps, trained.learning_rate,
        trained.validation_rows, trained.metrics.get("validation_loss", float("nan")),
        100 * trained.metrics.get("validation_accuracy", float("nan")),
    )  # fmt: skip
    return trained


def fit(
    encoded: Encoded,
    config: Config,
    retraining: Retraining,
    run: Run,
    say: Callable[[str], None],
    on_epoch: Callable[[callbacks.Progress], None] | None = None,
) -> TrainedModel:
    """Train within a task; the progress is shown on its page, and reaches MLflow.

    Args:
        encoded: The encoded dataset.
        config: What to train, and how.
        retraining: Whose folder the predictor goes to.
        run: The MLflow run that gets loss, accuracy and learning rate.
        say: Told the device, and so on.
        on_epoch: Told of each epoch's end; what it raises stops the training at its last step.
    """
    from incumbent.training import trainer_client

    classifier = catalogue.create(
        config.training, config.preprocessing, encoded.classes, Path(config.tracking.workdir),
        multilabel=encoded.multilabel,
    )  # fmt: skip
    title = f"Training {config.training.model}"
    with (
        MetricsBuffer(Runs(run.tracking), run) as metrics,
        show.progress("training", None, "step", title) as progress,
    ):

        def on_step(state: callbacks.Progress) -> None:
            progress.to(state.step, state.total, **state.metrics)
            metrics.log(state.metrics, state.step)
            if on_epoch and "validation_loss" in state.metrics:
                on_epoch(state)

        return trainer_client.fit(
            classifier, encoded, retraining.folder / "predictor",
            ingestion.text_column(config.data), config.serving, on_step, say,
        )  # fmt: skip
