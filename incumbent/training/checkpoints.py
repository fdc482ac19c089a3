"""Checkpoint files: each is there wholly or not at all, and is named by its digest.

A file is in the safetensors format: arrays, and JSON about them. Nothing in it is code. Its name is
`step-<steps taken>-<SHA-256, 32 digits>.safetensors`, so that damage shows.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from incumbent.runtime import file_locks
from incumbent.runtime.atomic_files import write_atomically

_NAME = re.compile(r"step-(\d+)-([0-9a-f]{32})\.safetensors")
_TYPES = {"float16": "F16", "float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64"}
# What `auto` spends on checkpoints is at most 1 % of the time, and a minute is not missed.
_SHARE, _SHORTEST = 0.01, 60.0


class Checkpoint(NamedTuple):
    """A training as it was after `step` steps: JSON and arrays."""

    step: int
    state: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


class Checkpoints:
    """The checkpoints of one training, of which the newest two are kept.

    Attributes:
        seconds: What the last one took to write; 0 before.
    """

    def __init__(
        self,
        folder: Path,
        identity: str,
        minutes: float | Literal["auto"],
        say: Callable[[str], None],
    ) -> None:
        self.folder = folder
        self.seconds = 0.0
        self._identity = identity
        self._minutes = minutes
        self._say = say
        self._last = time.monotonic()
        self._warned = False
        self._enabled = True

    @classmethod
    @contextlib.contextmanager
    def opened(
        cls,
        folder: Path,
        identity: str,
        minutes: float | Literal["auto"],
        say: Callable[[str], None],
    ) -> Iterator[Checkpoints]:
        """Those in a folder, for as long as the context lasts.

        Args:
            folder: Where they are; it is made.
            identity: What the training depends on. A checkpoint of another is not read.
            minutes: How far apart they are written. `auto`: so far that they take 1 % of the time,
                and not within a minute.
            say: Told what is wrong with one. The first that cannot be written is told of, and
                training goes on.
        """
        checkpoints = cls(folder, identity, minutes, say)
        with contextlib.ExitStack() as stack:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                free = stack.enter_context(file_locks.held(folder / "lock"))
            except OSError as error:
                checkpoints._failed(error)
                free = False
            else:
                if not free:
                    say(f"another process is training in {folder.parent}: no checkpoints are kept")
            checkpoints._enabled = free
            if free:
                checkpoints._sweep()
            yield checkpoints

    @property
    def due(self) -> bool:
        """Whether it is time for the next one."""
        if not self._enabled:
            return False
        apart = (
            max(_SHORTEST, self.seconds / _SHARE) if self._minutes == "auto" else 60 * self._minutes
        )
        return time.monotonic() - self._last >= apart

    def save(self, checkpoint: Checkpoint) -> None:
        """Write one, unless there is no room; older ones than the last before it are deleted."""
        if not self._enabled:
            return
        start = time.monotonic()
        metadata = {"identity": self._identity, "state": json.dumps(checkpoint.state)}
        partial = self.folder / f"partial-{os.getpid()}"
        try:
            for _, old in self._files()[1:]:
                old.unlink(missing_ok=True)
            with partial.open("wb") as file:
                digest = _write(file, checkpoint.arrays, metadata)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.folder / f"step-{checkpoint.step:08}-{digest}.safetensors")
            _sync_folder(self.folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
            self._failed(error)
        self._last = time.monotonic()
        self.seconds = self._last - start

    def latest(self) -> Checkpoint | None:
        """The newest that is whole and of this training."""
        for step, path in self._files() if self._enabled else ():
            try:
                found = _read(path)
            except OSError as error:
                self._say(f"the checkpoint of step {step} cannot be read: {error.strerror}")
                continue
            if found is None:
                self._say(f"the checkpoint of step {step} is damaged, and is not used")
                continue
            metadata, arrays = found
            if metadata.get("identity") != self._identity:
                self._say(
                    f"the checkpoint of step {step} is of other data, settings or versions of "
                    "libraries, and is not used"
                )
                continue
            return Checkpoint(step, json.loads(metadata["state"]), arrays)
        return None

    def note(self, name: str, content: Mapping[str, Any]) -> None:
        """Keep a little JSON beside the checkpoints."""
        if self._enabled:
            text = json.dumps({"identity": self._identity, "content": content})
            try:
                write_atomically(self.folder / f"{name}.json", text)
            except OSError as error:
                self._failed(error)

    def noted(self, name: str) -> dict[str, Any] | None:
        """What was kept under a name, if it is of this training."""
        try:
            found = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
            return dict(found["content"]) if found["identity"] == self._identity else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def _files(self) -> list[tuple[int, Path]]:
        """Steps and paths, the newest first."""
        found = [(_NAME.fullmatch(path.name), path) for path in self.folder.glob("step-*")]
        return sorted(((int(name[1]), path) for name, path in found if name), reverse=True)

    def _sweep(self) -> None:
        """Remove what a process left that was killed as it wrote."""
        for path in self.folder.glob("partial-*"):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            self._say(
                f"a checkpoint cannot be written to {self.folder}: {error.strerror}. Training goes "
                "on; if it is killed, it resumes at an earlier step or from the start."
            )


def clear(folder: Path) -> None:
    """Delete the checkpoints of a training that is done."""
    shutil.rmtree(folder, ignore_errors=True)


def _write(file: BinaryIO, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> str:
    """Write arrays as safetensors, one by one, and give the digest of all.

    The library's own `save_file` would hold a second copy of them in memory.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        kind = _TYPES[array.dtype.name]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()

    def put(part: Any) -> None:
        digest.update(part)
        file.write(part)

    put(struct.pack("<Q", len(text)) + text)
    for array in arrays.values():
        put(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return digest.hexdigest()[:32]


def _read(path: Path) -> tuple[dict[str, str], dict[str, NDArray[Any]]] | None:
    """What a file holds; None if it is not what was written."""
    from safetensors import safe_open

    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if f"-{digest[:32]}." not in path.name:
        return None
    with safe_open(path, "np") as found:
        return found.metadata(), {name: found.get_tensor(name) for name in found.keys()}  # noqa: SIM118


def _sync_folder(folder: Path) -> None:
    """Have a renamed file be there after a power cut, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
