"""Find the files of a predictor that ktrain saved, in a folder or a ZIP, and copy them.

Nothing is unpickled here. Since release 0.16 ktrain saves a folder with `tf_model.preproc` and
`tf_model.h5`, for Hugging Face models `config.json` too. Before, it saved the model as a file or
a folder of any name, and the preprocessor beside it, as that name with `.preproc`; copied, both
look alike.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import BaseModel, ConfigDict

from incumbent.errors import ConfigError, StageError
from incumbent.predictor import folder_digest
from incumbent.recognition.bomb_limits import MAX_RATIO, SUSPECT_BYTES

PICKLE = "tf_model.preproc"
MODEL = "tf_model.h5"
FOLDER = "predictor"
"""What a copy's folder is called, and so its artifact of a run, as after a training."""
_SUFFIX = ".preproc"
_DEEPEST = 2  # folders below the named one that are looked into
_MOST_FILES = 1_000
_CHUNK = 1 << 20  # bytes
_SHOWN = 10
_ENCRYPTED = 0x1  # a flag of a ZIP's member (APPNOTE.TXT 4.4.4)
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)
_EXPECTED = (
    f"Expected is what ktrain's `predictor.save` writes: a folder, or a ZIP of it, with {PICKLE} "
    f"and {MODEL}, and for a Hugging Face model config.json and the tokenizer's files"
)

_Opened = Callable[[], AbstractContextManager[IO[bytes]]]
_Files = Mapping[str, _Opened]
"""Files by their names: relative, with `/`."""


class Saved(BaseModel):
    """A copy of a saved predictor, laid out as ktrain 0.16 and later lay it out.

    `digest` names its files by their contents; `pickle_digest` is the SHA-256 of the pickle.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    source: str
    digest: str
    pickle_digest: str


@dataclass(frozen=True)
class Found:
    """A saved predictor where it was found; `files` open its files by the names in a copy."""

    source: str
    files: _Files
    pickle_name: str
    pickle_digest: str
    weights_name: str
    weights_digest: str

    def warning(self) -> str:
        """What whoever imports it has to know first."""
        return (
            f"To load a predictor that ktrain saved is to run the code in its pickle: whoever "
            f"wrote the file can have put any program into it. Nothing of {self.source} was "
            "loaded yet. These files would be:\n"
            f"  {self.pickle_digest}  {self.pickle_name}\n"
            f"  {self.weights_digest}  {self.weights_name}\n"
            "(SHA-256). If you saved them yourself, and they are as they were then, give the same "
            "command with --trust. They are loaded in a process of its own, without network and "
            "with a limit on memory, which can nevertheless read and write your files. Do not "
            "give --trust for files of others."
        )


def find(path: Path) -> Found:
    """Look for a saved predictor in a folder or a ZIP; none of its files is loaded.

    Raises:
        ConfigError: if there is none.
    """
    try:
        files = _files_of(path.absolute())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None
    pickled, laid_out = _laid_out(path, files)
    weights = min(name for name in laid_out if _is_weights(name))
    try:
        digests = [_sha256(laid_out[name]) for name in (PICKLE, weights)]
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from None
    return Found(str(path), laid_out, pickled, digests[0], weights, digests[1])


def _files_of(path: Path) -> _Files:
    beside = Path(f"{path}{_SUFFIX}")
    if path.is_file() and zipfile.is_zipfile(path):
        return _in_zip(path)
    if beside.is_file():  # what ktrain before 0.16 was given as the predictor's name
        return {beside.name: _opener(beside), **_under(path, path.parent)}
    if path.is_dir():
        return _under(path, path)
    if path.exists():
        raise ConfigError(f"{path} is neither a folder nor a ZIP. {_EXPECTED}.")
    raise ConfigError(f"There is no {path}. {_EXPECTED}.")


def take(found: Found, workdir: Path) -> Saved:
    """Copy a found predictor to `workdir`/imports, unless it is there.

    Raises:
        ConfigError: if its files were changed since they were looked at, or are damaged.
        StageError: if they cannot be copied.
    """
    place = workdir / "imports"
    draft = place / f".draft.{os.getpid()}"
    try:
        draft.mkdir(parents=True, exist_ok=True)
        for name, opened in found.files.items():
            copy = draft / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            with opened() as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target, _CHUNK)
        if _sha256(_opener(draft / PICKLE)) != found.pickle_digest:
            raise ConfigError(f"{found.source} was changed while it was read. Import it again.")
        digest = folder_digest(draft)
        folder = place / digest[:32] / FOLDER
        if not folder.is_dir():
            folder.parent.mkdir(exist_ok=True)
            draft.rename(folder)
    except _DAMAGE as error:
        raise _damaged(Path(found.source), error) from None
    except OSError as error:
        raise StageError(
            f"{found.source} cannot be copied to {place}: {error.strerror or error}. Free space "
            "there, or set tracking.workdir to a folder that you may write to."
        ) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Saved(
        folder=folder, source=found.source, digest=digest, pickle_digest=found.pickle_digest
    )


def _laid_out(path: Path, files: _Files) -> tuple[str, _Files]:
    """The name of the pickle, and the predictor's files by the names that they get in a copy."""
    pickles = [name for name in files if name.endswith(_SUFFIX)]
    if len(pickles) > 1:
        raise ConfigError(
            f"{path} holds {len(pickles)} predictors: {_listed(pickles)}. Name one of their "
            "folders, or its path without .preproc."
        )
    if not pickles:
        raise ConfigError(f"{path} holds no {PICKLE}; it holds {_listed(files)}. {_EXPECTED}.")
    pickled = PurePosixPath(pickles[0])
    model = pickled.with_suffix("")
    within = _below(files, model)
    if pickled.name == PICKLE and not within:
        found = _below(files, pickled.parent)
    else:  # before 0.16
        found = {**within, PICKLE: files[str(pickled)]}
        if str(model) in files:
            found[MODEL] = files[str(model)]
    if not any(map(_is_weights, found)):
        raise ConfigError(
            f"{path} holds {pickled}, and no model beside it; it holds {_listed(files)}. "
            f"{_EXPECTED}."
        )
    return str(pickled), found


