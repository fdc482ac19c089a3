"""Environment variables and loggers, as they must be before heavy libraries are imported."""

from __future__ import annotations

import contextlib
import gc
import getpass
import logging
import os
import warnings
from collections.abc import Iterator

from incumbent.runtime import server_login

_SETTINGS = {
    # ktrain runs on Keras 2 only, and TensorFlow picks the Keras at its first import.
    "TF_USE_LEGACY_KERAS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",
    # Importing ktrain turns interactive plotting on.
    "MPLBACKEND": "Agg",
    "TOKENIZERS_PARALLELISM": "true",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    # No library reports usage.
    "DO_NOT_TRACK": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",  # read as onnxruntime is imported
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # MLflow measures artifacts with tqdm bars of its own, prints links at the end of each run, and
    # checks requirements at each load.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_SKIP_PIP_REQUIREMENTS_CHECK": "true",
    # MLflow would make a request again whose answer was lost, and register a model twice;
    # `tracking.mlflow_connection` waits and makes sure instead.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    # Prefect's client waits 2, 4, 8 ... seconds: 8 tries outlast a server that is away for minutes.
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    # A run that is killed while a server restarts gives its slots back all the same.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    # A first ephemeral server makes its database, which takes longer than the 20 s it is given.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
}


def user() -> str:
    """Who runs this: the account's name, or its number where it has none (as in a container)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Import heavy libraries without looking for garbage, which takes a quarter of the time.

    What was imported stays, so that later collections need not look at it either.
    """
    if not gc.isenabled():  # within another such context
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def quiet() -> None:
    """Show no library's warnings: they speak to its developers, not to who runs a retraining."""
    warnings.simplefilter("ignore")


def prepare() -> None:
    """Set what is not set yet, and raise the level of chatty loggers.

    Safe to call again; whatever the owner has set in the environment stays, but for a login in the
    address of a server: see `server_login`.

    Raises:
        ConfigError: if INCUMBENT_AUTH is no login.
    """
    if not os.environ.get("PREFECT_API_URL"):  # Prefect takes an empty one for a server's address
        os.environ.pop("PREFECT_API_URL", None)
    server_login.prepare(os.environ)
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    for name in (
        "absl",
        "alembic",
        "great_expectations",
        "h5py",
        "mlflow",
        "tensorflow",
        "tf_keras",
        "transformers",
    ):
        logging.getLogger(name).setLevel(logging.ERROR)
    # It logs a traceback of each error of the database, and raises the error, which we tell.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
