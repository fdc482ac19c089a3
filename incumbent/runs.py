"""Retrainings as MLflow runs: their parameters, metrics, tables and files."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from incumbent.config import TrackingConfig
from incumbent.errors import RegistryError
from incumbent.store import Store, repeatable

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Metric

RUN_DIGEST = "incumbent.run_digest"
"""Tag of a run and of the version that it made: the digest of its job."""
# Tag of a run that went through all stages; MLflow's own status says so while one is registered.
_FINISHED = "incumbent.finished"
_TABLES = "mlflow.loggedArtifacts"  # MLflow's tag: which artifacts its page shows as tables
_PARAMETER_LENGTH = 6000  # characters, MLflow's limit
_MOST_EXPERIMENTS = 50_000  # MLflow's limit
_DIGEST_LENGTH = 36  # characters, MLflow's limit


class Run(BaseModel):
    """An MLflow run: its id, the address at which people see it, and how it is tracked."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    url: str
    tracking: TrackingConfig


class Runs(Store):
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

    @repeatable
    def log_files(self, run: Run, path: Path, folder: str = "") -> None:
        """Log a file, or a folder with all that is in it, as artifacts under `folder`."""
        with self.errors(f"log {path.name}"):
            if path.is_dir():
                self.client.log_artifacts(run.run_id, str(path), folder or None)
            else:
                self.client.log_artifact(run.run_id, str(path), folder or None)

    @repeatable
    def log_table(self, run: Run, frame: pd.DataFrame, file: str) -> None:
        """Log a frame as a table that the MLflow page shows, in place of one of the same name.

        MLflow's own method appends to what is there: made again, it would double the rows.
        """
        text = frame.to_json(orient="split", index=False, date_format="iso")
        with self.errors(f"log {file}"):
            self.client.log_text(run.run_id, text, file)
            tables = json.loads(self.client.get_run(run.run_id).data.tags.get(_TABLES, "[]"))
            entry = {"path": file, "type": "table"}
            if entry not in tables:
                self.put(self.client.set_tag, run.run_id, _TABLES, json.dumps([*tables, entry]))

    @repeatable
    def log_dataset(
        self, run: Run, frame: pd.DataFrame, *, source: str, name: str, digest: str, context: str
    ) -> None:
        """Log a frame with columns text and label as the run's dataset input."""
        from mlflow.data.code_dataset_source import CodeDatasetSource
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.entities import DatasetInput, InputTag

        with self.errors("log the dataset"):
            # A source in words: MLflow resolves few kinds of address, and none need it to.
            dataset = from_pandas(
                frame,
                source=CodeDatasetSource({"source": source}),
                name=name,
                targets="label",
                digest=digest[:_DIGEST_LENGTH],
            )
            entity = dataset._to_mlflow_entity()
            tag = InputTag("mlflow.data.context", context)
            self.client.log_inputs(run.run_id, [DatasetInput(entity, [tag])])

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
    def delete_files(self, run_id: str, path: str) -> None:
        """Delete an artifact of a run, a file or a folder; that it is gone already is no error."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        if self.has_file(run_id, path):
            with self.errors(f"delete {path} of run {run_id}"):
                address = self.client.get_run(run_id).info.artifact_uri
                repository: Any = get_artifact_repository(address, self.uri)
                repository.delete_artifacts(path)

    @repeatable
    def delete_model(self, model_id: str) -> None:
        """Delete a logged model with its files; that it is gone already is no error."""
        from mlflow.exceptions import MlflowException
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        with self.errors(f"delete the model {model_id}"):
            try:
                model = self.client.get_logged_model(model_id)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return
            files: Any = get_artifact_repository(model.artifact_location, self.uri)
            files.delete_artifacts()
            self.client.delete_logged_model(model_id)

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
        from mlflow.exceptions import MlflowException

        with self.errors("read the run"):
            try:
                return str(self.client.get_run(run_id).info.status)
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                return None

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
    def has_file(self, run_id: str, path: str) -> bool:
        """Whether a run has an artifact."""
        parent = str(Path(path).parent) if "/" in path else None
        with self.errors("list artifacts"):
            return any(file.path == path for file in self.client.list_artifacts(run_id, parent))

    @repeatable
    def download(self, run_id: str, path: str, folder: Path) -> Path:
        """Copy an artifact, a file or a folder, to `folder`; gives where it is there."""
        folder.mkdir(parents=True, exist_ok=True)
        with self.errors(f"download {path} of run {run_id}"):
            return Path(self.client.download_artifacts(run_id, path, str(folder)))

    @repeatable
    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run."""
        with self.errors("read the run"):
            return dict(self.client.get_run(run_id).data.metrics)

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


@contextmanager
def zipped(folder: Path) -> Iterator[Path]:
    """A zip of a folder, as long as the context lasts; stored, as weights hardly compress."""
    import zipfile

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"{folder.name}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(p for p in folder.rglob("*") if p.is_file()):
                archive.write(file, Path(folder.name) / file.relative_to(folder))
        yield path
