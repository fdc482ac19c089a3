"""The formats that are read, by the extension of a file's name."""

from __future__ import annotations

import posixpath

from incumbent.errors import DataError
from incumbent.runtime.url_secrets import public

EXCEL = (".xlsx", ".xlsm", ".xls")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet",)
FORMATS = (*EXCEL, *DELIMITERS, *JSON_LINES, *PARQUET)
PACKED = (".gz", ".bz2")

SUSPECT_BYTES = 100 << 20
"""Unpacked; a file that unpacks to more is a bomb if it is packed better than `MAX_RATIO`."""
MAX_RATIO = 200
"""Unpacked to packed; real text stays below 20."""


def extension(source: str) -> str:
    """The format's extension, in lower case and without that of a compression.

    Raises:
        DataError: if no format goes by it.
    """
    name = name_of(source).lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    suffix = posixpath.splitext(name)[1]
    if suffix not in FORMATS:
        raise DataError(
            f"{public(source)}: {suffix or 'a name without an extension'} is no known format. "
            f"Expected one of {' '.join(FORMATS)}, or one of them with {' or '.join(PACKED)} "
            "added; save the data as .xlsx."
        )
    return suffix


def name_of(source: str) -> str:
    """The file's name; in a chain like `zip://a.csv::b.zip`, that of the first address."""
    links = public(source).split("::") if "://" in source else [source]
    return posixpath.basename(next((link for link in links if "://" in link), source))
