"""Run one trial of a sweep: train with the values it was given, and measure on held-out rows."""

from __future__ import annotations

import shutil

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.classifiers import choice
from incumbent.config import Config
from incumbent.data.datasets import Dataset
from incumbent.errors import ConfigError, RegistryError, StageError, TrainingDiverged
from incumbent.retraining.retraining_identity import Retraining
from incumbent.runtime import file_locks, time_limits
from incumbent.sweeps import held_out_rows, search_space, sweep_identity
from incumbent.sweeps.shared_study import Attempt, Hopeless, Result
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import Runs
from incumbent.training.callbacks import Progress
from tasks import await_training_slot, show, track_sweep
from tasks.preprocess import encode
from tasks.retry_policy import RETRIES
from tasks.train import fit


@task(task_run_name="trial {attempt.number}", cache_policy=NO_CACHE, **RETRIES)
@await_training_slot.taken()
def run_trial(
    attempt: Attempt, dataset: Dataset, config: Config, sweep: Retraining, parent: Run
) -> Result:
    """Train on *train* less the held-out rows, and measure what would be served on these.

    Values that do not go together, and a loss that is not finite, prune a trial; another failure
    is that of the trial, which counts all the same. A trial that was run before is not trained
    again.

    Raises:
        RegistryError: if MLflow does not answer.
    """
    study = sweep_identity.study_name(sweep, config)
    with track_sweep.trial(attempt, config, study, parent) as run:
        result = _result(attempt, dataset, config, sweep, run)
        _record(result, run)
    show.say("trial %s %s", attempt.number, _in_words(attempt, result))
    return result


def _result(
    attempt: Attempt, dataset: Dataset, config: Config, sweep: Retraining, run: Run
) -> Result:
    if known := attempt.known:
        return Result(state="finished", loss=known.loss, accuracy=known.accuracy)
    try:
        tried = search_space.applied(config, attempt.values)
        training, _ = choice.chosen(tried.training, dataset)
        held_out = held_out_rows.held_out(training, dataset)
        tried = tried.model_copy(update={"training": held_out})
        identity = sweep_identity.of_trial(sweep, tried)
    except ConfigError as error:
        return Result(state="pruned", reason=str(error))
    with file_locks.waited_for(identity.folder / "lock", lambda: None):
        result = _tried(attempt, held_out_rows.without_test(dataset), tried, identity, run)
        # Of a trial that was interrupted the checkpoints stay.
        shutil.rmtree(identity.folder, ignore_errors=True)
    return result


def _tried(
    attempt: Attempt, dataset: Dataset, config: Config, identity: Retraining, run: Run
) -> Result:
    hours = config.timeouts.train
    try:
        with time_limits.within(f"trial {attempt.number}", hours, "timeouts.train"):
            loss, accuracy = _measured(attempt, dataset, config, identity, run)
    except (ConfigError, TrainingDiverged, Hopeless) as error:
        return Result(state="pruned", reason=str(error))
    except RegistryError:
        raise
    except StageError as error:
        return Result(state="failed", reason=str(error))
    return Result(state="finished", loss=loss, accuracy=accuracy)


def _measured(
    attempt: Attempt, dataset: Dataset, config: Config, identity: Retraining, run: Run
) -> tuple[float, float]:
    """Log loss and accuracy on the held-out rows."""
    encoded = encode(dataset, config)

    def on_epoch(state: Progress) -> None:
        if state.step < state.total:  # at its end a trial need not be stopped
            attempt.report(state.metrics["validation_loss"], state.epoch)

    def say(line: str) -> None:
        if line.startswith("resuming"):  # the rest is the same for all trials
            show.say("trial %s is %s", attempt.number, line)

    trained = fit(encoded, config, identity, run, say, on_epoch)
    return held_out_rows.score(trained, encoded, config.training)


def _record(result: Result, run: Run) -> None:
    runs = Runs(run.tracking)
    runs.tag(run, {"incumbent.trial_state": result.state, "incumbent.reason": result.reason[:5000]})
    if result.state == "finished":
        measured = {"held_out_log_loss": result.loss, "held_out_accuracy": result.accuracy}
        runs.log_metrics(run, measured)


def _in_words(attempt: Attempt, result: Result) -> str:
    values = search_space.in_words(attempt.values)
    if result.state != "finished":
        return f"{result.state} ({values}): {result.reason}"
    again = ", as before" if attempt.known else ""
    return (
        f"finished ({values}): held-out log loss {result.loss:.4f}, accuracy "
        f"{100 * result.accuracy:.2f}%{again}"
    )
