"""Open, unpack and list files at a path or any fsspec URL, or say what is wrong."""

from __future__ import annotations

import bz2
import difflib
import gzip
import io
import os
import posixpath
import re
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
from fsspec.implementations.local import LocalFileSystem

from incumbent.errors import DataError, StageTimedOut
from incumbent.recognition import file_kinds
from incumbent.recognition.bomb_limits import MAX_RATIO, SUSPECT_BYTES
from incumbent.runtime.url_secrets import expanded, masked, public, without_secrets
from incumbent.tables.file_formats import FORMATS, PACKED, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import IO, Any, BinaryIO

_READABLE = tuple(suffix + packed for suffix in FORMATS for packed in ("", *PACKED))
_FEW = 5  # files that a hint names
# What file systems call the time of the last change, or another sign of it.
_CHANGED = ("mtime", "LastModified", "last_modified", "updated", "created", "ETag", "etag", "md5")
INSTALL = ".venv/bin/python -m pip install 'incumbent[{}]'"
"""How the client of a place is installed. By the extra, so that pip minds what incumbent needs."""
_MAX_UNPACKED = 2 << 30  # bytes; what one text file may unpack to
_UNPACKED_AT_ONCE = 16 << 20  # bytes
_MAX_COPIED = 16 << 30  # bytes of a file from the web, on the disk
_MAGIC = 16  # bytes that tell how a file is compressed
_OPENERS: dict[str, Callable[[IO[bytes]], Any]] = {"gzip": gzip.open, "bzip2": bz2.open}
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"} | dict.fromkeys(
    ("abfs", "abfss", "az", "adl"), "azure"
)


@contextmanager
def opened(source: str) -> Iterator[BinaryIO]:
    """A source as a file that can be read from any place.

    Raises:
        DataError: if it cannot be read, now or later.
    """
    shown = public(source)
    filesystem, path = None, ""
    try:
        filesystem, path = _filesystem(source)
        # A web server may give a file only once, from its beginning, and not say how long it is.
        of_web = {"block_size": 0} if "http" in filesystem.protocol else {}
        with filesystem.open(path, "rb", **of_web) as found:
            if of_web:
                with tempfile.TemporaryFile() as file:
                    _copy(found, file, shown)
                    yield file
            else:
                yield found if found.seekable() else io.BytesIO(found.read())
    except DataError as error:  # of a file that is read in parts, it quotes the filesystem
        raise DataError(without_secrets(error, source, os.environ)) from None
    except FileNotFoundError:
        raise _missing(source, filesystem, path) from None
    except IsADirectoryError:
        raise _folder(shown) from None
    except PermissionError:
        raise DataError(
            f"{shown} may not be read: permission denied. Ask its owner, or, if it is a file of "
            "yours, make it readable to the user that runs this."
        ) from None
    except StageTimedOut:  # it hung
        raise
    except Exception as error:  # noqa: BLE001 - every filesystem raises errors of its own
        raise _away(f"{shown} could not be read", error, source) from None


def _copy(found: BinaryIO, file: BinaryIO, shown: str) -> None:
    """What a stream gives, to the beginning of a file.

    Raises:
        DataError: if it does not end.
    """
    while part := found.read(_UNPACKED_AT_ONCE):
        file.write(part)
        if file.tell() > _MAX_COPIED:
            raise DataError(
                f"{shown} gives more than {_MAX_COPIED >> 30} GiB; at most that is read from the "
                "web. Name a part of it, or copy it here."
            )
    file.seek(0)


def _filesystem(source: str) -> tuple[fsspec.AbstractFileSystem, str]:
    address = expanded(source, os.environ)
    try:
        filesystem, path = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        schemes = re.findall(r"(?:^|::)([^:/]+)://", address) or [""]
        scheme = next((scheme for scheme in schemes if scheme in _EXTRAS), schemes[0])
        extra = _EXTRAS.get(scheme)
        remedy = (
            f"install its client: {INSTALL.format(extra)}"
            if extra
            else "use a path, or a URL like s3://, gs://, abfs:// or https://"
        )
        raise DataError(
            f"{public(source)}: {scheme}:// cannot be read here "
            f"({without_secrets(error, source, os.environ)}); {remedy}."
        ) from None
    return filesystem, str(path)


