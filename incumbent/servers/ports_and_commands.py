"""Ports, commands, environment and databases of the servers that `incumbent up` runs.

Nothing here starts anything: these are the commands, the environment and the addresses.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from incumbent.errors import ConfigError, StageError
from incumbent.runtime import environment
from incumbent.runtime.server_login import AUTH, Login

FOLDER = Path(".incumbent") / "up"
"""Where logs, and what is known of the servers that run, are kept."""
POOL = "train"
"""The work pool that the worker polls, as deployments/prefect.yaml names it."""
TRAINING = "gpu"
"""The concurrency limit of trainings, which Prefect shows as that of a tag."""
PREFECT, MLFLOW, WORKER = PARTS = ("prefect", "mlflow", "worker")
"""In the order in which they are started; they are stopped in the reverse."""

_HOST = "127.0.0.1"
_AUTH_CONFIG = "mlflow-auth.ini"
_PORTS = {"INCUMBENT_PREFECT_PORT": 4200, "INCUMBENT_MLFLOW_PORT": 5000}
_DATABASE = "INCUMBENT_DATABASE_URL"
_TRAININGS = "INCUMBENT_TRAININGS"
# Both servers keep tables of the same name (alembic_version), so each has a schema of its own.
_SCHEMAS = {PREFECT: "prefect", MLFLOW: "mlflow"}
_FOR_POSTGRESQL = "like postgresql://user:password@host:5432/database"
# Addresses of other servers than these, which runs here must not follow.
_ELSEWHERE = (
    "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_REGISTRY_STORE_URI", "MLFLOW_DEFAULT_ARTIFACT_ROOT",
)  # fmt: skip


class Servers(BaseModel):
    """The servers of one project folder: their ports (0 to 65,535), database and login.

    `database` is the address of a PostgreSQL database for both, or None for SQLite files; `login`
    is what they ask of their clients, or None if they let everyone in. `trainings` is how many may
    train at a time, None to leave that as it was set: 1 at first.
    """

    model_config = ConfigDict(frozen=True)

    root: Path
    prefect_port: int
    mlflow_port: int
    database: SecretStr | None = None
    login: Login | None = None
    trainings: int | None = None

    @classmethod
    def of(cls, settings: Mapping[str, str], root: Path) -> Servers:
        """What the environment asks for.

        Raises:
            ConfigError: if a port, the database's address, the login or the number of trainings is
                none.
        """
        prefect_port, mlflow_port = (_port(settings, name) for name in _PORTS)
        if prefect_port == mlflow_port:
            raise ConfigError(
                f"Prefect and MLflow cannot share port {prefect_port}: set "
                f"{' or '.join(_PORTS)} to another."
            )
        address = settings.get(_DATABASE)
        if address and not address.startswith(("postgresql://", "postgres://")):
            raise ConfigError(
                f"{_DATABASE} is {address.partition('@')[2] or address!r}: an address of "
                f"PostgreSQL is expected, {_FOR_POSTGRESQL}; without it the servers use SQLite."
            )
        return cls(
            root=root, prefect_port=prefect_port, mlflow_port=mlflow_port,
            database=SecretStr(address) if address else None, login=Login.of(settings),
            trainings=_trainings(settings),
        )  # fmt: skip

    @property
    def folder(self) -> Path:
        """Where their logs are."""
        return self.root / FOLDER

    @property
    def prefect(self) -> str:
        """The address of the Prefect page; its API is below `/api`."""
        return f"http://{_HOST}:{self.prefect_port}"

    @property
    def mlflow(self) -> str:
        """The address of the MLflow page and its API."""
        return f"http://{_HOST}:{self.mlflow_port}"

    @property
    def clients(self) -> dict[str, str]:
        """What a command or a run needs in its environment to use these servers."""
        return {"PREFECT_API_URL": f"{self.prefect}/api", "MLFLOW_TRACKING_URI": self.mlflow}

    @property
    def ports(self) -> dict[str, int]:
        """The port of each server, by the variable that sets it."""
        return dict(zip(_PORTS, (self.prefect_port, self.mlflow_port), strict=True))

    def public(self) -> dict[str, str]:
        """What may be written down: the addresses and the user, without passwords."""
        from sqlalchemy.engine import make_url

        database = "SQLite"
        if self.database:
            database = make_url(self.database.get_secret_value()).render_as_string()
        login = self.login.user if self.login else "none"
        return {
            "prefect": self.prefect, "mlflow": self.mlflow, "database": database, "login": login,
        }  # fmt: skip

    def command(self, part: str) -> list[str]:
        """How a part is started."""
        python = [sys.executable, "-m"]
        if part == PREFECT:
            port = str(self.prefect_port)
            return [*python, "prefect", "server", "start", "--host", _HOST, "--port", port]
        if part == MLFLOW:
            port, artifacts = str(self.mlflow_port), self.root / "mlruns" / "artifacts"
            return [
                *python, "mlflow", "server", "--host", _HOST, "--port", port, "--workers", "1",
                # The store has files by their place, as in local runs: they can be loaded without
                # the server. To its clients the server names them as its own.
                "--default-artifact-root", artifacts.as_uri(),
                "--artifacts-destination", str(artifacts),
                "--app-name", "incumbent-login" if self.login else "incumbent",
            ]  # fmt: skip
        return [*python, "prefect", "worker", "start", "--pool", POOL, "--type", "process"]

    def environment(self) -> dict[str, str]:
        """The environment of all parts; secrets are handed on here, never on a command line."""
        environment.prepare()
        inherited = {k: v for k, v in os.environ.items() if k not in _ELSEWHERE}
        for name in (_DATABASE, AUTH):
            inherited.pop(name, None)
        return {
            **inherited,
            "PREFECT_UI_API_URL": f"{self.prefect}/api",
            # Its jobs are about language models' traces; they cost seven processes.
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "PYTHONUNBUFFERED": "1",
            **self.clients,
            **self._databases(),
            **self._logins(),
        }

    def _logins(self) -> dict[str, str]:
        if not self.login:
            return {}
        return {
            **self.login.of_clients,
            "PREFECT_SERVER_API_AUTH_STRING": self.login.text,
            "MLFLOW_AUTH_ADMIN_USERNAME": self.login.user,
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.login.password.get_secret_value(),
            "MLFLOW_AUTH_CONFIG_PATH": str(self.folder / _AUTH_CONFIG),
            # For MLflow's one form, of new users; one that is open must be loaded again after this.
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        }

    def _databases(self) -> dict[str, str]:
        if not self.database:
            return {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{self.root}/mlruns/mlflow.db"}
        from sqlalchemy.engine import make_url

        url = make_url(self.database.get_secret_value()).set(drivername="postgresql")
        of_mlflow = url.update_query_dict({"options": f"-csearch_path={_SCHEMAS[MLFLOW]}"})
        of_prefect = url.set(drivername="postgresql+asyncpg")
        if ssl := url.query.get("sslmode"):  # asyncpg's word for it
            of_prefect = of_prefect.difference_update_query(["sslmode"])
            of_prefect = of_prefect.update_query_dict({"ssl": ssl})
        return {
            "MLFLOW_BACKEND_STORE_URI": of_mlflow.render_as_string(hide_password=False),
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": of_prefect.render_as_string(
                hide_password=False
            ),
            # Its extension pg_trgm may be in `public` already.
            "PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_SEARCH_PATH": (
                f"{_SCHEMAS[PREFECT]},public"
            ),
        }

    def make_databases(self) -> None:
        """Make what the servers do not make themselves: folders, a schema for each, MLflow's users.

        Raises:
            ConfigError: if PostgreSQL's driver is missing.
            StageError: if the folder cannot be made, or PostgreSQL does not let us in.
        """
        try:
            (self.root / "mlruns").mkdir(exist_ok=True)
            if self.login:
                self._keep_users_private()
        except OSError as error:
            raise StageError(
                f"The folder {self.root / 'mlruns'} cannot be made: {error.strerror}. Run in "
                "a folder you may write to."
            ) from None
        if not self.database:
            return
        from sqlalchemy import create_engine
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.schema import CreateSchema

        url = make_url(self.database.get_secret_value()).set(drivername="postgresql")
        try:
            engine = create_engine(url, connect_args={"connect_timeout": 10})
            with engine.begin() as connection:
                for schema in _SCHEMAS.values():
                    connection.execute(CreateSchema(schema, if_not_exists=True))
            engine.dispose()
        except ImportError:
            raise ConfigError(
                f"{_DATABASE} wants PostgreSQL's driver, which is not installed: run "
                "`.venv/bin/python -m pip install 'psycopg[binary]'`."
            ) from None
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
            raise StageError(
                f"The database at {url.render_as_string()} of {_DATABASE} cannot be used: "
                f"{reason}. It has to exist and its user be allowed to make schemas in it."
            ) from None

    def _keep_users_private(self) -> None:
        """Say where MLflow keeps its users, with passwords as hashes, and close that to others."""
        self.users.touch(mode=0o600)
        self.users.chmod(0o600)
        (self.folder / _AUTH_CONFIG).write_text(
            f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{self.users}\n",
            encoding="utf-8",
        )

    @property
    def users(self) -> Path:
        """Where MLflow keeps its users and what they may do."""
        return self.root / "mlruns" / "users.db"


def _port(settings: Mapping[str, str], name: str) -> int:
    text = settings.get(name) or str(_PORTS[name])
    if text.isdigit() and 0 < int(text) < 2**16:
        return int(text)
    raise ConfigError(f"{name} is {text!r}; a port from 1 to 65535 is expected.")


def _trainings(settings: Mapping[str, str]) -> int | None:
    text = settings.get(_TRAININGS)
    if not text:
        return None
    if text.isdigit() and int(text) > 0:
        return int(text)
    raise ConfigError(
        f"{_TRAININGS} is {text!r}; expected is how many runs may train at a time, from 1."
    )
