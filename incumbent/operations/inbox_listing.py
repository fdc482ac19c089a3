"""What is in a watched place: its files, those in sub-folders too, without what is nobody's."""

from __future__ import annotations

import logging
import posixpath

from incumbent.errors import DataError
from incumbent.tables import fsspec_files, training_files

ANSWERS = "_answers"
"""The folder beside the files that answers are put into; no file in it is ever data."""

_DEEPEST = 10  # folders in folders
# What systems and programs leave in folders, in lower case.
_LEFT_BEHIND = ("thumbs.db", "ehthumbs.db", "desktop.ini", "autorun.inf", "icon\r", ANSWERS)
_SHORTCUTS = (".lnk", ".url", ".webloc")
_FOLDERS = (
    ANSWERS, "__macosx", "$recycle.bin", "system volume information", "lost+found", "@eadir",
    "#recycle",
)  # fmt: skip

_log = logging.getLogger(__name__)


def files(place: str) -> dict[str, str] | None:
    """The files by their path in the place: what changes when they do; None if it isn't there.

    A sub-folder that cannot be looked into is left out: it keeps no other file back.

    Raises:
        DataError: if the place itself cannot be looked into.
    """
    top = fsspec_files.listing(place.rstrip("/") or "/")
    if top is None:
        return None
    found: dict[str, str] = {}
    waiting = [("", top)]
    while waiting:
        folder, (names, folders) = waiting.pop()
        found |= {folder + name: sign for name, sign in names.items() if _data(name)}
        if folder.count("/") >= _DEEPEST:
            continue
        for name in folders:
            if name.startswith(".") or name.lower() in _FOLDERS:
                continue
            try:
                inner = fsspec_files.listing(f"{place.rstrip('/')}/{folder}{name}")
            except DataError as error:
                _log.warning("%s", error)
                continue
            if inner:
                waiting.append((f"{folder}{name}/", inner))
    return dict(sorted(found.items()))


def _data(name: str) -> bool:
    low = name.lower()
    return (
        training_files.finished(name) and low not in _LEFT_BEHIND and not low.endswith(_SHORTCUTS)
    )


def address(place: str, name: str) -> str:
    """Where a file of the place is."""
    return f"{place.rstrip('/')}/{name}"


def beside(name: str, ending: str) -> str:
    """The name of an answer to a file, in the place."""
    folder, base = posixpath.split(name)
    return posixpath.join(folder, ANSWERS, base + ending)
