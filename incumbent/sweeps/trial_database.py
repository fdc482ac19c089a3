"""Where trials are kept: Optuna's tables in a SQLite file or a schema of a PostgreSQL database."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from incumbent.errors import ConfigError, StageError
from incumbent.runtime import environment, failure_explanations
from incumbent.runtime.url_secrets import public

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

HEARTBEAT, GRACE = 10, 60
"""Seconds between heartbeats, and without one until a trial's worker is taken for dead."""
SCHEMA = "incumbent_sweeps"
"""In PostgreSQL: Optuna's tables beside MLflow's would share their table of versions."""
_FILE = "sweeps.db"
_LOCKED = 60  # seconds for which a SQLite file that another worker writes to is waited for
_TRIES, _PAUSE = 4, 1.0  # to open it, and seconds between them
_SQLITE, _POSTGRESQL = "sqlite:///", ("postgresql://", "postgresql+psycopg://")


def address(storage: str, store: str, workdir: Path) -> str:
    """The address of the database.

    Args:
        storage: The one that was asked for, or "".
        store: That of the MLflow store, beside which it is by default.
        workdir: Where it is if that is a server.

    Raises:
        ConfigError: if it is neither SQLite nor PostgreSQL.
    """
    if not storage:
        if store.startswith(_SQLITE):
            storage = f"{_SQLITE}{Path(store.removeprefix(_SQLITE)).parent / _FILE}"
        elif store.startswith(_POSTGRESQL):
            storage = store
        else:
            storage = f"{_SQLITE}{(workdir / _FILE).resolve()}"
    check(storage)
    if storage == store and storage.startswith(_SQLITE):
        raise ConfigError(
            f"--storage names the file of the MLflow store ({public(storage)}); trials want one of "
            "their own: name another file, or leave --storage out."
        )
    return storage


def check(storage: str) -> None:
    """See that an address is one of SQLite or PostgreSQL, or "".

    Raises:
        ConfigError: if it is not.
    """
    if storage and (not storage.startswith((_SQLITE, *_POSTGRESQL)) or storage == _SQLITE):
        raise ConfigError(
            f"--storage {public(storage)!r} is no database that trials can be kept in; "
            "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE is expected."
        )


def study(
    name: str,
    url: str,
    stale: Callable[[optuna.Study, FrozenTrial], None],
    unpruned: int,
) -> optuna.Study:
    """Open a study, or make it; the loss is to be least.

    Args:
        name: Its name.
        url: The database's address.
        stale: Told of each trial whose worker was taken for dead.
        unpruned: Trials that are to end before one is pruned.

    Raises:
        StageError: if the database cannot be opened.
    """
    with environment.importing():
        import optuna

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    arguments: dict[str, Any] = {"connect_args": {"timeout": _LOCKED}}
    if url.startswith(_POSTGRESQL):
        _make_schema(url)
        options = {"options": f"-csearch_path={SCHEMA}"}
        arguments = {"connect_args": options, "pool_pre_ping": True}
    else:
        Path(url.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)

    class Storage(optuna.storages.RDBStorage):
        def record_heartbeat(self, trial_id: int) -> None:
            try:
                super().record_heartbeat(trial_id)
            except failures():  # the database is away for a while; the next may reach it
                return

    def opened() -> optuna.Study:
        storage = Storage(
            url, arguments, heartbeat_interval=HEARTBEAT, grace_period=GRACE,
            heartbeat_stale_trial_callback=stale,
        )  # fmt: skip
        return optuna.create_study(
            storage=storage, study_name=name, direction="minimize", load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=unpruned),
        )  # fmt: skip

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # heartbeats are experimental
        for _ in range(_TRIES - 1):
            # Of workers that come first at the same time, all make the tables, and one succeeds.
            with contextlib.suppress(*failures()):
                return opened()
            time.sleep(_PAUSE)
        try:
            return opened()
        except RuntimeError as error:  # tables of another release
            raise StageError(f"The trials at {public(url)} cannot be used: {error}") from None


def sampler(seed: int, number: int) -> optuna.samplers.BaseSampler:
    """What chooses the values of a trial: TPE (Bergstra et al. 2011), by those before it.

    Trials that other workers run are taken for bad ones, so that not all search the same place.
    """
    import numpy as np
    import optuna

    (own,) = np.random.SeedSequence([seed, number]).generate_state(1)
    return optuna.samplers.TPESampler(seed=int(own), constant_liar=True)


def fail_stale(known: optuna.Study) -> None:
    """Fail trials whose heartbeat has stopped."""
    import optuna

    optuna.storages.fail_stale_trials(known)


def fail(known: optuna.Study, number: int) -> None:
    """Fail a trial that runs."""
    import optuna

    known.tell(number, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)


def queue(
    known: optuna.Study, trial: FrozenTrial, notes: dict[str, Any], system: dict[str, Any]
) -> None:
    """Have the values of a trial tried once more, by whoever comes first."""
    import optuna

    known.add_trial(
        optuna.create_trial(
            state=optuna.trial.TrialState.WAITING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs=notes,
            system_attrs=system,
        )
    )


def importances(known: optuna.Study) -> dict[str, float]:
    """How much each parameter matters, of 1 in all; empty if the trials are too few to say."""
    import optuna

    try:
        return dict(optuna.importance.get_param_importances(known))
    except (ValueError, RuntimeError):  # too few trials, or all alike
        return {}


def is_pruning(error: BaseException) -> bool:
    """Whether an exception is what ends a pruned trial."""
    import optuna

    return isinstance(error, optuna.TrialPruned)


def finished_elsewhere(error: BaseException) -> bool:
    """Whether a trial could not be written to, as another worker has failed it."""
    import optuna

    return isinstance(error, optuna.exceptions.UpdateFinishedTrialError)


def failures() -> tuple[type[Exception], ...]:
    """What is raised if the database does not answer, or refuses."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    return (optuna.exceptions.StorageInternalError, SQLAlchemyError)


def _make_schema(url: str) -> None:
    import sqlalchemy
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    try:
        engine = sqlalchemy.create_engine(url)
    except ImportError as error:
        raise StageError(
            f"{public(url)} wants a driver that is not installed ({error}): "
            "`.venv/bin/python -m pip install 'incumbent[postgresql]'`."
        ) from None
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    except (IntegrityError, ProgrammingError) as error:
        if isinstance(error, ProgrammingError):
            raise StageError(
                f"The schema {SCHEMA} at {public(url)} cannot be made: "
                f"{failure_explanations.reason(error)} Make it, or let this user do so."
            ) from None  # fmt: skip
        # Another worker was quicker.
    finally:
        engine.dispose()
