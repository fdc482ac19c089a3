"""Which label each text of a folder has: the name of the sub-folder that it is in."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from incumbent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT = ".txt"
_UNLABELLED = ("unsup", "unsupervised", "unlabelled", "unlabeled")
_SPLITS = ("train", "training", "test", "testing", "dev", "valid", "validation", "val", "eval")
_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")
_OF_SYSTEMS = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin")
_SHOWN = 3  # names that a message lists


class Texts(NamedTuple):
    """The texts of a folder."""

    paths: list[str]
    """Of each text (n,), under the folder, sorted."""
    labels: list[str]
    """Of each text (n,); "" in a folder that says that its texts have none."""
    note: str
    """What was left out; "" if nothing was."""


def finished(name: str) -> bool:
    """Whether a file or folder is somebody's, by its name.

    What programs give to what they are still writing is not, nor what systems keep beside files.
    """
    lower = name.lower()
    return not (name.startswith((".", "~$")) or lower.endswith(_UNFINISHED) or lower in _OF_SYSTEMS)


def texts(folder: str, paths: Sequence[str]) -> Texts | None:
    """The texts among the files of a folder, each with its label; None if no sub-folder has any.

    Folders that are alone in theirs, as `train` may be, count for nothing.

    Args:
        folder: As messages name it.
        paths: All files under the folder, by their names from there.

    Raises:
        DataError: if it cannot be told which folders are the labels.
    """
    ours = sorted(path for path in paths if all(map(finished, path.split("/"))))
    found = [path for path in ours if path.lower().endswith(TEXT)]
    inside = [path for path in found if "/" in path]
    if not inside:
        return None
    parts = [path.split("/")[:-1] for path in inside]
    level = _level(parts)
    names = list(dict.fromkeys(part[level] for part in parts))
    above = "/".join([folder.rstrip("/"), *parts[0][:level]])
    if len(names) > 1 and all(name.lower() in _SPLITS for name in names):
        shown = ", ".join(f"{above}/{name}" for name in names)
        raise DataError(
            f"{above} holds the folders {_listed(names)}, which are no labels. Set data.train and "
            f"data.test each to one of them: {shown}."
        )
    direct = {part[level] for part in parts if len(part) == level + 1}
    for path, part in zip(inside, parts, strict=True):
        if part[level] not in direct:
            raise DataError(
                f"{folder}: the label of {path} may be {part[level]!r} or {part[-1]!r}. The texts "
                "of a label must be in one folder with its name: move them there; or, if "
                f"{part[-1]!r} is the label, name the folders above as a list, like "
                f"data.train: [{', '.join(f'{above}/{name}' for name in names[:_SHOWN])}]."
            )
    labels = ["" if p[level].lower() in _UNLABELLED else p[level] for p in parts]
    return Texts(inside, labels, _left_out(ours, set(inside)))


def _level(parts: Sequence[Sequence[str]]) -> int:
    """How deep the labels are: below folders that are alone in theirs."""
    level = 0
    while len({part[level] for part in parts}) == 1 and all(len(p) > level + 1 for p in parts):
        level += 1
    return level


def _left_out(ours: Sequence[str], taken: set[str]) -> str:
    """What is not the text of a label, to be said."""
    others = [path for path in ours if path not in taken]
    if not others:
        return ""
    count = "1 file that is" if len(others) == 1 else f"{len(others):,} files that are"
    return f"{count} no {TEXT} in a folder of a label left out: {_listed(others)}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    shown = ", ".join(map(posixpath.normpath, names[:_SHOWN]))
    return f"{shown} and {more:,} more" if more > 0 else shown
