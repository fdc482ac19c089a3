"""The MLflow run around the stages, and the work that was done before."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.settings import PREFECT_UI_URL

from incumbent import __version__, environment, title
from incumbent.config import Config
from incumbent.job import Job, Outcome, settings
from incumbent.registry import Registry, Run
from tasks import show


def about() -> dict[str, str]:
    """Tags that lead from MLflow to the running Prefect flow, and to the code."""
    base = (PREFECT_UI_URL.value() or "http://127.0.0.1:4200").rstrip("/")
    return {
        "prefect.flow_run_id": flow_run.get_id() or "",
        "prefect.flow_run_name": flow_run.get_name() or "",
        "prefect.flow_run_url": f"{base}/runs/flow-run/{flow_run.get_id()}",
        "incumbent.git_commit": _git_commit(),
        "incumbent.release": __version__,
    }


@task(cache_policy=NO_CACHE)
def find_earlier(job: Job, config: Config) -> Outcome | None:
    """The outcome `skipped`, if a version of the same dataset and config was decided before."""
    registry = Registry(config.tracking)
    earlier = title.earlier(registry, config.model_name, job.digest)
    if earlier is None:
        return None
    version, champion = earlier
    reason = (
        f"The same data and config were trained and decided before, as version "
        f"{version.version} ({version.tags.get('incumbent.decision')}). Change either, or set "
        "training.seed, for a new challenger."
    )
    show.say("skipped: %s", reason)
    report = job.folder / "report.html"
    return Outcome(
        decision="skipped",
        reason=reason,
        model_name=config.model_name,
        version=version.version,
        champion_version=champion.version if champion else None,
        metrics=registry.metrics(version.run_id) if version.run_id else {},
        run_id=version.run_id,
        flow_run_id=flow_run.get_id(),
        report=str(report) if report.is_file() else None,
        timings={},
    )


@contextmanager
def tracked(job: Job, config: Config) -> Iterator[Run]:
    """An MLflow run that ends as the stages in it do, and links to the Prefect run."""
    registry = Registry(config.tracking)
    tags = about()
    run = registry.start_run(
        config.model_name,
        {
            **tags,
            "incumbent.run_digest": job.digest,
            "incumbent.config_digest": job.config_digest,
            "mlflow.user": environment.user(),
            "mlflow.source.name": "incumbent retrain",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": tags["incumbent.git_commit"],
            "mlflow.note.content": f"[Prefect run]({tags['prefect.flow_run_url']})",
        },
        run_name=tags["prefect.flow_run_name"] or "retrain",
    )
    registry.log_params(run, settings(config))
    show.markdown("mlflow-run", f"[MLflow run]({run.url})", "Parameters, metrics and artifacts")
    try:
        yield run
    except Exception as error:
        registry.tag(run, {"incumbent.error": str(error)[:5000]})
        registry.end_run(run, "FAILED")
        raise
    except BaseException:
        registry.end_run(run, "KILLED")
        raise
    registry.end_run(run, "FINISHED")


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
