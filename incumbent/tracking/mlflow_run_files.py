"""The files of MLflow runs: log, find, download and delete artifacts, tables and datasets."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from incumbent.config import TrackingConfig
from incumbent.tracking.mlflow_connection import Store, repeatable

if TYPE_CHECKING:
    import pandas as pd

_TABLES = "mlflow.loggedArtifacts"  # MLflow's tag: which artifacts its page shows as tables
_DIGEST_LENGTH = 36  # characters, MLflow's limit


class Run(BaseModel):
    """An MLflow run: its id, the address at which people see it, and how it is tracked."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    url: str
    tracking: TrackingConfig


class RunFiles(Store):
    """The files of the runs of an MLflow store. What writes can be made again, to the same end."""

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

    def found(self, run_id: str) -> Any:
        """MLflow's run; None if there is none, as somebody deleted it for good (`mlflow gc`)."""
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return None

    @repeatable
    def has_file(self, run_id: str, path: str) -> bool:
        """Whether a run has an artifact; not, if somebody deleted the run."""
        parent = str(Path(path).parent) if "/" in path else None
        with self.errors("list artifacts"):
            return self.found(run_id) is not None and any(
                file.path == path for file in self.client.list_artifacts(run_id, parent)
            )

    @repeatable
    def download(self, run_id: str, path: str, folder: Path) -> Path:
        """Copy an artifact, a file or a folder, to `folder`; gives where it is there."""
        folder.mkdir(parents=True, exist_ok=True)
        with self.errors(f"download {path} of run {run_id}"):
            return Path(self.client.download_artifacts(run_id, path, str(folder)))


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
