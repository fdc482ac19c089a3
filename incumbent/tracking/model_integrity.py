"""Load a registered model only if its files are those that were registered.

Whoever can write where artifacts are kept could change a model, or the code that comes with it. So
the digest of all its files is a tag of the version, and is looked at before any of them is read.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from incumbent.errors import RegistryError
from incumbent.predictor import folder_digest

# What loading a model leaves beside its files: MLflow's note of its name, and compiled code.
_META = "registered_model_meta"
_COMPILED = "__pycache__"


def model_digest(folder: Path) -> str:
    """SHA-256 over the paths and contents of a logged model's files, in hex."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = file.relative_to(folder)
        if place.name == _META or _COMPILED in place.parts:
            continue
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{place.as_posix()}\n{content}\n".encode())
    return digest.hexdigest()


@contextmanager
def copied(uri: str, of_model: str, of_predictor: str) -> Iterator[Path]:
    """A copy of a registered model, seen to be what was registered; for as long as the context.

    Args:
        uri: Where MLflow has it.
        of_model: The `model_digest` on record; empty in versions of older releases.
        of_predictor: The `folder_digest` of its predictor on record, or nothing.

    Raises:
        RegistryError: if it is not what was registered. Nothing of it was loaded.
    """
    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory() as place:
        folder = Path(download_artifacts(uri, dst_path=place))
        for compiled in list(folder.rglob(_COMPILED)):  # is loaded instead of code, unseen
            shutil.rmtree(compiled)
        predictor = folder / "artifacts" / "predictor"
        if (of_model and model_digest(folder) != of_model) or (
            of_predictor and folder_digest(predictor) != of_predictor
        ):
            raise RegistryError("its files are not those that were registered")
        yield folder
