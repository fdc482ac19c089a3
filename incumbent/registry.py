"""Runs, model versions and decisions in MLflow; the only module that imports it to write.

A retraining is one MLflow run. Its model becomes a version of the registered model, found again
by the tag `incumbent.run_digest`. What was decided about a version stands in its tags, so that it
lives where the models live.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from incumbent import environment
from incumbent.config import TrackingConfig
from incumbent.errors import RegistryError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

CHAMPION = "champion"
CHALLENGER = "challenger"
_PREFIX = "incumbent."
_DEFAULT_STORE = Path("mlruns") / "mlflow.db"
# What a consumer needs to load the ktrain predictor; versions are those of this installation.
_REQUIREMENTS = (
    "mlflow", "ktrain", "tensorflow", "tf-keras", "transformers", "tokenizers", "safetensors",
    "keras-bert", "scikit-learn", "numpy", "pandas", "setuptools",
)  # fmt: skip
_PARAMETER_LENGTH = 6000  # characters, MLflow's limit
_ANSWER = 10  # seconds that a server may take to say that it is there
_DIGEST_LENGTH = 36  # characters, MLflow's limit


class Run(BaseModel):
    """An MLflow run: its id, the address at which people see it, and how it is tracked."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    url: str
    tracking: TrackingConfig


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

    def record(self) -> dict[str, Any] | None:
        """The decision about this version, if one was made."""
        text = self.tags.get(f"{_PREFIX}record")
        return json.loads(text) if text else None