def files_in(folder: str) -> dict[str, str] | None:
    """The files in a folder: by their names, what changes when they do; None if it isn't there.

    Raises:
        DataError: if it cannot be looked into.
    """
    found = listing(folder)
    return found[0] if found else None


def listing(folder: str) -> tuple[dict[str, str], list[str]] | None:
    """The files in a folder as `files_in` has them, and the names of the folders in it.

    Links to folders are left out, as they may go round in circles.

    Raises:
        DataError: if it cannot be looked into.
    """
    filesystem, path = _filesystem(folder)
    with _reaching(f"The folder {public(folder)} could not be looked into", folder):
        if not filesystem.isdir(path):
            return None
        found = filesystem.ls(path, detail=True)
    files: dict[str, str] = {}
    folders: list[str] = []
    for one in found:
        name = posixpath.basename(str(one["name"]).rstrip("/"))
        if one["type"] == "file":
            if not str(one["name"]).endswith("/"):  # an empty object that stands for a folder
                files[name] = _signature(one)
        elif one["type"] == "directory" and not one.get("islink"):
            folders.append(name)
    return files, sorted(folders)


def write(address: str, content: bytes) -> None:
    """Write a file wholly or not at all, in a folder that is made if need be.

    Raises:
        DataError: if it cannot be written.
    """
    with _reaching(f"{public(address)} could not be written", address):
        filesystem, path = _filesystem(address)
        filesystem.makedirs(posixpath.dirname(path), exist_ok=True)
        if isinstance(filesystem, LocalFileSystem):
            draft = Path(path).with_name(f".{posixpath.basename(path)}.{os.getpid()}")
            try:
                draft.write_bytes(content)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
        else:  # a store has an object wholly or not at all
            filesystem.pipe_file(path, content)


def exists(address: str) -> bool:
    """Whether there is a file at an address.

    Raises:
        DataError: if that cannot be told.
    """
    with _reaching(f"{public(address)} could not be looked for", address):
        filesystem, path = _filesystem(address)
        return bool(filesystem.isfile(path))


def remove(address: str) -> None:
    """Delete a file; that it is gone already is no error.

    Raises:
        DataError: if it cannot be deleted.
    """
    with _reaching(f"{public(address)} could not be deleted", address):
        filesystem, path = _filesystem(address)
        if filesystem.exists(path):
            filesystem.rm_file(path)


def files_under(folder: str) -> dict[str, int]:
    """All files in a folder and in those below it: their names from there, and bytes.

    Raises:
        DataError: if it cannot be looked into.
    """
    filesystem, path = _filesystem(folder)
    with _reaching(f"The folder {public(folder)} could not be looked into", folder):
        found = filesystem.find(path, detail=True)
    root = str(filesystem._strip_protocol(path)).rstrip("/")
    return {
        str(name)[len(root) :].lstrip("/"): int(about.get("size") or 0)
        for name, about in found.items()
        if about["type"] == "file"
    }


def contents(folder: str, names: Sequence[str]) -> dict[str, bytes]:
    """What files in a folder hold, or those below it, by their names from there; all at once.

    Raises:
        DataError: if one cannot be read; it is named.
    """
    filesystem, path = _filesystem(folder)
    with _reaching(f"The files in {public(folder)} could not be read", folder):
        paths = [f"{path.rstrip('/')}/{name}" for name in names]
        found = filesystem.cat_ranges(paths, None, None, on_error="return")
    read = dict(zip(names, found, strict=True))
    for name, held in read.items():
        if isinstance(held, Exception):
            raise _away(f"{public(folder)}/{name} could not be read", held, folder) from None
    return read


