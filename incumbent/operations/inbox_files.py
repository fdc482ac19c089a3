"""The inbox: which files in it are new and complete, and what became of earlier ones.

What is known of a place is one small file under the working folder, replaced as a whole. A file
counts as new until it is known by its contents, so that one that was refused is not looked into
again before it changes. It is refused for its contents alone: what may pass, as a network that is
away does, and what is wrong elsewhere, as with the test set, leaves it new.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ValidationError

from incumbent.config import Config
from incumbent.errors import StageError
from incumbent.operations import inbox_judgement, inbox_listing
from incumbent.operations.inbox_judgement import Judged
from incumbent.runtime import file_locks, url_secrets
from incumbent.runtime.atomic_files import write_atomically
from incumbent.tables import fsspec_files, training_files

_BLOCK = 1 << 20  # bytes that are hashed at once
_TOLD_AGAIN = timedelta(days=1)


class Seen(Judged, frozen=True):
    """A file that was looked into, and what was found in it."""

    signature: str
    """What a listing says of it: its size, and when it changed."""
    digest: str
    """SHA-256 of its contents."""
    rules: str = ""
    """By what it was judged: see `inbox_judgement.rules`."""
    asked: str = ""
    """The state of what knows labels, when it was asked for those that nobody knew: it is looked
    into again once somebody may. See `inbox_judgement.state_of_labels`."""
    looked: datetime | None = None
    """When it was judged."""
    answered: str = ""
    """The digest of the answer beside it."""
    sheet: tuple[str, str] = ("", "")
    """The workbook beside it: its name in the place, and the digest of its contents."""

    @property
    def taken(self) -> str:
        """What a run gets of it: its digest, and how many rows are left out, if any are."""
        return f"{self.digest}-{self.set_aside}" if self.set_aside else self.digest

    @property
    def whole(self) -> bool:
        """Whether its labels are kept, if it was accepted; an earlier release kept none."""
        return bool(self.refused or self.labels)


class Watched(BaseModel, frozen=True):
    """What is known of a watched place."""

    place: str
    files: dict[str, Seen] = {}
    """By name, in the order in which their contents arrived."""
    labels: tuple[str, ...] = ()
    """The labels of all files that were ever accepted, sorted."""
    handed_over: tuple[str, ...] = ()
    """What the last run was started for, sorted: see `Seen.taken`."""
    run_id: str = ""
    """That run."""
    config: str = ""
    """The digest of the deployment's config that it was started with."""
    attempts: int = 0
    """How often a run was started for just these files with that config."""
    told: dict[str, datetime] = {}
    """When it was told of a file that it could not be looked into, by name."""
    unanswered: bool = False
    """Whether answers could not be written, which is told once."""

    @property
    def accepted(self) -> list[str]:
        """The names of the files that can be trained on, the latest to arrive last."""
        return [name for name, seen in self.files.items() if not seen.refused]

    @property
    def digests(self) -> tuple[str, ...]:
        """What a run gets of the accepted files, sorted."""
        return tuple(sorted(self.files[name].taken for name in self.accepted))

    def with_file(self, name: str, seen: Seen) -> Watched:
        """The same, and what was found in one more file; what it held before is forgotten."""
        labels = self.labels if seen.refused else tuple(sorted({*self.labels, *seen.labels}))
        before = self.files.get(name)
        known = self if before and before.digest == seen.digest else self.without_file(name)
        return self.model_copy(update={"files": {**known.files, name: seen}, "labels": labels})

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


