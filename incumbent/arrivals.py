"""A watched place: which files in it are new and complete, and what became of those before.

What is known of a place is one small file under the working folder, replaced as a whole. A file
counts as new until it is known by its contents, so that one that was refused is not looked into
again before it changes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

import fsspec
from pydantic import BaseModel, ValidationError

from incumbent import addresses, datasets, expectations, files, storage
from incumbent.config import Config
from incumbent.encoding import write_atomically
from incumbent.errors import DataError, StageError

_BLOCK = 1 << 20  # bytes that are hashed at once
# Checks that one file of several need not pass.
_OF_THE_WHOLE = ("rows", "one_class", "classes", "class_rows")


class Seen(BaseModel, frozen=True):
    """A file that was looked into."""

    signature: str
    """What a listing says of it: its size, and when it changed."""
    digest: str
    """SHA-256 of its contents."""
    refused: str = ""
    """Why it cannot be trained on; empty if it can."""


class Watched(BaseModel, frozen=True):
    """What is known of a watched place."""

    place: str
    files: dict[str, Seen] = {}
    """By name."""
    handed_over: tuple[str, ...] = ()
    """The digests of the files that the last run was started for, sorted."""
    run_id: str = ""
    """That run."""
    attempts: int = 0
    """How often a run was started for just these files."""

    @property
    def accepted(self) -> list[str]:
        """The names of the files that can be trained on, sorted."""
        return sorted(name for name, seen in self.files.items() if not seen.refused)

    @property
    def digests(self) -> tuple[str, ...]:
        """Those of the accepted files, sorted."""
        return tuple(sorted(self.files[name].digest for name in self.accepted))

    @property
    def new(self) -> bool:
        """Whether an accepted file is one that no run was started for."""
        return not set(self.digests) <= set(self.handed_over)


def load(place: str, workdir: Path) -> Watched:
    """What is known of a place; nothing, at first."""
    try:
        return Watched.model_validate_json(_file(place, workdir).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return Watched(place=addresses.public(place))


def save(watched: Watched, place: str, workdir: Path) -> None:
    """Keep what is known of a place.

    Raises:
        StageError: if it cannot be written.
    """
    path = _file(place, workdir)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, watched.model_dump_json(indent=1))
    except OSError as error:
        raise StageError(
            f"What was seen in {watched.place} cannot be written to {path}: {error.strerror}. "
            "Free it, or set tracking.workdir to a folder you may write to."
        ) from None


def _file(place: str, workdir: Path) -> Path:
    return workdir / "watched" / f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"


def complete(place: str, watched: Watched, seconds: float) -> tuple[Watched, dict[str, str]] | None:
    """The files that are new or changed, and are not being written.

    A file that stays as it is for so many seconds is complete. None is waited for if none is new.

    Returns:
        What is known of the files that are still there, and the signature of each new one by its
        name; None if there is no such place.

    Raises:
        DataError: if the place cannot be looked into.
    """
    found = _listing(place)
    if found is None:
        return None
    kept = {name: seen for name, seen in watched.files.items() if name in found}
    new = {
        name: signature
        for name, signature in found.items()
        if name not in kept or kept[name].signature != signature
    }
    if new:
        time.sleep(seconds)
        again = _listing(place) or {}
        new = {name: sign for name, sign in new.items() if again.get(name) == sign}
    return watched.model_copy(update={"files": kept}), new


def _listing(place: str) -> dict[str, str] | None:
    found = storage.files_in(place.rstrip("/") or "/")
    if found is None:
        return None
    return {name: signature for name, signature in found.items() if files.finished(name)}


def address(place: str, name: str) -> str:
    """Where a file of the place is."""
    return f"{place.rstrip('/')}/{name}"


def inspect(place: str, name: str, signature: str, before: Seen | None, config: Config) -> Seen:
    """Look into a file: whether it can be trained on.

    One whose contents were seen before, under this name, is not read again.
    """
    source = address(place, name)
    try:
        with fsspec.open(source, "rb") as file:
            state = hashlib.sha256()
            while block := file.read(_BLOCK):
                state.update(block)
    except Exception as error:  # noqa: BLE001 - every filesystem raises errors of its own
        reason = f"{addresses.public(source)} could not be read: {type(error).__name__}"
        return Seen(signature=signature, digest="", refused=f"{reason}. Is it ours to read?")
    digest = state.hexdigest()
    if before is not None and before.digest == digest:
        return before.model_copy(update={"signature": signature})
    return Seen(signature=signature, digest=digest, refused=refusal(source, config))


def refusal(source: str, config: Config) -> str:
    """Why a file cannot be added to the training data; empty if it can.

    It must satisfy what `validation` asks of rows, and hold no test text; how many rows there
    must be, of each class too, is asked of the training data as a whole.
    """
    workdir = Path(config.tracking.workdir)
    data = config.data.model_copy(update={"train": source, "sample": None})
    try:
        dataset = datasets.ingest(data, workdir)
        folder = workdir / "arrivals" / dataset.digest[:16]
        verdict = expectations.validate(dataset, config.validation, folder)
    except DataError as error:
        return str(error)
    own = tuple(
        finding
        for finding in verdict.findings
        if finding.name == "leak"
        or (finding.split == "train" and finding.name not in _OF_THE_WHOLE)
    )
    return verdict.model_copy(update={"findings": own}).refusal()


def config_with(
    config: Config, place: str, watched: Watched, given: Mapping[str, object]
) -> dict[str, object]:
    """The config of a run that trains on the accepted files too.

    Args:
        config: That of the deployment; it may name the place itself, as a folder.
        place: The watched place.
        watched: What is known of it.
        given: The deployment's config as it was written.
    """
    data = config.data
    own = (data.train,) if isinstance(data.train, str) else data.train
    others = [entry for entry in own if entry.rstrip("/") != place.rstrip("/")]
    train = [*others, *(address(place, name) for name in watched.accepted)]
    return {**given, "data": {**data.model_dump(mode="json"), "train": train}}
