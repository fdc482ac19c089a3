"""Model versions in the MLflow registry.

A retraining's model becomes a version of the registered model, found again by the tag
`incumbent.run_digest`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from incumbent import integrity
from incumbent.errors import ConfigError
from incumbent.predictor import ONNX
from incumbent.runs import RUN_DIGEST, Run
from incumbent.store import Store, repeatable

if TYPE_CHECKING:
    import pandas as pd

CHAMPION = "champion"
CHALLENGER = "challenger"
MODEL_DIGEST = "incumbent.model_digest"
"""Tag of a version: `integrity.model_digest` of its files."""
LEDGER = ".ledger"
"""How the names of registered models end that are logs of decisions: see `ledger`."""
# What a consumer needs; versions are those of this installation.
_REQUIREMENTS = ("mlflow", "numpy", "pandas")
_ONNX_REQUIREMENTS = ("onnxruntime", "tokenizers")


class Version(BaseModel):
    """A version of a registered model."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    run_id: str | None
    source: str
    created: float
    """Seconds since 1970."""
    aliases: tuple[str, ...]
    tags: dict[str, str]

    @property
    def uri(self) -> str:
        """The address under which MLflow loads it."""
        return f"models:/{self.name}/{self.version}"

    @property
    def predictor_digest(self) -> str:
        """Digest of the predictor's files as they were registered; empty if none is on record."""
        return self.tags.get("incumbent.predictor_digest", "")

    @property
    def model_digest(self) -> str:
        """Digest of all files as they were registered; empty if none is on record."""
        return self.tags.get(MODEL_DIGEST, "")


class Registry(Store):
    """The registered models of an MLflow store."""

    @repeatable
    def register(
        self, run: Run, model_name: str, predictor: Path, example: pd.DataFrame,
        output: pd.DataFrame, tags: Mapping[str, str], description: str,
    ) -> Version:  # fmt: skip
        """Log a predictor folder as the run's pyfunc model, and register it as a version.

        A version with the same `incumbent.run_digest` is returned instead of a second one. The
        new version gets the alias `challenger`.

        Args:
            run: The run that trained it.
            model_name: The registered model.
            predictor: The folder that `incumbent.predictor` loads.
            example: A few inputs, one column of texts.
            output: What the model answers to them.
            tags: Tags of the version.
            description: What people read on the version's page.
        """
        known = self.find(model_name, tags[RUN_DIGEST])
        if known is not None:
            self.set_alias(known, CHALLENGER)
            return known
        import mlflow
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, Schema, TensorSpec

        from incumbent import predictor as served

        columns: list[ColSpec | TensorSpec] = [ColSpec("string", "label")]
        columns += [ColSpec("double", name) for name in output.columns[1:]]
        # The input has no name, so that a list, a Series and a frame are all taken.
        signature = ModelSignature(Schema([ColSpec("string")]), Schema(columns))
        with self.errors("register the model"):
            self._delete_unregistered(run)
            with mlflow.start_run(run_id=run.run_id):
                logged = mlflow.pyfunc.log_model(
                    name="model",
                    python_model=served.__file__,
                    artifacts={"predictor": str(predictor)},
                    signature=signature,
                    input_example=example.iloc[:, 0].tolist(),
                    pip_requirements=_requirements(predictor),
                    # For consumers who load it without incumbent: it looks at its own files.
                    model_config={served.DIGEST: served.folder_digest(predictor)},
                )
            # Leaving the context ended the run, and the decision is still to come.
            self.client.update_run(run.run_id, "RUNNING")
            if not self._exists(model_name):
                self._create(model_name)
            with integrity.copied(logged.model_uri, "", "") as folder:
                digest = integrity.model_digest(folder)
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
    def find(self, model_name: str, run_digest: str) -> Version | None:
        """The version that a run of this digest registered, if any; the first, if several."""
        with self.errors("search the registry"):
            found = self.client.search_model_versions(
                f"name = '{model_name}' and tags.`{RUN_DIGEST}` = '{run_digest}'"
            )
        numbers = [int(version.version) for version in found]
        return self.version(model_name, min(numbers)) if numbers else None

    @repeatable
    def registered(self, source: str) -> bool:
        """Whether any version is of this logged model."""
        with self.errors("search the registry"):
            return bool(self.client.search_model_versions(f"source_path = '{source}'"))

    @repeatable
    def version(self, model_name: str, number: int) -> Version:
        """One version, with its aliases.

        Raises:
            RegistryError: if there is none.
        """
        with self.errors(f"find version {number} of {model_name}"):
            return _version(self.client.get_model_version(model_name, str(number)))

    def by_alias(self, model_name: str, alias: str) -> Version | None:
        """The version that bears an alias, or None."""
        for version in self.versions(model_name):
            if alias in version.aliases:
                return version
        return None

    def aliased(self, model_name: str, alias: str) -> Version:
        """The version that bears an alias.

        Raises:
            ConfigError: if there is no such model, or none of its versions bears it.
        """
        found = self.by_alias(self.known(model_name), alias)
        if found is None:
            there = sorted({a for other in self.versions(model_name) for a in other.aliases})
            raise ConfigError(
                f"No version of {model_name!r} has the alias {alias!r}. "
                + (f"Try --alias {' or '.join(there)}." if there else "None has any.")
            )
        return found

    def known(self, model_name: str) -> str:
        """The name of a registered model, if there is one.

        Raises:
            ConfigError: if not.
        """
        names = self.names()
        if model_name in names:
            return model_name
        raise ConfigError(
            f"No model {model_name!r} is registered at {self.shown}; there are "
            f"{', '.join(names) or 'none yet'}."
        )

    @repeatable
    def versions(self, model_name: str) -> list[Version]:
        """All versions of a model, the newest first; none if there is no such model."""
        with self.errors("list the versions"):
            names = self.client.search_registered_models(f"name = '{model_name}'")
            if not names:
                return []
            found = self.pages(self.client.search_model_versions, f"name = '{model_name}'")
            aliases: dict[int, list[str]] = {}
            for alias, number in names[0].aliases.items():
                aliases.setdefault(int(number), []).append(alias)
        made = [_version(v, aliases.get(int(v.version), [])) for v in found]
        return sorted(made, key=lambda version: version.version, reverse=True)

    @repeatable
    def names(self) -> list[str]:
        """The names of all registered models, ledgers left out."""
        with self.errors("list the models"):
            found = self.pages(self.client.search_registered_models)
            return sorted(model.name for model in found if not model.name.endswith(LEDGER))

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
    def model_tags(self, model_name: str) -> dict[str, str]:
        """The tags of a registered model."""
        with self.errors(f"find {model_name}"):
            return dict(self.client.get_registered_model(model_name).tags)

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


def _version(found: Any, aliases: Sequence[str] | None = None) -> Version:
    return Version(
        name=found.name,
        version=int(found.version),  # int from a database, str over HTTP
        run_id=found.run_id or None,
        source=found.source,
        created=found.creation_timestamp / 1000,
        aliases=tuple(sorted(found.aliases if aliases is None else aliases)),
        tags=dict(found.tags),
    )


def _requirements(predictor: Path) -> list[str]:
    onnx = (predictor / ONNX).is_file()
    names = (*_REQUIREMENTS, *_ONNX_REQUIREMENTS) if onnx else _REQUIREMENTS
    return [f"{name}=={metadata.version(name)}" for name in names]
