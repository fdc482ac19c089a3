"""MLflow runs: start, end and find them, with their parameters, metrics and tags."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incumbent.errors import RegistryError
from incumbent.tracking.mlflow_connection import repeatable
from incumbent.tracking.mlflow_run_files import Run, RunFiles

if TYPE_CHECKING:
    from mlflow.entities import Metric

RUN_DIGEST = "incumbent.run_digest"
"""Tag of a run and of the version that it made: the digest of its retraining."""
# Tag of a run that went through all stages; MLflow's own status says so while one is registered.
_FINISHED = "incumbent.finished"
_PARENT = "mlflow.parentRunId"  # MLflow's own tag
_KEY = "incumbent.child"
_PARAMETER_LENGTH = 6000  # characters, MLflow's limit
_MOST_EXPERIMENTS = 50_000  # MLflow's limit


class Runs(RunFiles):
    """The runs of an MLflow store. What changes a run can be made again, and comes to the same."""

    @repeatable
    def start_run(self, model_name: str, tags: Mapping[str, str], run_name: str) -> Run:
        """Start the MLflow run of a retraining, or go on with the one of the same Prefect run."""
        with self.errors("start a run"):
            experiment = self._experiment(self.tracking.experiment or model_name)
            flow_run = tags.get("prefect.flow_run_id", "")
            found = self.client.search_runs(
                [experiment],
                f"tags.`prefect.flow_run_id` = '{flow_run}' and attributes.status = 'RUNNING'",
                max_results=1,
            )
            run = (
                found[0]
                if flow_run and found
                else self.client.create_run(experiment, tags=dict(tags), run_name=run_name)
            )
            url = self._url(experiment, run.info.run_id)
            return Run(run_id=run.info.run_id, url=url, tracking=self.tracking)

    @repeatable
    def start_child(self, parent: Run, key: str, tags: Mapping[str, str], run_name: str) -> Run:
        """Start a run that MLflow shows under another; with a key that it has, go on with that.

        Args:
            parent: The run above it.
            key: What tells it from the other children.
            tags: Its tags.
            run_name: Its name.
        """
        with self.errors("start a run"):
            experiment = self.client.get_run(parent.run_id).info.experiment_id
            query = f"tags.`{_PARENT}` = '{parent.run_id}' and tags.`{_KEY}` = '{key}'"
            found = self.client.search_runs([experiment], query, max_results=1)
            tags = {**tags, _PARENT: parent.run_id, _KEY: key}
            run = (
                found[0]
                if found
                else self.client.create_run(experiment, tags=tags, run_name=run_name)
            )
            url = self._url(experiment, run.info.run_id)
            return Run(run_id=run.info.run_id, url=url, tracking=self.tracking)

    @repeatable
    def go_on(self, run_id: str) -> Run:
        """Have a run that may have ended run again."""
        with self.errors("go on with a run"):
            self.client.update_run(run_id, "RUNNING")
            experiment = self.client.get_run(run_id).info.experiment_id
            return Run(run_id=run_id, url=self._url(experiment, run_id), tracking=self.tracking)

    @repeatable
    def finished(self, model_name: str, run_digest: str) -> bool:
        """Whether a run of this digest went through all stages."""
        with self.errors("search the runs"):
            experiment = self._experiment(self.tracking.experiment or model_name)
            query = f"tags.`{RUN_DIGEST}` = '{run_digest}' and tags.`{_FINISHED}` = 'true'"
            return bool(self.client.search_runs([experiment], query, max_results=1))

    @repeatable
    def log_params(self, run: Run, params: Mapping[str, Any]) -> None:
        """Log settings, cut to the length that MLflow takes."""
        from mlflow.entities import Param

        flat = [Param(k, str(v)[:_PARAMETER_LENGTH]) for k, v in params.items()]
        with self.errors("log parameters"):
            self.client.log_batch(run.run_id, params=flat)

    def log_metrics(self, run: Run, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log metrics at one step (training steps, or 0)."""
        self._log_metrics(run, measured(metrics, step))

    @repeatable
    def _log_metrics(self, run: Run, metrics: Sequence[Metric]) -> None:
        self.send_metrics(run, metrics)

    def send_metrics(self, run: Run, metrics: Sequence[Metric]) -> None:
        """Log metrics that have their time already, 1000 at most, without waiting for MLflow.

        MLflow keeps one of two that are equal, time and step included.
        """
        with self.errors("log metrics"):
            self.client.log_batch(run.run_id, metrics=metrics)

    def tag(self, run: Run, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        self.tag_id(run.run_id, tags)

    @repeatable
    def tag_id(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run that is known by its id."""
        with self.errors("tag the run"):
            for key, value in tags.items():
                self.put(self.client.set_tag, run_id, key, value)

    @repeatable
    def tagged(self, key: str, value: str) -> dict[str, dict[str, str]]:
        """The tags of all runs that have one tag, by their ids."""
        with self.errors("search the runs"):
            found_in = self.client.search_experiments(max_results=_MOST_EXPERIMENTS)
            experiments = [experiment.experiment_id for experiment in found_in]
            query = f"tags.`{key}` = '{value}'"
            found: dict[str, dict[str, str]] = {}
            token = None
            while True:
                page = self.client.search_runs(experiments, query, page_token=token)
                found |= {run.info.run_id: dict(run.data.tags) for run in page}
                token = page.token
                if not token:
                    return found

    @repeatable
    def end_run(self, run: Run, status: str) -> None:
        """End a run as `FINISHED`, `FAILED` or `KILLED`."""
        if status == "FINISHED":
            self.tag(run, {_FINISHED: "true"})
        with self.errors("end the run"):
            self.client.set_terminated(run.run_id, status)

    @repeatable
    def status(self, run_id: str) -> str | None:
        """The status of a run, in MLflow's words; None if there is no such run."""
        with self.errors("read the run"):
            found = self.found(run_id)
            return str(found.info.status) if found else None

    @repeatable
    def take_over(self, run: Run, earlier: str) -> bool:
        """Note that a run resumes an earlier one, if that was ended before its time.

        One that MLflow takes to be running ends as `KILLED`: the caller knows that its process is
        gone.
        """
        status = self.status(earlier) if earlier != run.run_id else None
        if status not in ("RUNNING", "FAILED", "KILLED"):
            return False
        if status == "RUNNING":
            self.tag_id(earlier, {"incumbent.error": "The process was killed."})
            self.end_run(run.model_copy(update={"run_id": earlier}), "KILLED")
        self.tag_id(earlier, {"incumbent.resumed_by": run.run_id})
        self.tag(run, {"incumbent.resumes": earlier})
        return True

    @repeatable
    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run; none if somebody deleted it for good."""
        with self.errors("read the run"):
            found = self.found(run_id)
            return dict(found.data.metrics) if found else {}

    @repeatable
    def deleted(self, run_id: str) -> bool:
        """Whether somebody deleted a run in MLflow, be it for good or so that it can come back."""
        with self.errors("read the run"):
            found = self.found(run_id)
            return found is None or found.info.lifecycle_stage == "deleted"

    @repeatable
    def tags(self, run_id: str) -> dict[str, str]:
        """The tags of a run."""
        with self.errors("read the run"):
            return dict(self.client.get_run(run_id).data.tags)

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is not None:
            if found.lifecycle_stage == "deleted":
                raise RegistryError(
                    f"The MLflow experiment {name!r} is deleted; restore it (`mlflow experiments "
                    f"restore -x {found.experiment_id}`) or set tracking.experiment."
                )
            return str(found.experiment_id)
        location = self.tracking.artifacts
        if not location and self.uri.startswith("sqlite:"):
            store = Path(self.uri.removeprefix("sqlite:///"))
            location = (store.parent / "artifacts").resolve().as_uri()
        # Without a kind, MLflow's page takes the experiment for one about language models.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        try:
            return str(self.client.create_experiment(name, location or None, tags=kind))
        except MlflowException:  # another run was quicker
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    def _url(self, experiment: str, run_id: str) -> str:
        base = self.shown if self.uri.startswith("http") else self.tracking.mlflow_ui
        return f"{base.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}"


def measured(metrics: Mapping[str, float], step: int) -> list[Metric]:
    """Metrics of one step as MLflow's, with the time now."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(name, float(value), now, step) for name, value in metrics.items()]