@contextmanager
def only_look(place: str, workdir: Path) -> Iterator[bool]:
    """Whether no other process on this machine looks into a place, as long as the context lasts."""
    folder = workdir / "watching"
    with suppress(OSError):  # then there is no lock; two looks find the same
        folder.mkdir(parents=True, exist_ok=True)
    with file_locks.held(folder / _file(place, workdir).stem) as free:
        yield free


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
    found = inbox_listing.files(place)
    if found is None:
        return None
    kept = {name: seen for name, seen in watched.files.items() if name in found}
    asked = inbox_judgement.rules(config)
    lacking = any(seen.unknown for seen in kept.values())
    state = inbox_judgement.state_of_labels(watched.labels, place, config) if lacking else ""
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
        again = inbox_listing.files(place) or {}
        new = {name: sign for name, sign in new.items() if again.get(name) == sign}
    # Those that were accepted come first: what others may be labelled is asked of them.
    first = sorted(new, key=lambda name: (name not in kept or bool(kept[name].refused), name))
    return watched.model_copy(update={"files": kept}), {name: new[name] for name in first}


class Changing(Exception):
    """A file is being written while it is looked into."""


def inspect(place: str, name: str, signature: str, watched: Watched, config: Config) -> Seen:
    """Look into a file: whether it can be trained on.

    One whose contents were judged before, under this name and by the same rules, is not read again.
    The labels of one that was accepted before, by whatever rules, are known.

    Raises:
        Changing: if it changed meanwhile.
        IncumbentError: if it cannot be looked into now, for a reason that is not in the file.
    """
    source, asked = inbox_listing.address(place, name), inbox_judgement.rules(config)
    sign = fsspec_files.signature(source)
    contents = hashlib.sha256()
    with fsspec_files.opened(source) as file:
        while block := file.read(_BLOCK):
            contents.update(block)
    digest = contents.hexdigest()
    known = watched.files.get(name)
    before = known if known is not None and known.digest == digest else None
    # Ahead of what it tells of.
    state = inbox_judgement.state_of_labels(watched.labels, place, config)
    trained = digest in watched.handed_over  # all its rows
    if before is not None and before.rules == asked:
        if before.whole and not before.unknown:
            return before.model_copy(update={"signature": signature})
        if before.whole and not trained and not _learned(before, watched, place, config):
            return before.model_copy(update={"signature": signature, "asked": state})
    whole = before is not None and not before.refused and not before.set_aside
    found = inbox_judgement.judged(source, watched.labels, place, config, accepted=trained or whole)
    if sign != fsspec_files.signature(source):
        raise Changing
    return Seen(
        signature=signature, digest=digest, rules=asked, asked=state if found.unknown else "",
        looked=datetime.now(UTC), sheet=known.sheet if known else ("", ""), **dict(found),
    )  # fmt: skip


def _learned(before: Seen, watched: Watched, place: str, config: Config) -> bool:
    return inbox_judgement.learned(before.unknown, watched.labels, place, config)


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

    A file that arrived later corrects those before it, unless the deployment says what else labels
    that differ come to (`data.on_disagreement`). Where rows of them are set aside, the run sets the
    same ones aside; so it is told which labels there are, if some are not known.

    Args:
        config: That of the deployment; it may name the place itself, as a folder.
        place: The watched place.
        watched: What is known of it.
        given: The deployment's config as it was written.

    Raises:
        DataError: if the labels of the deployment's own training data are asked for, and it cannot
            be read.
    """
    beside = inbox_judgement.others(place, config)
    inside = [entry for entry in beside if entry.startswith(inbox_listing.address(place, ""))]
    named = training_files.expand(inside) if inside else ()  # none of them twice
    files = [inbox_listing.address(place, name) for name in watched.accepted]
    train = [*beside, *(file for file in files if file not in named)]
    data = config.data.model_dump(mode="json") | {"train": train}
    data["on_disagreement"] = data["on_disagreement"] or "latest"
    found: dict[str, object] = {**given, "data": data}
    partly = [seen for name in watched.accepted if (seen := watched.files[name]).set_aside]
    if partly:
        rules = config.validation
        own = {label for name in watched.accepted for label in watched.files[name].labels}
        labels = rules.labels
        if labels is None and any(seen.unknown for seen in partly):
            labels = inbox_judgement.labels_together(own, place, config)
        more = {"bad_rows": "set_aside"} | ({"labels": [*labels]} if labels is not None else {})
        found["validation"] = {**rules.model_dump(mode="json", exclude_unset=True), **more}
    return found
