"""Write to the MLflow registry: register, tag, alias and delete versions."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.predictor import ONNX
from incumbent.tracking import model_integrity, model_logging
from incumbent.tracking.mlflow_connection import repeatable
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import RUN_DIGEST
from incumbent.tracking.registry_reads import CHALLENGER, MODEL_DIGEST, Version, Versions

if TYPE_CHECKING:
    import pandas as pd

# What a consumer needs; versions are those of this installation.
_REQUIREMENTS = ("mlflow", "numpy", "pandas")
_ONNX_REQUIREMENTS = ("onnxruntime", "tokenizers")


class Registry(Versions):
    """The registered models of an MLflow store."""

    @repeatable
    def register(
        self, run: Run, model_name: str, predictor: Path, examples: pd.DataFrame,
        tags: Mapping[str, str], description: str,
    ) -> Version:  # fmt: skip
        """Log a predictor folder as the run's pyfunc model, and register it as a version.

        A version with the same `incumbent.run_digest` is returned instead of a second one. The
        new version gets the alias `challenger`.

        Args:
            run: The run that trained it.
            model_name: The registered model.
            predictor: The folder that `incumbent.predictor` loads.
            examples: What it answers to a few texts: `probability_<class>`, by text.
            tags: Tags of the version.
            description: What people read on the version's page.
        """
        known = self.find(model_name, tags[RUN_DIGEST])
        if known is not None:
            self.set_alias(known, CHALLENGER)
            return known
        import mlflow

        with self.errors("register the model"):
            self._delete_unregistered(run)
            with mlflow.start_run(run_id=run.run_id):
                logged = model_logging.log(predictor, examples, _requirements(predictor))
            # Leaving the context ended the run, and the decision is still to come.
            self.client.update_run(run.run_id, "RUNNING")
            if not self._exists(model_name):
                self._create(model_name)
            with model_integrity.copied(logged.model_uri, "", "") as folder:
                digest = model_integrity.model_digest(folder)
            made = self.client.create_model_version(
                model_name, logged.model_uri, run.run_id, tags={**tags, MODEL_DIGEST: digest},
                description=description, model_id=logged.model_id,
            )  # fmt: skip
        version = self.version(model_name, int(made.version))
        first = self.find(model_name, tags[RUN_DIGEST])
        if first is not None and first.version != version.version:
            self.delete(version)  # the same run, twice at once: the quicker one's stands
            version = first
        self.set_alias(version, CHALLENGER)
        return version

    @repeatable
    def set_alias(self, version: Version, alias: str) -> None:
        """Give a version an alias, taking it from whichever had it."""
        with self.errors(f"set @{alias}"):
            number = str(version.version)
            self.put(self.client.set_registered_model_alias, version.name, alias, number)

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        self.tag_number(version.name, version.version, tags)

    @repeatable
    def tag_number(self, model_name: str, number: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version that is known by its number."""
        with self.errors(f"tag version {number} of {model_name}"):
            for key, value in tags.items():
                self.put(self.client.set_model_version_tag, model_name, str(number), key, value)

    @repeatable
    def tag_model(self, model_name: str, tags: Mapping[str, str]) -> None:
        """Set tags of a registered model, as far as they are not as wanted."""
        with self.errors(f"tag {model_name}"):
            known = self.client.get_registered_model(model_name).tags
            for key, value in tags.items():
                if known.get(key) != value:
                    self.put(self.client.set_registered_model_tag, model_name, key, value)

    @repeatable
    def append(
        self, log: str, tags: Mapping[str, str], run_id: str | None, folder: str, text: str
    ) -> int:
        """Write the next entry of a log: a version of a model that has no files.

        MLflow gives each the next number, whoever else writes at the same time. An entry that is
        there, as the answer to an earlier try was lost, is not written again.

        Args:
            log: The registered model that is the log; made if need be.
            tags: The entry.
            run_id: The run that the entry leads to, and which of its artifacts:
            folder: the evidence.
            text: What people read on the entry's page.
        """
        for found in self.versions(log):
            if tags.items() <= found.tags.items():
                return found.version
        about = "Decisions about a model, append-only; `incumbent history` shows them."
        with self.errors(f"write to {log}"):
            if not self._exists(log):
                self._create(log, about)
            made = self.client.create_model_version(
                log,
                f"runs:/{run_id}/{folder}" if run_id else "incumbent:/ledger",
                run_id,
                tags=dict(tags),
                description=text,
            )
        return int(made.version)

    @repeatable
    def delete(self, version: Version) -> None:
        """Delete a version; its files stay. That it is gone already is no error."""
        from mlflow.exceptions import MlflowException

        with self.errors(f"delete version {version.version} of {version.name}"):
            try:
                self.client.delete_model_version(version.name, str(version.version))
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise

    def _delete_unregistered(self, run: Run) -> None:
        """Delete the models that the run logged in tries before, whose registration failed."""
        query = f"source_run_id = '{run.run_id}'"
        experiment = self.client.get_run(run.run_id).info.experiment_id
        for model in self.client.search_logged_models([experiment], query):
            if not self.client.search_model_versions(f"source_path = '{model.model_uri}'"):
                self.client.delete_logged_model(model.model_id)

    def _exists(self, model_name: str) -> bool:
        return bool(self.client.search_registered_models(f"name = '{model_name}'"))

    def _create(self, model_name: str, description: str | None = None) -> None:
        """Make a registered model; that another run was quicker is no error."""
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(model_name, description=description)
        except MlflowException:
            if not self._exists(model_name):
                raise


def _requirements(predictor: Path) -> list[str]:
    onnx = (predictor / ONNX).is_file()
    names = (*_REQUIREMENTS, *_ONNX_REQUIREMENTS) if onnx else _REQUIREMENTS
    return [f"{name}=={metadata.version(name)}" for name in names]