def _below(files: _Files, folder: PurePosixPath) -> dict[str, _Opened]:
    """The files below a folder, by their names from there."""
    return {
        str(PurePosixPath(name).relative_to(folder)): opened
        for name, opened in files.items()
        if folder in PurePosixPath(name).parents
    }


def _is_weights(name: str) -> bool:
    return "/" not in name and name.endswith((".h5", ".safetensors"))


def _under(path: Path, root: Path) -> dict[str, _Opened]:
    """The files at a path and below it, by their names from `root`."""
    found: dict[str, _Opened] = {}
    waiting = [path]
    while waiting:
        place = waiting.pop()
        name = place.relative_to(root)
        if place.is_file():
            found[name.as_posix()] = _opener(place)
        elif place.is_dir() and len(name.parts) <= _DEEPEST:
            waiting += sorted(place.iterdir())
        if len(found) > _MOST_FILES:
            raise ConfigError(
                f"{path} holds more than {_MOST_FILES:,} files. Name the predictor's own folder. "
                f"{_EXPECTED}."
            )
    return found


def _in_zip(path: Path) -> dict[str, _Opened]:
    """The files of a ZIP by their names; refuses one that is a bomb, or leads out of its place."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except _DAMAGE as error:
        raise _damaged(path, error) from None
    unpacked = sum(member.file_size for member in members)
    if len(members) > _MOST_FILES or unpacked > max(SUSPECT_BYTES, MAX_RATIO * path.stat().st_size):
        raise ConfigError(
            f"{path} would unpack to {len(members):,} files of {unpacked:,} bytes, and has only "
            f"{path.stat().st_size:,}: no predictor is packed so well. Unpack it yourself, if you "
            "know what it is, and name the folder."
        )
    for member in members:
        name = PurePosixPath(member.filename)
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
            raise ConfigError(
                f"{path} holds a file {member.filename!r}, which would be written outside of its "
                "folder. Pack the predictor's folder anew."
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ConfigError(
                f"{path} holds a link, {member.filename!r}. Pack the predictor's files themselves."
            )
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _PACKINGS:
            raise ConfigError(
                f"{path}: {member.filename!r} is encrypted, or packed by another method than "
                "deflate. Pack the predictor's folder anew, without a password."
            )
    return {str(PurePosixPath(m.filename)): partial(_member, path, m) for m in members}


@contextlib.contextmanager
def _member(path: Path, member: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """A member of a ZIP, opened; it gives no more bytes than the directory says there are."""
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        yield stream


def _opener(path: Path) -> _Opened:
    def opened() -> IO[bytes]:
        return path.open("rb")

    return opened


def _sha256(opened: _Opened) -> str:
    state = hashlib.sha256()
    with opened() as stream:
        while part := stream.read(_CHUNK):
            state.update(part)
    return state.hexdigest()


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return (", ".join(found[:_SHOWN]) + more) or "nothing"


def _damaged(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"The ZIP {path} is damaged: {error}. Pack the predictor's folder anew.")
