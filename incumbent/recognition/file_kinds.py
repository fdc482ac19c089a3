"""What kind of file it is, told by its first bytes."""

from __future__ import annotations

import re
from typing import Literal

from incumbent.recognition.text_encodings import beginning, is_text

Kind = Literal["old workbook", "zip", "gzip", "bzip2", "parquet", "page", "json", "text", ""]
"""`old workbook` is also what holds an encrypted one, `zip` also .xlsx, .xlsb and .ods, `page` HTML
or XML; "" is none of these."""

_MAGIC: dict[bytes, Kind] = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "old workbook",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # an empty one
    b"\x1f\x8b\x08": "gzip",
    b"BZh": "bzip2",
    b"PAR1": "parquet",
}
_OTHER = (
    b"%PDF",
    b"{\\rtf",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"SQLite format 3",
    b"ORC",
    b"Rar!",
    b"7z",
)
_JSON = re.compile(r'\s*(?:\{\s*["}]|\[\s*[\[{\]"])')
_PAGE = re.compile(r"\s*<(?:!doctype\s+html|html|head|meta|body|table|style|\?xml|!--)", re.I)


def kind(data: bytes) -> Kind:
    """What a file is by its beginning, some kilobytes or all of it."""
    for magic, found in _MAGIC.items():
        if data.startswith(magic):
            return found
    if data.startswith(_OTHER) or not is_text(data):
        return ""
    head = beginning(data)
    if _JSON.match(head):
        return "json"
    return "page" if _PAGE.match(head) else "text"
