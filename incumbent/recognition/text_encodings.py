"""Bytes to text, each file in the encoding that it is in."""

from __future__ import annotations

import codecs
import io
import re

import chardet

from incumbent.errors import DataError

AUTO = "auto"
"""The value of `data.encoding` that has each file's encoding told from its bytes."""

# A longer mark that begins with a shorter one goes first.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Of Windows, by Python's names; each is what programs there write in some language.
_CODE_PAGES = [
    *(f"cp{page}" for page in range(1250, 1259)), "cp874", "cp932", "cp949", "big5", "gb18030",
]  # fmt: skip
_FEW = 4  # characters that tell nothing of it
_HEAD = 4096  # bytes that are looked at for UTF-16 without a mark
_SAMPLE = 1 << 20  # bytes of lines that a code page is told from


def decode(data: bytes, source: str, encoding: str) -> tuple[str, str]:
    """The text, without a byte-order mark, and what to say of its encoding; "" if it's plain UTF-8.

    A byte-order mark decides; else `encoding`, unless that is `AUTO`.

    Raises:
        DataError: naming the line and the byte that the encoding has no character for.
    """
    if mark := _marked(data):
        return _decoded(data, source, mark), f"read as {mark}" if mark != "utf-8" else ""
    if encoding != AUTO:
        return _decoded(data, source, encoding), ""
    if wide := _without_mark(data):
        return _decoded(data, source, wide), f"read as {wide}"
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        page = "" if _mostly_utf8(data, error.start) else _code_page(data)
        if not page:
            return _decoded(data, source, "utf-8"), ""
        said = f"read as {page}, as it is not UTF-8; data.encoding decides, if letters look wrong"
        return data.decode(page), said


def is_text(data: bytes) -> bool:
    """Whether a file's beginning is text, in whatever encoding."""
    head = data[:_HEAD]
    return bool(_marked(head) or _without_mark(head)) or b"\0" not in head


def beginning(data: bytes) -> str:
    """The first characters of a text, roughly; what cannot be decoded is replaced."""
    head = data[:_HEAD]
    encoding = _marked(head) or _without_mark(head) or "utf-8"
    return head.decode(encoding, "replace").removeprefix("\ufeff")


def _marked(data: bytes) -> str:
    return next((name for mark, name in _MARKS.items() if data.startswith(mark)), "")


def _without_mark(data: bytes) -> str:
    """UTF-16 that has no mark: every other byte of its Latin letters is zero; "" if it is not."""
    head = data[: _HEAD & ~1]
    even, odd = head[::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if half >= _FEW and len(data) % 2 == 0:
        if odd > half * 0.3 and even < half * 0.05:
            return "utf-16-le"
        if even > half * 0.3 and odd < half * 0.05:
            return "utf-16-be"
    return ""


def _mostly_utf8(data: bytes, fault: int) -> bool:
    """Whether there are characters of UTF-8 around the bytes that are none: two files in one."""
    around = data[max(0, fault - _SAMPLE) : fault + _SAMPLE].decode("utf-8", "surrogateescape")
    faults = sum(1 for c in around if "\udc80" <= c <= "\udcff")
    right = sum(1 for c in around if c > "\x7f") - faults
    return right * 4 > faults


def _code_page(data: bytes) -> str:
    """The code page that the letters beyond ASCII make sense in; "" if none has all bytes."""
    lines, size = [], 0
    for line in io.BytesIO(data):
        if line.isascii():
            continue
        lines.append(line[:_SAMPLE])
        size += len(lines[-1])
        if size > _SAMPLE:
            break
    told = chardet.detect_all(
        b"".join(lines)[:_SAMPLE], ignore_threshold=True, include_encodings=_CODE_PAGES
    )
    pages = [one["encoding"] or "" for one in told]
    for page in (*pages, "cp1252"):
        name = page.lower().replace("windows-", "cp")
        try:
            text = data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        # A code page has a letter for nearly every byte; what no text has tells noise from it.
        if not re.search(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]", text[:_SAMPLE]):
            return name
    return ""


def _decoded(data: bytes, source: str, encoding: str) -> str:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise DataError(
            f"data.encoding is {encoding!r}, which is no character encoding that Python knows. "
            "Most files are utf-8; those of older Windows programs cp1252, or utf-16."
        ) from None
    except UnicodeError as error:
        if not isinstance(error, UnicodeDecodeError):
            raise DataError(f"{source} is not {encoding} ({error}). Set data.encoding.") from None
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{source}, line {line}: byte 0x{data[error.start]:02x} is not {encoding}. Save the "
            "file as UTF-8, or set data.encoding to the encoding it has, such as cp1252."
        ) from None
