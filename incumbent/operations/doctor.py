"""Check this machine: what works, what doesn't, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from incumbent.errors import IncumbentError
from incumbent.runtime import environment

_NEEDED_FREE = 5 * 2**30  # bytes; a run with the bundled weights leaves about 0.5 GiB


class Finding(BaseModel):
    """One thing that was looked at."""

    model_config = ConfigDict(frozen=True)

    name: str
    ok: bool
    message: str


def examine() -> list[Finding]:
    """Look at everything a retraining needs."""
    environment.prepare()
    checks: dict[str, Callable[[], tuple[bool, str]]] = {
        "python": _python,
        "libraries": _libraries,
        "weights": _weights,
        "embedded reviews": _reviews,
        "device": _device,
        "disk": _disk,
        "mlflow": _mlflow,
        "prefect": _prefect,
    }
    return [_finding(name, check) for name, check in checks.items()]


def _finding(name: str, check: Callable[[], tuple[bool, str]]) -> Finding:
    try:
        ok, message = check()
    except (IncumbentError, ImportError, OSError) as error:
        ok, message = False, str(error)
    return Finding(name=name, ok=ok, message=message)


def _python() -> tuple[bool, str]:
    version = platform.python_version()
    if sys.version_info[:2] in ((3, 11), (3, 12), (3, 13)):
        return True, f"Python {version}"
    return False, f"Python {version}; 3.11, 3.12 or 3.13 is needed: remove .venv, run `make setup`"


def _libraries() -> tuple[bool, str]:
    """The limits that pyproject.toml sets beyond what the libraries declare themselves."""
    from packaging.requirements import Requirement

    wrong = []
    for line in importlib.metadata.requires("incumbent") or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = importlib.metadata.version(requirement.name)
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found} (needs {requirement.specifier})")
    if wrong:
        return False, f"{'; '.join(wrong)}: run `make setup`"
    names = ("ktrain", "tensorflow", "prefect", "mlflow", "great-expectations")
    return True, ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def _weights() -> tuple[bool, str]:
    from incumbent.encoders import pretrained_weights

    folder = pretrained_weights.resolve(pretrained_weights.BUNDLED)
    return True, f"bundled MiniLM, SHA-256 verified, in {folder}"


def _reviews() -> tuple[bool, str]:
    import tempfile

    from incumbent.data import embedded_reviews

    with tempfile.TemporaryDirectory() as folder:
        train, test = embedded_reviews.write(Path(folder))
        sizes = f"{(train.stat().st_size + test.stat().st_size) / 2**20:.1f} MiB"
    return True, f"packaged, {sizes} as workbooks"


def _device() -> tuple[bool, str]:
    from incumbent.kernels import ktrain_import
    from incumbent.training import devices

    ktrain_import.load()
    return True, devices.prepare()


def _disk() -> tuple[bool, str]:
    here = Path.cwd()
    free = shutil.disk_usage(here).free
    message = f"{free / 2**30:.1f} GiB free in {here}"
    if not os.access(here, os.W_OK):
        return False, f"{here} cannot be written to: run in a folder of your own"
    if free < _NEEDED_FREE:
        return False, f"{message}; keep {_NEEDED_FREE / 2**30:.0f} GiB free"
    return True, message


def _mlflow() -> tuple[bool, str]:
    from incumbent.tracking.registry_writes import Registry

    return True, f"answers at {Registry().shown}"


def _prefect() -> tuple[bool, str]:
    from incumbent.servers import temporary_prefect_server

    address = temporary_prefect_server.reach()
    if address is None:
        return True, "no PREFECT_API_URL: each run starts a server of its own"
    return True, f"answers at {address}"
