"""The formats that are read, by the extension of a file's name where the contents are not asked."""

from __future__ import annotations

import posixpath

from incumbent.runtime.url_secrets import public

EXCEL = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet",)
FORMATS = (*EXCEL, *DELIMITERS, *JSON_LINES, *PARQUET)
"""A folder's files of these count; a file that is named is known by its contents."""
NAMED = (".json", ".tab", ".txt", ".zip")
"""Further names that people give to tables, and to other things too."""
PACKED = (".gz", ".bz2")


def extension(source: str) -> str:
    """The extension, in lower case and without that of a compression; "" if there is none."""
    name = name_of(source).lower()
    for packed in PACKED:
        name = name.removesuffix(packed)
    return posixpath.splitext(name)[1]


def name_of(source: str) -> str:
    """The file's name; in a chain like `zip://a.csv::b.zip`, that of the first address."""
    links = public(source).split("::") if "://" in source else [source]
    return posixpath.basename(next((link for link in links if "://" in link), source))
