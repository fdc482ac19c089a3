"""Keep the MLflow runs of a sweep: one for the whole, and one nested in it for each trial."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.config import Config
from incumbent.retraining.retraining_identity import Retraining, settings
from incumbent.runtime import environment
from incumbent.scoring import model_client
from incumbent.sweeps import sweep_plots
from incumbent.sweeps.search_space import SearchSpace, in_words
from incumbent.sweeps.shared_study import Attempt, SharedStudy
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import Runs
from incumbent.training import trainer_client
from tasks import show
from tasks.retry_policy import RETRIES
from tasks.track_run import about, ended, sourced

_SHOWN = 50  # trials, in the table of the page


@contextmanager
def tracked(study: SharedStudy, config: Config, space: SearchSpace) -> Iterator[Run]:
    """The MLflow run of a sweep, which all its workers share; it ends as they do."""
    runs = Runs(config.tracking)
    tags = about()

    def start() -> str:
        made = runs.start_run(
            config.model_name,
            {
                **tags,
                **sourced("sweep", tags),
                "incumbent.sweep": study.name,
            },
            run_name="sweep",
        )
        varied = {f"space.{key}": part.model_dump(mode="json") for key, part in space.parts.items()}
        runs.log_params(made, {**settings(config), **varied})
        return made.run_id

    run = runs.go_on(study.run_id(start))
    show.markdown("mlflow-run", f"[MLflow run]({run.url})", "Trials are nested in it")
    with ended(runs, run), model_client.ahead(), trainer_client.ahead():
        yield run


@contextmanager
def trial(attempt: Attempt, config: Config, study: str, parent: Run) -> Iterator[Run]:
    """The MLflow run of a trial; it takes over that of the worker that was killed at it."""
    runs = Runs(parent.tracking)
    tags = {
        "incumbent.sweep": study,
        "incumbent.trial": str(attempt.number),
        "mlflow.user": environment.user(),
    }
    run = runs.start_child(parent, f"{study} {attempt.number}", tags, f"trial {attempt.number}")
    if attempt.before:
        runs.take_over(run, attempt.before)
    attempt.recorded_in(run.run_id)
    runs.log_params(run, {**settings(config), **attempt.values})
    with ended(runs, run):
        yield run


@task(cache_policy=NO_CACHE, **RETRIES)
def conclude(
    study: SharedStudy, space: SearchSpace, sweep: Retraining, run: Run
) -> dict[str, Path]:
    """Log the best of the trials, draw them, and show them on the page; gives the plots."""
    runs, best, finished = Runs(run.tracking), study.best(), study.finished()
    found = {"held_out_log_loss": best.loss, "held_out_accuracy": best.accuracy}
    runs.log_metrics(run, {**found, "trials": finished})
    runs.tag(run, {"incumbent.best_trial": str(best.number)})
    trials = study.complete()
    plots = sweep_plots.draw(trials, study.importances(), space, sweep.folder / "plots")
    for plot in plots.values():
        runs.log_files(run, plot, "plots")
    show.table(
        "trials",
        [
            {"trial": t.number, "log loss": t.loss, "accuracy": t.accuracy, **t.values}
            for t in sorted(trials, key=lambda trial: trial.loss)[:_SHOWN]
        ],
        f"The best of {finished} trials, by their log loss on held-out training rows",
    )
    show.say(
        "trial %s of %s is the best, with a held-out log loss of %.4f: %s",
        best.number, finished, best.loss, in_words(best.values),
    )  # fmt: skip
    return plots
