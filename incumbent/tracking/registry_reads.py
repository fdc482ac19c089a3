"""Read the MLflow registry: versions, aliases, tags, and the names of models.

The version that a retraining made is found again by its tag `incumbent.run_digest`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from incumbent.errors import ConfigError
from incumbent.tracking.mlflow_connection import Store, repeatable
from incumbent.tracking.mlflow_runs import RUN_DIGEST

CHAMPION = "champion"
CHALLENGER = "challenger"
MODEL_DIGEST = "incumbent.model_digest"
"""Tag of a version: `model_integrity.model_digest` of its files."""
# Between probabilities. Another processor may round otherwise; on one machine the gap is 0.
_TOLERANCE = {"int8": 0.01}
_EXACT = 1e-4
LEDGER = ".ledger"
"""How the names of registered models end that are logs of decisions: see `title.ledger`."""


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

    @property
    def tolerance(self) -> float:
        """By how much a probability may differ from the one measured, on another processor."""
        return _TOLERANCE.get(self.tags.get("incumbent.precision", ""), _EXACT)


class Versions(Store):
    """The versions of the registered models of an MLflow store: finding them changes nothing."""

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

    @repeatable
    def bearer(self, model_name: str, alias: str) -> Version | None:
        """The version that bears an alias, or None: one question, where `by_alias` lists all."""
        from mlflow.exceptions import MlflowException

        with self.errors(f"find @{alias} of {model_name}"):
            try:
                return _version(self.client.get_model_version_by_alias(model_name, alias))
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                return None

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
    def model_tags(self, model_name: str) -> dict[str, str]:
        """The tags of a registered model."""
        with self.errors(f"find {model_name}"):
            return dict(self.client.get_registered_model(model_name).tags)


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
