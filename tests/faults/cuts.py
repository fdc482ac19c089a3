"""Being killed just before a write to the MLflow store."""

from __future__ import annotations

import os
import signal
from typing import Any

_WRITES = ("create_", "set_", "log_", "update_", "finalize_", "delete_", "record_")


def die_at(write: int) -> None:
    """Have this process killed just before its so-many-th write to the store (0 is the first)."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

    done = 0

    def counted(method: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal done
            if done == write:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            return method(*arguments, **named)

        return call

    for store in (RegistryStore, TrackingStore):
        for name in dir(store):
            if name.startswith(_WRITES) and callable(getattr(store, name)):
                setattr(store, name, counted(getattr(store, name)))
