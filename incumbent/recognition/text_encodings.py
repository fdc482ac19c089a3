"""Bytes to text, each file in the encoding that it is in."""

from __future__ import annotations

import codecs
import io
import unicodedata
from itertools import zip_longest
from typing import TYPE_CHECKING

from incumbent.errors import DataError
from incumbent.recognition import code_pages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
_FEW = 4  # characters that tell nothing of it
_HEAD = 4096  # bytes that are looked at for UTF-16 without a mark
_SHOWN = 60  # characters of a line that messages have
_AROUND = 1 << 20  # bytes before and behind those that are not UTF-8
_ASKED = 20  # files that a common code page is told from


def decode(data: bytes, source: str, encoding: str) -> tuple[str, str]:
    """The text, without a byte-order mark, and what to say of its encoding; "" if it's plain UTF-8.

    A byte-order mark decides; else `encoding`, unless that is `AUTO`.

    Raises:
        DataError: naming the line and the byte that the encoding has no character for, or the
            encodings of which each makes another text.
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
        pages = [] if _mostly_utf8(data, error.start) else code_pages.told(data)
        if not pages:
            return _decoded(data, source, "utf-8"), ""
        if len(pages) > 1:
            raise _ambiguous(data, source, pages) from None
        (page,) = pages
        said = f"read as {page}, as it is not UTF-8; data.encoding decides, if letters look wrong"
        return data.decode(page), said


def decode_each(files: Mapping[str, bytes], encoding: str) -> dict[str, str]:
    """The texts of small files, by name, each in the encoding that it is in.

    A short text tells little of its code page, and many take long to ask: where some of those that
    are not UTF-8 agree on one, all are in it.

    Raises:
        DataError: as `decode` does, or naming a file that is no text.
    """
    texts: dict[str, str] = {}
    others: dict[str, bytes] = {}
    for name, data in files.items():
        if not is_text(data):
            raise DataError(
                f"{name} is no text: it begins with {data[:12]!r}. Save it as text, or take it "
                "out of the folder."
            )
        if encoding != AUTO or _marked(data) or _without_mark(data) or _is_utf8(data):
            texts[name] = decode(data, name, encoding)[0]
        else:
            others[name] = data
    page = _common_page([*others.values()])
    for name, data in others.items():
        try:
            texts[name] = data.decode(page) if page else decode(data, name, AUTO)[0]
        except UnicodeDecodeError:
            texts[name] = decode(data, name, AUTO)[0]
    return {name: texts[name] for name in files}


def _common_page(files: Sequence[bytes]) -> str:
    """The code page of all files, told from some; "" if they are in several."""
    some = files[:: max(1, len(files) // _ASKED)]
    pages = code_pages.told(b"\n".join(some)) if some else []
    if len(pages) != 1:
        return ""
    (page,) = pages
    alike = all(
        one.decode(page, "replace") in [one.decode(own, "replace") for own in code_pages.told(one)]
        for one in some
    )
    return page if alike else ""


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
    """UTF-16 that has no mark: every other byte of its Latin letters is zero; "" if it is not.

    Of other scripts it has at least ends of lines, and none but letters that there are.
    """
    head = data[: _HEAD & ~1]
    if b"\0" not in head:
        return ""
    even, odd = head[::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if half >= _FEW and len(data) % 2 == 0:
        if odd > half * 0.3 and even < half * 0.05:
            return "utf-16-le"
        if even > half * 0.3 and odd < half * 0.05:
            return "utf-16-be"
        return next((name for name in ("utf-16-le", "utf-16-be") if _is_wide(head, name)), "")
    return ""


def _is_wide(head: bytes, encoding: str) -> bool:
    text = head.decode(encoding, "replace")[:-1]  # its end may be half a letter
    ascii_ones = sum(map(str.isascii, text))
    return (
        "\n" in text and "\0" not in text and ascii_ones > len(text) * 0.02
        and not any(c == "\ufffd" or unicodedata.category(c) in ("Cn", "Co") for c in text)
    )  # fmt: skip


def _mostly_utf8(data: bytes, fault: int) -> bool:
    """Whether lines of UTF-8 are around the one that is none: two files in one."""
    around = data[max(0, fault - _AROUND) : fault + _AROUND]
    lines = [line for line in io.BytesIO(around) if not line.isascii()]
    right = sum(map(_is_utf8, lines))
    return right * 4 > len(lines) - right


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _ambiguous(data: bytes, source: str, pages: list[str]) -> DataError:
    """With the first line that they read differently."""
    number, texts = next(
        (number, texts)
        for number, line in enumerate(io.BytesIO(data), start=1)
        if len({*(texts := [line.decode(page, "replace").strip() for page in pages])}) > 1
    )
    apart = next(at for at, each in enumerate(zip_longest(*texts)) if len({*each}) > 1)
    start = max(0, apart - _SHOWN // 2)
    shown = [text[start : start + _SHOWN] for text in texts]
    readings = " or ".join(f"{text!r} ({page})" for text, page in zip(shown, pages, strict=True))
    return DataError(
        f"{source} is not UTF-8, and line {number} may read {readings}. Set data.encoding to the "
        "one that is right, or save the file as UTF-8."
    )


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
