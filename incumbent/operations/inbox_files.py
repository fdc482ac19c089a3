"""The inbox: which files in it are new and complete, and what became of earlier ones.

What is known of a place is one small file under the working folder, replaced as a whole. A file
counts as new until it is known by its contents, so that one that was refused is not looked into
again before it changes. It is refused for its contents alone: what may pass, as a network that is
away does, and what is wrong elsewhere, as with the test set, leaves it new.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from incumbent import __version__, label_sets
from incumbent.config import Config, DataConfig
from incumbent.data import datasets, ingestion, label_spellings
from incumbent.data.datasets import Dataset
from incumbent.errors import DataError, StageError
from incumbent.runtime import failure_explanations, url_secrets
from incumbent.runtime.atomic_files import write_atomically
from incumbent.tables import fsspec_files, training_files
from incumbent.validation import great_expectations_runner
from incumbent.validation.check_base import count, quoted
from incumbent.validation.similar_labels import guessed
from incumbent.validation.validation_verdict import Finding

_BLOCK = 1 << 20  # bytes that are hashed at once
# Checks that one file of several need not pass.
_OF_THE_WHOLE = ("rows", "one_class", "classes", "class_rows")
_ROWS = 20  # how many rows with an unknown label are named
_TOLD_AGAIN = timedelta(days=1)


class Seen(BaseModel, frozen=True):
    """A file that was looked into."""

    signature: str
    """What a listing says of it: its size, and when it changed."""
    digest: str
    """SHA-256 of its contents."""
    rules: str = ""
    """By what it was judged: see `rules`."""
    refused: str = ""
    """Why it cannot be trained on; empty if it can."""
    labels: tuple[str, ...] = ()
    """Its labels, if it can be trained on."""
    unknown: tuple[str, ...] = ()
    """Its labels that nobody knew: it is looked into again once somebody may."""
    asked: str = ""
    """The state of what knows labels, when it was asked for those: see `_state_of_labels`."""

    @property
    def whole(self) -> bool:
        """Whether its labels are kept, if it was accepted; an earlier release kept none."""
        return bool(self.refused or self.labels)


class Watched(BaseModel, frozen=True):
    """What is known of a watched place."""

    place: str
    files: dict[str, Seen] = {}
    """By name."""
    labels: tuple[str, ...] = ()
    """The labels of all files that were ever accepted, sorted."""
    handed_over: tuple[str, ...] = ()
    """The digests of the files that the last run was started for, sorted."""
    run_id: str = ""
    """That run."""
    config: str = ""
    """The digest of the deployment's config that it was started with."""
    attempts: int = 0
    """How often a run was started for just these files with that config."""
    told: dict[str, datetime] = {}
    """When it was told of a file that it could not be looked into, by name."""

    @property
    def accepted(self) -> list[str]:
        """The names of the files that can be trained on, sorted."""
        return sorted(name for name, seen in self.files.items() if not seen.refused)

    @property
    def digests(self) -> tuple[str, ...]:
        """Those of the accepted files, sorted."""
        return tuple(sorted(self.files[name].digest for name in self.accepted))

    def with_file(self, name: str, seen: Seen) -> Watched:
        """The same, and what was found in one more file."""
        labels = self.labels if seen.refused else tuple(sorted({*self.labels, *seen.labels}))
        return self.model_copy(update={"files": {**self.files, name: seen}, "labels": labels})

    def without_file(self, name: str) -> Watched:
        """The same, as if a file had not been looked into."""
        files = {other: seen for other, seen in self.files.items() if other != name}
        return self.model_copy(update={"files": files})

    @property
    def new(self) -> bool:
        """Whether an accepted file is one that no run was started for."""
        return not set(self.digests) <= set(self.handed_over)


