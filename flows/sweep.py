"""Search for better settings, and have the best challenge the champion."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from prefect import flow

from flows.retrain import retrain
from incumbent.config import Config
from incumbent.retraining import won_sweep
from incumbent.retraining.retraining_outcome import Clock
from incumbent.retraining.won_sweep import WonSweep
from incumbent.runtime import environment, url_secrets
from incumbent.sweeps import search_space, sweep_identity, trial_database
from incumbent.sweeps.search_space import SearchSpace
from incumbent.sweeps.shared_study import Attempt, Result, SharedStudy
from incumbent.sweeps.sweep_outcome import SweepOutcome
from incumbent.tracking.mlflow_runs import Runs
from tasks import announce, show, track_sweep
from tasks.ingest import ingest
from tasks.run_trial import run_trial
from tasks.track_run import too_little_new
from tasks.validate import validate


@flow(
    name="sweep",
    flow_run_name="sweep {config.model_name}",
    on_failure=[announce.failure],
)
def sweep(
    config: Config,
    space: dict[str, Any],
    trials: int = 20,
    budget_hours: float | None = None,
    storage: str = "",
) -> SweepOutcome:
    """Try settings on held-out training rows, then retrain with the best of them.

    Runs with the same config, space and data share their trials, at the same time or one after
    the other.

    Args:
        config: What all trials have in common.
        space: The config keys that vary, as a space file holds them.
        trials: How many there are to be, of all runs together.
        budget_hours: No further trial is begun after so long.
        storage: The database of the trials; without one, it is beside the MLflow store.

    Raises:
        ConfigError: if the space or the storage is wrong.
        DataError: if the data cannot be read, or is refused.
        StageError: if a stage fails for another reason.
    """
    environment.prepare()
    environment.quiet()
    show.tidy_logs()
    until = time.monotonic() + 3600 * (budget_hours or float("inf"))
    varied = SearchSpace.of(space)
    address = trial_database.address(
        url_secrets.expanded(storage, os.environ), Runs(config.tracking).uri,
        Path(config.tracking.workdir),
    )  # fmt: skip
    clock = Clock(config.timeouts)
    with clock("ingest"):
        dataset = ingest(config)
        identity = sweep_identity.of_sweep(dataset, config, varied)
        skipped = too_little_new(dataset, config)
    name = sweep_identity.study_name(identity, config)
    study = SharedStudy(name, address, varied, config.training.seed)
    if skipped is not None:
        return SweepOutcome(**skipped.model_dump(), trials=0, best={}, value=None, study=study.name)
    with track_sweep.tracked(study, config, varied) as run:
        with clock("validate"):
            verdict = validate(dataset, config, identity, run)

        def attempt(one: Attempt) -> Result:
            return run_trial(one, verdict.dataset, config, identity, run)

        start = time.monotonic()
        study.run(trials, until, attempt, show.say)
        seconds = round(time.monotonic() - start, 2)
        best, finished = study.best(), study.finished()
        plots = track_sweep.conclude(study, varied, identity, run)
    with won_sweep.retraining_winner_of(WonSweep(study.name, finished, plots)):
        outcome = retrain(search_space.applied(config, best.values))
    timings = {**clock.timings, "trials": seconds, **outcome.timings}
    return SweepOutcome(
        **{**outcome.model_dump(), "timings": timings}, trials=finished, best=best.values,
        value=best.loss, study=study.name,
    )  # fmt: skip
