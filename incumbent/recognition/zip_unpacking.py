"""Unpack members of a ZIP archive with ISA-L, twice as fast as Python's zlib, and no bombs."""

from __future__ import annotations

import io
import posixpath
import struct
import zipfile
import zlib

from isal import isal_zlib

from incumbent.errors import DataError
from incumbent.recognition.bomb_limits import MAX_RATIO, SUSPECT_BYTES

_MAX_BYTES = 2 << 30  # unpacked
_WORKBOOKS = ("xl/workbook.xml", "xl/workbook.bin", "content.xml")
_SHOWN = 5  # members that a message lists
_HEADER = 30  # bytes of a local file header before its name (APPNOTE.TXT 4.3.7)


def opened(data: bytes, source: str) -> zipfile.ZipFile:
    """The archive, after its declared sizes were found bearable.

    Raises:
        DataError: if it is no archive, or would unpack beyond reason.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, NotImplementedError):
        if data.startswith(b"PK"):
            raise DataError(
                f"{source} is cut short: {len(data):,} bytes of a workbook or an archive whose end "
                "is missing. Copy it again from where it came."
            ) from None
        raise DataError(
            f"{source} is no Excel workbook: it begins with {data[:12]!r}. Save it as .xlsx in a "
            "spreadsheet program; if it is plain text, name it .csv."
        ) from None
    unpacked = sum(entry.file_size for entry in archive.infolist())
    ratio = unpacked / max(len(data), 1)
    if unpacked > _MAX_BYTES or (unpacked > SUSPECT_BYTES and ratio > MAX_RATIO):
        raise DataError(
            f"{source} would unpack to {unpacked / 1e9:.1f} GB, {ratio:,.0f} times its size; "
            f"at most {_MAX_BYTES / 1e9:.1f} GB and a factor of {MAX_RATIO} are read. If it is "
            "real, save the sheet as .csv."
        )
    return archive


def only_member(data: bytes, source: str) -> tuple[bytes, str] | None:
    """The one table that an archive holds, and its name; None if the archive is a workbook.

    Raises:
        DataError: if it holds none, or several.
    """
    archive = opened(data, source)
    names = archive.namelist()
    if any(name in _WORKBOOKS or name.startswith("xl/") for name in names):
        return None
    found = [name for name in names if not _aside(name)]
    if len(found) != 1:
        shown = ", ".join(map(repr, found[:_SHOWN]))
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise DataError(
            f"{source} is a zip archive, but no Excel workbook, and holds "
            + (f"{len(found)} files: {shown}{more}; one is expected. " if found else "no file. ")
            + "Unpack it, and name the file that has the table"
            + (f", or set zip://{found[0]}::{source}." if found and "::" not in source else ".")
        )
    try:
        return read_member(archive, data, found[0]), found[0]
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{source} is damaged, or protected by a password ({error}). Unpack it, or copy it "
            "again from where it came."
        ) from None


def _aside(name: str) -> bool:
    """Whether a member is none of the sender's: a folder, or what a system keeps beside files."""
    base = posixpath.basename(name)
    return not base or base.startswith(".") or name.startswith("__MACOSX/") or base == "Thumbs.db"


def read_member(archive: zipfile.ZipFile, data: bytes, name: str) -> bytes:
    """What `archive.read(name)` returns, for an archive whose bytes are `data`.

    No more is unpacked than the archive's directory says that there is. Python's own module unpacks
    first and cuts then, so that a few kilobytes may fill any memory.

    Raises:
        zipfile.BadZipFile: if the member is damaged, encrypted, not of that size, or packed by
            another method than deflate.
        KeyError: if there is none of that name.
    """
    about = archive.getinfo(name)
    try:
        with archive.open(name):
            pass  # its local header was looked at, and is that of this member
    except (RuntimeError, ValueError, EOFError, struct.error) as error:
        raise zipfile.BadZipFile(f"{name}: {error}") from None
    at = about.header_offset
    sizes = data[at + 26 : at + 28], data[at + 28 : at + 30]  # of the name and the extra field
    start = at + _HEADER + sum(int.from_bytes(size, "little") for size in sizes)
    packed = memoryview(data)[start : start + about.compress_size]
    if about.compress_type == zipfile.ZIP_STORED:
        unpacked = bytes(packed)
    elif about.compress_type == zipfile.ZIP_DEFLATED:
        unpacked = _inflated(packed, about.file_size, name)
    else:
        raise zipfile.BadZipFile(f"{name} is packed by another method than deflate")
    if len(unpacked) != about.file_size or isal_zlib.crc32(unpacked) != about.CRC:
        raise zipfile.BadZipFile(f"{name} is not what the archive's directory says")
    return unpacked


def _inflated(packed: memoryview, size: int, name: str) -> bytes:
    """At most one byte more than `size`."""
    try:
        return isal_zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)
    except isal_zlib.error as error:  # type: ignore[misc]  # its stubs call the class an instance
        raise zipfile.BadZipFile(f"{name}: {error}") from None