def load(place: str, workdir: Path) -> Watched:
    """What is known of a place; nothing, at first."""
    try:
        return Watched.model_validate_json(_file(place, workdir).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return Watched(place=url_secrets.public(place))


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


def rules(config: Config) -> str:
    """The digest of all in a config that a file is judged by.

    Another release may judge otherwise too.
    """
    data = config.data.model_copy(update={"train": "", "sample": None})
    by = f"{__version__} {data.model_dump_json()} {config.validation.model_dump_json()}"
    return hashlib.sha256(by.encode()).hexdigest()[:16]


def complete(
    place: str, watched: Watched, seconds: float, config: Config
) -> tuple[Watched, dict[str, str]] | None:
    """The files that are new, changed or judged by other rules, and are not being written.

    A file that stays as it is for so many seconds is complete. None is waited for if none is new.

    Returns:
        What is known of the files that are still there, and the signature of each new one by its
        name, in the order in which to look into them; None if there is no such place.

    Raises:
        DataError: if the place cannot be looked into.
    """
    found = _listing(place)
    if found is None:
        return None
    kept = {name: seen for name, seen in watched.files.items() if name in found}
    asked = rules(config)
    lacking = any(seen.unknown for seen in kept.values())
    state = _state_of_labels(watched, place, config) if lacking else ""
    new = {
        name: signature
        for name, signature in found.items()
        if name not in kept
        or not kept[name].whole
        or (kept[name].unknown and (not state or kept[name].asked != state))
        or (kept[name].signature, kept[name].rules) != (signature, asked)
    }
    if new:
        time.sleep(seconds)
        again = _listing(place) or {}
        new = {name: sign for name, sign in new.items() if again.get(name) == sign}
    # Those that were accepted come first: what others may be labelled is asked of them.
    first = sorted(new, key=lambda name: (name not in kept or bool(kept[name].refused), name))
    return watched.model_copy(update={"files": kept}), {name: new[name] for name in first}


def _listing(place: str) -> dict[str, str] | None:
    found = fsspec_files.files_in(place.rstrip("/") or "/")
    if found is None:
        return None
    return {name: signature for name, signature in found.items() if training_files.finished(name)}


def address(place: str, name: str) -> str:
    """Where a file of the place is."""
    return f"{place.rstrip('/')}/{name}"


def inspect(place: str, name: str, signature: str, watched: Watched, config: Config) -> Seen:
    """Look into a file: whether it can be trained on.

    One whose contents were judged before, under this name and by the same rules, is not read again.
    The labels of one that was accepted before, by whatever rules, are known.

    Raises:
        IncumbentError: if it cannot be looked into now, for a reason that is not in the file.
    """
    source, asked = address(place, name), rules(config)
    contents = hashlib.sha256()
    with fsspec_files.opened(source) as file:
        while block := file.read(_BLOCK):
            contents.update(block)
    digest = contents.hexdigest()
    before = watched.files.get(name)
    if before is not None and before.digest != digest:
        before = None
    state = _state_of_labels(watched, place, config)  # ahead of what it tells of
    trained = digest in watched.handed_over
    if before is not None and before.rules == asked:
        if before.whole and not before.unknown:
            return before.model_copy(update={"signature": signature})
        if before.whole and not trained and not _learned(before, watched, place, config):
            return before.model_copy(update={"signature": signature, "asked": state})
    accepted = trained or (before is not None and not before.refused)
    found = _judged(source, watched, place, config, accepted=accepted)
    return Seen(
        signature=signature, digest=digest, rules=asked, asked=state if found.unknown else "",
        **found._asdict(),
    )  # fmt: skip


def refusal(source: str, config: Config, place: str = "") -> str:
    """Why a file cannot be added to the training data; empty if it can.

    It must satisfy what `validation` asks of rows, and hold no test text; how many rows there
    must be, of each class too, is asked of the training data as a whole.

    Raises:
        DataError: if that cannot be told, as the file, the test set or the working folder cannot
            be had now.
    """
    return _judged(source, Watched(place=place), place, config).refused


class _Judged(NamedTuple):
    refused: str
    """Why a file cannot be added to the training data; empty if it can."""
    labels: tuple[str, ...] = ()
    """Its labels, if it can."""
    unknown: tuple[str, ...] = ()
    """Those that nobody knows."""


def _judged(
    source: str, watched: Watched, place: str, config: Config, *, accepted: bool = False
) -> _Judged:
    """Judge a file; if it was accepted before, its labels are known."""
    workdir = Path(config.tracking.workdir)
    data = config.data.model_copy(update={"train": source, "sample": None})
    failure = None
    try:
        dataset = ingestion.ingest(data, workdir, labels=config.validation.labels)
    except DataError as error:
        failure = error
    if failure:  # out of its handler, where it would be among the causes of what fails next
        if fault := _fault(source, data):
            return _Judged(fault)
        raise failure
    labels = [label for label in dataset.classes if label]
    known_before = {*watched.labels, *(labels if accepted else ())}
    unknown, known = _unknown(labels, {*dataset.test.labels, *known_before}, place, config)
    folder = workdir / "arrivals" / dataset.digest[:16]
    # Which classes are too rare is asked of the whole, too.
    rules = config.validation.model_copy(update={"on_rare_class": "off"})
    verdict = great_expectations_runner.validate(dataset, rules, folder)
    own = tuple(
        finding
        for finding in verdict.findings
        if finding.name == "leak"
        or (finding.split == "train" and finding.name not in _OF_THE_WHOLE)
    )
    if unknown:
        own = (_of_unknown(unknown, known, dataset), *own)
    refused = verdict.model_copy(update={"findings": own}).refusal()
    return _Judged(refused, () if refused else tuple(labels), tuple(unknown))


def _learned(before: Seen, watched: Watched, place: str, config: Config) -> bool:
    """Whether labels for which a file was refused have become known."""
    unknown, _ = _unknown(before.unknown, watched.labels, place, config)
    return len(unknown) < len(before.unknown)


def _state_of_labels(watched: Watched, place: str, config: Config) -> str:
    """What changes when more labels may be known; empty if that cannot be told."""
    try:
        files = [*training_files.expand(_others(place, config)), config.data.test]
    except DataError:
        return ""
    signs = [(file, fsspec_files.signature(file)) for file in files]
    if not all(sign for _, sign in signs):
        return ""
    return hashlib.sha256(f"{signs} {watched.labels}".encode()).hexdigest()[:16]


def _others(place: str, config: Config) -> tuple[str, ...]:
    """What `data.train` names beside a watched place."""
    train = config.data.train
    own = (train,) if isinstance(train, str) else train
    return tuple(entry for entry in own if entry.rstrip("/") != place.rstrip("/"))


def _unknown(
    labels: Collection[str], before: Collection[str], place: str, config: Config
) -> tuple[list[str], list[str]]:
    """Those of the labels of a file that nobody knows, and the labels that somebody does.

    These are what `validation.labels` names; or else those of the test set, of the training data
    and of files that were accepted before. The training data, which may be large, is only asked if
    the others do not know all of them.

    Args:
        labels: Of the file.
        before: Known ones, if `validation.labels` names none.
        place: The watched place.
        config: That of the deployment.

    Raises:
        DataError: if the training data cannot be read now.
    """
    data = config.data
    if data.label_names:  # the config names them
        return [], list(data.label_names)
    named = config.validation.labels
    known = {label for label in (named or before) if label}
    unknown = label_spellings.unknown(labels, known)
    others = _others(place, config)
    if unknown and others and named is None:
        whole = data.model_copy(update={"train": others, "sample": None})
        dataset = ingestion.ingest(whole, Path(config.tracking.workdir))
        known |= {*dataset.classes, *dataset.test.labels}
        unknown = label_spellings.unknown(labels, known)
    return unknown, sorted(known - {"", label_sets.NONE})


def _of_unknown(unknown: list[str], known: list[str], dataset: Dataset) -> Finding:
    """That a file has labels that nobody knows, with their rows."""
    rows: list[int] = []
    for part in datasets.parts(dataset.train, ["row", "label"]):
        has = part["label"].map(
            lambda text: (
                not set(unknown).isdisjoint(
                    label_sets.split(text) if dataset.multilabel else [text]
                )
            )
        )
        rows += part["row"][has].tolist()
    return Finding(
        split="train", name="known_labels", severity="error", passed=False, count=len(rows),
        message=f"{count(len(rows), 'row')} with the label {guessed(unknown, known)}; known are "
        f"{quoted(known)}. Correct them; or, if the label is a new one, add rows of it to the "
        "training data that data.train names, or name every label in validation.labels.",
        rows=tuple(rows[:_ROWS]), where=", ".join(map(str, rows[:_ROWS])),
    )  # fmt: skip


def _fault(source: str, data: DataConfig) -> str:
    """Why a file cannot be read as labelled text, by itself; empty if that is not its fault."""
    try:
        files = training_files.expand(source)
        for _ in ingestion.Labelled(training_files.parts(files, data), files, data):
            pass
    except DataError as error:
        return "" if _of_the_way(error) else str(error)
    return ""


def _of_the_way(error: DataError) -> bool:
    """Whether what failed is what lies between a file and us: a network, a disk, a permission.

    What the system refuses has a number; what a decoder does not understand has none.
    """
    return failure_explanations.of_network(error) or any(
        isinstance(cause, PermissionError | FileNotFoundError)
        or (isinstance(cause, OSError) and cause.errno)
        for cause in failure_explanations.causes(error)
    )


def untold(watched: Watched, names: Collection[str]) -> tuple[Watched, list[str]]:
    """Which of the files that cannot be looked into to tell of, which is once a day.

    Args:
        watched: What is known of the place.
        names: All such files there; others are forgotten.

    Returns:
        What is known of the place, those taken for told; and their names.
    """
    now = datetime.now(UTC)
    told = {name: watched.told[name] for name in names if name in watched.told}
    due = [name for name in names if name not in told or now - told[name] >= _TOLD_AGAIN]
    return watched.model_copy(update={"told": told | dict.fromkeys(due, now)}), due


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
    files = (address(place, name) for name in watched.accepted)
    train = [*_others(place, config), *files]
    return {**given, "data": {**config.data.model_dump(mode="json"), "train": train}}
