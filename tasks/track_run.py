"""Open the MLflow run of a retraining, or find that its work was done before."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.settings import PREFECT_UI_URL

from incumbent import __version__
from incumbent.config import Config
from incumbent.data.datasets import Dataset
from incumbent.errors import StoreAway
from incumbent.retraining import earlier_retrainings, new_rows, won_sweep
from incumbent.retraining.retraining_identity import Retraining, of_import, settings
from incumbent.retraining.retraining_outcome import Outcome
from incumbent.runtime import environment, file_locks
from incumbent.scoring import model_client
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import RUN_DIGEST, Runs
from incumbent.training import trainer_client
from tasks import show

_IMPORTED = (
    "The same predictor was imported and decided before, on the same test set and by the same "
    "rules, as version {version} ({decision})."
)


def about() -> dict[str, str]:
    """Tags that lead from MLflow to the running Prefect flow, and to the code."""
    base = (PREFECT_UI_URL.value() or "http://127.0.0.1:4200").rstrip("/")
    return {
        "prefect.flow_run_id": flow_run.get_id() or "",
        "prefect.flow_run_name": flow_run.get_name() or "",
        "prefect.flow_run_url": f"{base}/runs/flow-run/{flow_run.get_id()}",
        "incumbent.git_commit": _git_commit(),
        "incumbent.release": __version__,
        **won_sweep.tags(),
    }


@task(cache_policy=NO_CACHE)
def find_earlier(retraining: Retraining, config: Config) -> Outcome | None:
    """The outcome `skipped`, if a version of the same dataset and config was decided before."""
    found = earlier_retrainings.outcome(retraining, config, flow_run.get_id())
    if found is not None:
        show.say("skipped: %s", found.reason)
    return found


@task(cache_policy=NO_CACHE)
def find_imported(retraining: Retraining, config: Config) -> Outcome | None:
    """The outcome `skipped`, if the same predictor was decided before on the same test set."""
    found = earlier_retrainings.outcome(retraining, config, flow_run.get_id(), _IMPORTED)
    if found is not None:
        show.say("skipped: %s", found.reason)
    return found


@task(cache_policy=NO_CACHE)
def too_little_new(dataset: Dataset, config: Config) -> Outcome | None:
    """The outcome `skipped`, if fewer rows are new than `ingest.min_new_rows`."""
    found = new_rows.too_little(dataset.train, dataset.digest, config, flow_run.get_id() or "")
    if found is not None:
        show.say("skipped: %s", found.reason)
    return found


@contextmanager
def tracked(
    retraining: Retraining, config: Config, source: str = "retrain", **facts: object
) -> Iterator[Run]:
    """An MLflow run that ends as the stages in it do, and links to the Prefect run.

    It is linked to the one that was ended at the same work, too, which this one resumes. Two runs
    of one retraining use the same files, so one waits for the other; then it finds the work done.

    Args:
        retraining: The work.
        config: The whole of the run.
        source: The command of `incumbent` that does it.
        facts: Parameters of the run, in place of how it trains.
    """

    def busy() -> None:
        show.say("another run is at the same work, and this one waits for it to end")

    with file_locks.waited_for(retraining.folder / "lock", busy):
        yield from _tracked(retraining, config, source, facts)


def _tracked(
    retraining: Retraining, config: Config, source: str, facts: dict[str, object]
) -> Iterator[Run]:
    runs = Runs(config.tracking)
    tags = about()
    run = runs.start_run(
        config.model_name,
        {
            **tags,
            **sourced(source, tags),
            RUN_DIGEST: retraining.digest,
            "incumbent.config_digest": retraining.config_digest,
        },
        run_name=tags["prefect.flow_run_name"] or source,
    )
    before = retraining.last_run(run.run_id)
    if before and runs.take_over(run, before):
        show.say("resuming what run %s left", before)
    runs.log_params(run, of_import(config, facts) if facts else settings(config))
    show.markdown("mlflow-run", f"[MLflow run]({run.url})", "Parameters, metrics and artifacts")
    with ended(runs, run), model_client.ahead(), trainer_client.ahead():
        if not facts:
            trainer_client.expect()
        yield run


def sourced(command: str, tags: Mapping[str, str]) -> dict[str, str]:
    """MLflow's own tags of who ran what, for a run with the tags `about` it."""
    return {
        "mlflow.user": environment.user(),
        "mlflow.source.name": f"incumbent {command}",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": tags["incumbent.git_commit"],
        "mlflow.note.content": f"[Prefect run]({tags['prefect.flow_run_url']})",
    }


@contextmanager
def ended(runs: Runs, run: Run) -> Iterator[None]:
    """End an MLflow run as what is done within this context ends."""
    try:
        yield
    except BaseException as error:
        failed = isinstance(error, Exception)
        if not failed or isinstance(error, StoreAway):
            runs.backoff.seconds = 0  # nobody waits for it any more
        # The error itself says more than that it could not be recorded; the next run of the same
        # work ends what MLflow takes to be running.
        with suppress(StoreAway):
            if failed:
                runs.tag(run, {"incumbent.error": str(error)[:5000]})
            runs.end_run(run, "FAILED" if failed else "KILLED")
        raise
    runs.end_run(run, "FINISHED")


def _git_commit() -> str:
    """The commit of this code, with `-dirty` if it was changed since; empty outside a checkout."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    found = subprocess.run(  # noqa: S603  a fixed command
        [*command, "--exclude=*", "--abbrev=40"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()
