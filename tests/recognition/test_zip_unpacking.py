"""A member comes out as Python's own module would have it, or not at all."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest

from incumbent.recognition.zip_unpacking import read_member

TEXT = b"".join(b"<c>%d</c>" % n for n in np.random.default_rng(0).integers(0, 1 << 40, 5_000))


def packed(kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        archive.writestr("other.xml", b"<a/>" * 10)
        archive.writestr("sheet.xml", TEXT)
    return file.getvalue()


def opened(data: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(data))


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("before", [b"", b"#!something\n"])
def test_it_is_what_was_packed(kind: int, before: bytes) -> None:
    data = before + packed(kind)
    assert read_member(opened(data), data, "sheet.xml") == TEXT
    assert read_member(opened(data), data, "other.xml") == b"<a/>" * 10


def test_no_damaged_byte_goes_unnoticed() -> None:
    data = packed()
    about = opened(data).getinfo("sheet.xml")
    random = np.random.default_rng(1)
    first = about.header_offset + 30 + len(about.filename)
    for _ in range(50):
        broken = bytearray(data)
        broken[random.integers(first, first + about.compress_size)] ^= 1 << int(random.integers(8))
        with pytest.raises(zipfile.BadZipFile):
            read_member(opened(bytes(broken)), bytes(broken), "sheet.xml")


@pytest.mark.parametrize("size", [1, len(TEXT) - 1, len(TEXT) + 1])
def test_a_member_of_another_size_than_it_says_is_refused(size: int) -> None:
    data = bytearray(packed())
    entry = data.rindex(b"PK\x01\x02")  # the directory's, of the second member
    struct.pack_into("<I", data, entry + 24, size)
    with pytest.raises(zipfile.BadZipFile, match=r"sheet\.xml"):
        read_member(opened(bytes(data)), bytes(data), "sheet.xml")


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_have_no_bound_and_are_refused(kind: int) -> None:
    data = packed(kind)
    with pytest.raises(zipfile.BadZipFile, match=r"sheet\.xml is packed by another method"):
        read_member(opened(data), data, "sheet.xml")


@pytest.mark.parametrize("flag", [0x01, 0x20, 0x40])
def test_what_is_encrypted_or_patched_is_refused(flag: int) -> None:
    data = bytearray(packed())
    for place in (data.rindex(b"PK\x03\x04") + 6, data.rindex(b"PK\x01\x02") + 8):
        data[place] |= flag
    with pytest.raises(zipfile.BadZipFile, match=r"sheet\.xml"):
        read_member(opened(bytes(data)), bytes(data), "sheet.xml")


def test_another_header_than_the_directory_names_is_refused() -> None:
    data = bytearray(packed())
    place = data.index(b"sheet.xml")
    data[place : place + 5] = b"SHEET"
    with pytest.raises(zipfile.BadZipFile):
        read_member(opened(bytes(data)), bytes(data), "sheet.xml")


def test_a_member_that_is_not_there_is_named() -> None:
    data = packed()
    with pytest.raises(KeyError, match=r"none\.xml"):
        read_member(opened(data), data, "none.xml")