def signature(source: str) -> str:
    """What changes when a file does, as `files_in` has it; empty if that cannot be told now."""
    try:
        filesystem, path = _filesystem(source)
        found = filesystem.info(path)
    except StageTimedOut:  # it hung
        raise
    except Exception:  # noqa: BLE001 - every filesystem raises errors of its own
        return ""
    return _signature(found) if any(key in found for key in _CHANGED) else ""


def _signature(found: Mapping[str, Any]) -> str:
    return " ".join(str(found[key]) for key in ("size", *_CHANGED) if key in found)


@contextmanager
def _reaching(said: str, address: str) -> Iterator[None]:
    """Says of whatever a filesystem raises what could not be done at an address."""
    try:
        yield
    except (DataError, StageTimedOut):  # it is said already, or it hung
        raise
    except Exception as error:  # noqa: BLE001 - every filesystem raises errors of its own
        raise _away(said, error, address) from None


def _away(said: str, error: Exception, source: str) -> DataError:
    reason = f"{type(error).__name__}: {without_secrets(error, source, os.environ)}"
    return DataError(f"{said} ({reason}). Check the address, the credentials and the connection.")


def _folder(shown: str) -> DataError:
    return DataError(f"{shown} is a folder; a file is expected. Name the file in it.")


def _missing(source: str, filesystem: fsspec.AbstractFileSystem | None, path: str) -> DataError:
    """The error for a file that isn't there, with the nearest in its folder, or a few."""
    shown = public(source)
    siblings: list[str] = []
    try:
        if filesystem and filesystem.isdir(path):
            return _folder(shown)
        if filesystem:
            listing = filesystem.ls(posixpath.dirname(path), False)
            siblings = [
                masked(posixpath.basename(public(sibling)), source, os.environ)
                for sibling in listing
            ]
    except Exception:  # noqa: BLE001 - a hint is not worth a second error
        siblings = []
    readable = [sibling for sibling in sorted(siblings) if sibling.lower().endswith(_READABLE)]
    # Names are compared without the extension, which all have in common.
    stems = {posixpath.splitext(sibling)[0]: sibling for sibling in readable}
    name = name_of(shown)
    near = difflib.get_close_matches(posixpath.splitext(name)[0], stems, n=1, cutoff=0.75)
    hint = ""
    if near:
        hint = f" Did you mean {stems[near[0]].join(shown.rsplit(name, 1))}?"
    elif readable:
        more = f" and {len(readable) - _FEW} more" if len(readable) > _FEW else ""
        hint = f" Files there that can be read: {', '.join(readable[:_FEW])}{more}."
    where = "" if siblings or "://" in shown else " (nor anything in its folder)"
    return DataError(
        f"There is no file {shown}{where}.{hint} Paths are relative to the working directory."
    )


def unpacked(data: bytes, shown: str) -> bytes:
    """What a file holds that may be compressed, whatever its name.

    Raises:
        DataError: if it is damaged, or unpacks beyond reason.
    """
    opener = _OPENERS.get(file_kinds.kind(data[:_MAGIC]))
    if opener is None:
        return data
    packed = io.BytesIO(data)
    unpacked = bytearray()
    try:
        with opener(packed) as stream:
            while part := stream.read(_UNPACKED_AT_ONCE):
                unpacked += part
                if len(unpacked) > _MAX_UNPACKED:
                    raise DataError(
                        f"{shown} unpacks to more than 2 GiB. Split it, or write Parquet."
                    )
                ratio = len(unpacked) / max(packed.tell(), 1)
                if len(unpacked) > SUSPECT_BYTES and ratio > MAX_RATIO:
                    raise DataError(
                        f"{shown} unpacks to {ratio:,.0f} times its size; at most a factor of "
                        f"{MAX_RATIO} is read. If it is real, unpack it and name that file."
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{shown} cannot be unpacked ({error}): it is cut short, or damaged. Copy it again "
            "from where it came."
        ) from None
    return bytes(unpacked)