class Registry:
    """One MLflow store, by `MLFLOW_TRACKING_URI` or under `mlruns/` in the working directory."""

    def __init__(self, tracking: TrackingConfig | None = None) -> None:
        environment.prepare()
        self.tracking = tracking or TrackingConfig()
        self.uri = os.environ.get("MLFLOW_TRACKING_URI") or _local_store()
        if self.uri.startswith("http"):
            _reach(self.uri)
        with self._errors("open the store"):
            import mlflow

            environment.prepare()  # importing MLflow turns its loggers on
            mlflow.set_tracking_uri(self.uri)
            registry = os.environ.get("MLFLOW_REGISTRY_URI") or self.uri
            self.client: MlflowClient = mlflow.MlflowClient(self.uri, registry)
            self.client.search_experiments(max_results=1)

    # Runs

    def start_run(self, model_name: str, tags: Mapping[str, str], run_name: str) -> Run:
        """Start the MLflow run of a retraining, or go on with the one of the same Prefect run."""
        with self._errors("start a run"):
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

    def log_params(self, run: Run, params: Mapping[str, Any]) -> None:
        """Log settings, cut to the length that MLflow takes."""
        from mlflow.entities import Param

        flat = [Param(k, str(v)[:_PARAMETER_LENGTH]) for k, v in params.items()]
        with self._errors("log parameters"):
            self.client.log_batch(run.run_id, params=flat)

    def log_metrics(self, run: Run, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log metrics at one step (training steps, or 0)."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        values = [Metric(k, float(v), now, step) for k, v in metrics.items()]
        with self._errors("log metrics"):
            self.client.log_batch(run.run_id, metrics=values)

    def log_files(self, run: Run, path: Path, folder: str = "") -> None:
        """Log a file, or a folder with all that is in it, as artifacts under `folder`."""
        with self._errors(f"log {path.name}"):
            if path.is_dir():
                self.client.log_artifacts(run.run_id, str(path), folder or None)
            else:
                self.client.log_artifact(run.run_id, str(path), folder or None)

    def log_table(self, run: Run, frame: pd.DataFrame, file: str) -> None:
        """Log a frame as a table that the MLflow page shows."""
        with self._errors(f"log {file}"):
            self.client.log_table(run.run_id, frame, file)

    def log_dataset(
        self, run: Run, frame: pd.DataFrame, *, source: str, name: str, digest: str, context: str
    ) -> None:
        """Log a frame with columns text and label as the run's dataset input."""
        from mlflow.data.code_dataset_source import CodeDatasetSource
        from mlflow.data.pandas_dataset import from_pandas
        from mlflow.entities import DatasetInput, InputTag

        with self._errors("log the dataset"):
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
        with self._errors("tag the run"):
            for key, value in tags.items():
                self.client.set_tag(run.run_id, key, value)

    def end_run(self, run: Run, status: str) -> None:
        """End a run as `FINISHED`, `FAILED` or `KILLED`."""
        with self._errors("end the run"):
            self.client.set_terminated(run.run_id, status)

    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run."""
        with self._errors("read the run"):
            return dict(self.client.get_run(run_id).data.metrics)

    # Versions

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
            predictor: The folder that `ktrain.load_predictor` opens.
            example: A few inputs, one column of texts.
            output: What the model answers to them.
            tags: Tags of the version.
            description: What people read on the version's page.
        """
        known = self.find(model_name, tags[f"{_PREFIX}run_digest"])
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
        with self._errors("register the model"):
            with mlflow.start_run(run_id=run.run_id):
                logged = mlflow.pyfunc.log_model(
                    name="model",
                    python_model=served.__file__,
                    artifacts={"predictor": str(predictor)},
                    signature=signature,
                    input_example=example.iloc[:, 0].tolist(),
                    pip_requirements=_requirements(),
                )
            # Leaving the context ended the run, and the decision is still to come.
            self.client.update_run(run.run_id, "RUNNING")
            if not self.client.search_registered_models(f"name = '{model_name}'"):
                self.client.create_registered_model(model_name)
            made = self.client.create_model_version(
                model_name, logged.model_uri, run.run_id, tags=dict(tags),
                description=description, model_id=logged.model_id,
            )  # fmt: skip
            self.client.set_registered_model_alias(model_name, CHALLENGER, str(made.version))
        return self.version(model_name, int(made.version))

    def find(self, model_name: str, run_digest: str) -> Version | None:
        """The version that a run of this digest registered, if any."""
        with self._errors("search the registry"):
            found = self.client.search_model_versions(
                f"name = '{model_name}' and tags.`{_PREFIX}run_digest` = '{run_digest}'"
            )
        return self.version(model_name, int(found[0].version)) if found else None

    def version(self, model_name: str, number: int) -> Version:
        """One version, with its aliases.

        Raises:
            RegistryError: if there is none.
        """
        with self._errors(f"find version {number} of {model_name}"):
            return _version(self.client.get_model_version(model_name, str(number)))

    def by_alias(self, model_name: str, alias: str) -> Version | None:
        """The version that bears an alias, or None."""
        for version in self.versions(model_name):
            if alias in version.aliases:
                return version
        return None

    def versions(self, model_name: str) -> list[Version]:
        """All versions of a model, the newest first; none if there is no such model."""
        with self._errors("list the versions"):
            names = self.client.search_registered_models(f"name = '{model_name}'")
            if not names:
                return []
            found = self._pages(self.client.search_model_versions, f"name = '{model_name}'")
            aliases: dict[int, list[str]] = {}
            for alias, number in names[0].aliases.items():
                aliases.setdefault(int(number), []).append(alias)
        made = [_version(v, aliases.get(int(v.version), [])) for v in found]
        return sorted(made, key=lambda version: version.version, reverse=True)

    def names(self) -> list[str]:
        """The names of all registered models."""
        with self._errors("list the models"):
            return sorted(model.name for model in self._pages(self.client.search_registered_models))

    def set_alias(self, version: Version, alias: str) -> None:
        """Give a version an alias, taking it from whichever had it."""
        with self._errors(f"set @{alias}"):
            self.client.set_registered_model_alias(version.name, alias, str(version.version))

    def record(self, version: Version, record: Mapping[str, Any]) -> None:
        """Write the decision about a version into its tags."""
        with self._errors("record the decision"):
            for key in ("decision", "reason"):
                self.client.set_model_version_tag(
                    version.name, str(version.version), f"{_PREFIX}{key}", str(record[key])
                )
            self.client.set_model_version_tag(
                version.name, str(version.version), f"{_PREFIX}record", json.dumps(record)
            )

    def settle(self, version: Version) -> None:
        """Mark that the decision about a version was carried out."""
        with self._errors("settle the decision"):
            self.client.set_model_version_tag(
                version.name, str(version.version), f"{_PREFIX}settled", "true"
            )

    def is_settled(self, version: Version) -> bool:
        """Whether the decision about a version was carried out."""
        return f"{_PREFIX}settled" in version.tags

    # Inner workings

    @staticmethod
    def _pages(search: Callable[..., Any], query: str | None = None) -> Iterator[Any]:
        """All that a search finds; MLflow gives it by pages."""
        token = None
        while True:
            page = search(query, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _experiment(self, name: str) -> str:
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
        return str(self.client.create_experiment(name, location or None, tags=kind))

    def _url(self, experiment: str, run_id: str) -> str:
        base = self.uri if self.uri.startswith("http") else self.tracking.mlflow_ui
        return f"{base.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}"

    @contextmanager
    def _errors(self, action: str) -> Iterator[None]:
        """Say in one sentence what MLflow refused, instead of its traceback."""
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise RegistryError(f"MLflow at {self.uri} could not {action}: {reason}") from error


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


def _local_store() -> str:
    """The address of the store under the working directory, made if need be."""
    try:
        _DEFAULT_STORE.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryError(
            f"The folder {_DEFAULT_STORE.parent.resolve()} for the MLflow store cannot be made: "
            f"{error.strerror}. Run in a folder you may write to, or set MLFLOW_TRACKING_URI."
        ) from None
    return f"sqlite:///{_DEFAULT_STORE.resolve()}"


def _reach(address: str) -> None:
    """See at once whether a server answers: MLflow's own client tries for minutes, in silence.

    Raises:
        RegistryError: if it does not.
    """
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(f"{address.rstrip('/')}/health", timeout=_ANSWER):  # noqa: S310  http only
            pass
    except HTTPError:
        pass  # it answers; whether it lets us in is MLflow's to say
    except (URLError, OSError, ValueError) as error:
        raise RegistryError(
            f"No MLflow server answers at {address} ({error}). Start it, or correct "
            "MLFLOW_TRACKING_URI; without it the store is mlruns/mlflow.db."
        ) from None


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


def _requirements() -> list[str]:
    return [f"{name}=={metadata.version(name)}" for name in _REQUIREMENTS]
