"""The MLflow store: its address, whether it answers, and how calls to it are retried."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from incumbent.config import TrackingConfig
from incumbent.errors import RegistryError, StoreAway
from incumbent.runtime import environment, failure_explanations
from incumbent.runtime.backoff import Backoff
from incumbent.runtime.server_login import AUTH
from incumbent.runtime.url_secrets import public

if TYPE_CHECKING:
    from mlflow import MlflowClient

_DEFAULT_STORE = Path("mlruns") / "mlflow.db"
_SQLITE = "sqlite:///"
_ANSWER = 10  # seconds that a server may take to say that it is there


_P = ParamSpec("_P")
_S = TypeVar("_S", bound="Store")
_T = TypeVar("_T")

_answered: set[str] = set()  # stores that this process has reached: only these are waited for


def repeatable(method: Callable[Concatenate[_S, _P], _T]) -> Callable[Concatenate[_S, _P], _T]:
    """Have a method of a store made again, as a whole, while the store is away.

    It must come to the same when a try before was made and only its answer lost. Within another
    such method the outer one is made again.
    """

    @functools.wraps(method)
    def patient(self: _S, /, *arguments: _P.args, **named: _P.kwargs) -> _T:
        if self.waiting:
            return method(self, *arguments, **named)
        self.waiting = True
        try:
            while True:
                try:
                    result = method(self, *arguments, **named)
                except StoreAway as error:
                    if not self.backoff.wait(str(error)):
                        if not self.backoff.seconds:
                            raise
                        raise StoreAway(
                            f"{error} Waited {self.backoff.seconds:g} s for it "
                            "(tracking.patience). Run again when it answers: what is done stays."
                        ) from error
                else:
                    self.backoff.answered()
                    return result
        finally:
            self.waiting = False

    return patient


class Store:
    """One MLflow store: at `uri`, by `MLFLOW_TRACKING_URI`, or under `mlruns/` here.

    The first time in a process that a server is opened, it must answer at once; later it is waited
    for.

    Attributes:
        backoff: How long a server that is away is waited for.
        waiting: Whether a method is being made that will be made again if the store is away.

    Raises:
        RegistryError: if it does not answer, or refuses.
    """

    def __init__(self, tracking: TrackingConfig | None = None, uri: str | None = None) -> None:
        environment.prepare()
        self.tracking = tracking or TrackingConfig()
        self.uri = _whole(uri or os.environ.get("MLFLOW_TRACKING_URI") or "") or _local_store()
        known = self.uri in _answered
        self.backoff = Backoff(f"MLflow at {self.shown}", self.tracking.patience if known else 0)
        self.waiting = False
        self._open()
        self.backoff.seconds = self.tracking.patience
        _answered.add(self.uri)

    @repeatable
    def _open(self) -> None:
        if self.uri.startswith("http"):
            _reach(self.shown)
        with environment.importing():
            import mlflow
        with self.errors("open the store"):
            environment.prepare()  # importing MLflow turns its loggers on
            mlflow.set_tracking_uri(self.uri)
            registry = os.environ.get("MLFLOW_REGISTRY_URI") or self.uri
            self.client: MlflowClient = mlflow.MlflowClient(self.uri, registry)
            self.client.search_experiments(max_results=1)

    @property
    def shown(self) -> str:
        """The address as it may be shown and recorded: without a password."""
        return public(self.uri)

    @contextmanager
    def errors(self, action: str) -> Iterator[None]:
        """Say in one sentence what MLflow refused, instead of its traceback.

        Raises:
            StoreAway: if the same may succeed in a while.
            RegistryError: if not.
        """
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError, OSError) as error:
            if getattr(error, "error_code", "") == "UNAUTHENTICATED":
                raise RegistryError(
                    f"MLflow at {self.shown} asks for a login, and was given none or another: set "
                    f"{AUTH} to its user:password, or MLFLOW_TRACKING_USERNAME and "
                    "MLFLOW_TRACKING_PASSWORD."
                ) from None
            kind = StoreAway if failure_explanations.passes(error) else RegistryError
            raise kind(
                f"MLflow at {self.shown} could not {action}: {failure_explanations.reason(error)}"
            ) from error

    @staticmethod
    def put(write: Callable[..., object], *arguments: object) -> None:
        """Make a write that sets a value, and once more if it is refused.

        MLflow looks whether the row is there and then inserts or updates it. Of two that set the
        same tag at the same time one fails; the second time it finds the row.
        """
        from mlflow.exceptions import MlflowException

        try:
            write(*arguments)
        except MlflowException as error:
            if failure_explanations.passes(error):
                raise
            write(*arguments)

    @staticmethod
    def pages(search: Callable[..., Any], query: str | None = None) -> list[Any]:
        """All that a search finds; MLflow gives it by pages."""
        found: list[Any] = []
        token = None
        while True:
            page = search(query, page_token=token)
            found += page
            token = page.token
            if not token:
                return found


def _whole(uri: str) -> str:
    """An address whose file is named from the root: from another folder it would be another one."""
    path = uri.removeprefix(_SQLITE)
    if path == uri or not path or path.startswith(("/", ":", "file:")):
        return uri
    return f"{_SQLITE}{Path(path).resolve()}"


def _local_store() -> str:
    """The address of the store under the working directory, made if need be."""
    try:
        _DEFAULT_STORE.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RegistryError(
            f"The folder {_DEFAULT_STORE.parent.resolve()} for the MLflow store cannot be made: "
            f"{error.strerror}. Run in a folder you may write to, or set MLFLOW_TRACKING_URI."
        ) from None
    return f"{_SQLITE}{_DEFAULT_STORE.resolve()}"


def _reach(address: str) -> None:
    """See at once whether a server answers: MLflow's own client tries for minutes, in silence.

    Raises:
        StoreAway: if it does not.
    """
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(f"{address.rstrip('/')}/health", timeout=_ANSWER):  # noqa: S310  http only
            pass
    except HTTPError:
        pass  # it answers; whether it lets us in is MLflow's to say
    except (URLError, OSError, ValueError) as error:
        raise StoreAway(
            f"No MLflow server answers at {address} ({error}). Start it, or correct "
            "MLFLOW_TRACKING_URI; without it the store is mlruns/mlflow.db."
        ) from None
