"""Labels as people write them: which are one, and which stand together in one cell.

What no reader can tell apart is one label: another Unicode normal form, characters without width,
no-break spaces and white space make no other, nor do `TRUE` for `True`, `1.0` and `1,0` for `1`.
It is shown as `validation.labels` spells it; or else as the test set does, which is frozen, so that
what a model answers does not change with the rows it is trained on; or else as training does. Of
several spellings the most common is meant. Case does make another label, which is asked about.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from incumbent import label_sets
from incumbent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

# Soft hyphens, marks of direction, spaces and joiners without width, byte order marks, and the
# selectors between a sign and its emoji.
_UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe0e\ufe0f\ufeff]"
)
# Joiners shape emoji and some scripts, but not Latin letters; nor do they at either end.
_JOINERS = re.compile("[\u200c\u200d]+(?=[\x00-\u024f]|$)|(?:(?<=[\x00-\u024f])|^)[\u200c\u200d]+")
_HYPHENS = str.maketrans("\u2010\u2011", "--")
_ALIKE = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014_", "''\"\"-- ")
_WHOLE = re.compile(r"(-?[0-9]+)(?:\.0+|,00?)")  # 1,000 is a thousand

BETWEEN = ",;|+/"
"""The signs that people put between labels."""

_BETWEEN = re.compile(f"[{re.escape(BETWEEN)}\n\t]")


def plain(label: str) -> str:
    """A label without what no reader sees."""
    seen = _JOINERS.sub("", _UNSEEN.sub("", label)).translate(_HYPHENS)
    return unicodedata.normalize("NFC", " ".join(seen.split()))


def key(label: str) -> str:
    """What two spellings of one label share."""
    seen = plain(label)
    if seen.casefold() in ("true", "false"):
        return seen.casefold()
    whole = _WHOLE.fullmatch(seen)
    return whole[1] if whole else seen


def loose_key(label: str) -> str:
    """What two labels share that a reader may take for one: they differ in case or form alone."""
    seen = unicodedata.normalize("NFKC", key(label)).casefold().translate(_ALIKE)
    return " ".join(seen.split())


def spellings(counts: Mapping[str, int]) -> dict[str, str]:
    """The spelling of each label by its `key`: the most common one.

    One that no reader sees anything wrong with comes before others.
    """
    found: dict[str, str] = {}
    for label in sorted(counts, key=lambda it: (plain(it) == it, counts[it], it), reverse=True):
        found.setdefault(key(label), label)
    return found


def respelled(labels: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Those of the labels that `known` spells otherwise, each with its spelling there."""
    found = spellings(dict.fromkeys(known, 1))
    by_key = {label: found.get(key(label), label) for label in labels if label not in known}
    return {label: other for label, other in by_key.items() if other != label}


def as_in(known: Collection[str], labels: Iterable[str]) -> tuple[str, ...]:
    """The labels without repetition, each as `known` spells it, if it does."""
    labels = tuple(labels)
    other = respelled(labels, known)
    return tuple(dict.fromkeys(other.get(label, label) for label in labels))


def unknown(labels: Iterable[str], known: Iterable[str]) -> list[str]:
    """Those of the labels that none of the known ones is, however it is spelled."""
    keys = set(map(key, known))
    return sorted(label for label in labels if key(label) not in keys)


@dataclass(frozen=True)
class Spelled:
    """How the labels of a split are read."""

    shown: dict[str, str]
    """The label of each cell that holds another text, as it is shown."""
    own: dict[str, str]
    """The same, as the split itself spells it: by this it is known, whatever the other does."""
    names: tuple[str, ...]
    """The labels of a split whose cells hold several, sorted, as they are shown; else none."""
    own_names: tuple[str, ...]
    """The same, spelled as the split does."""


def spelled(
    train: Mapping[str, int],
    test: Mapping[str, int],
    separator: str = "",
    named: Collection[str] = (),
) -> tuple[Spelled, Spelled]:
    """How the labels of both splits are read.

    Args:
        train: The texts in the label cells of train, and how many rows have each.
        test: Those of test.
        separator: What stands between the labels of a cell; nothing if it holds one.
        named: Labels that are spelled like this.

    Raises:
        DataError: if a cell holds something that cannot be one of several labels.
    """
    both = Counter(train) + Counter(test)
    split = _splitter(separator, both)
    shown = spellings(_of_each(train, split)) | spellings(_of_each(test, split))
    shown |= spellings(dict.fromkeys(filter(None, named), 1))
    return (
        _spelled(train, shown, split, _splitter(separator, train), sets=bool(separator)),
        _spelled(test, shown, split, _splitter(separator, test), sets=bool(separator)),
    )


def _spelled(
    counts: Mapping[str, int],
    preferred: Mapping[str, str],
    split: Callable[[str], list[str]],
    own_split: Callable[[str], list[str]],
    *,
    sets: bool,
) -> Spelled:
    by_itself = spellings(_of_each(counts, own_split))

    def read(
        cells: Callable[[str], list[str]], names: Mapping[str, str]
    ) -> tuple[dict[str, str], tuple[str, ...]]:
        found = {cell: [names[key(label)] for label in cells(cell)] for cell in counts if cell}
        texts = {
            cell: label_sets.join(set(labels)) if sets else labels[0]
            for cell, labels in found.items()
        }
        every = {label for labels in found.values() for label in labels} if sets else set()
        return {cell: text for cell, text in texts.items() if text != cell}, tuple(sorted(every))

    shown, names = read(split, preferred)
    own, own_names = read(own_split, by_itself)
    return Spelled(shown, own, names, own_names)


def _of_each(counts: Mapping[str, int], split: Callable[[str], list[str]]) -> Counter[str]:
    """How many rows have each label, as it is spelled."""
    found: Counter[str] = Counter()
    for cell, rows in counts.items():
        for label in split(cell) if cell else ():
            found[label] += rows
    return found


def _splitter(separator: str, cells: Iterable[str]) -> Callable[[str], list[str]]:
    """What takes the labels out of a cell.

    People mix what they put between labels: `billing;late` among cells like `billing, late` is two
    labels whatever the separator, if `billing` and `late` are labels in other cells.
    """
    if not separator:
        return lambda cell: [cell]
    sign = re.compile(label_sets.pattern(separator))

    def parts(cell: str) -> list[str]:
        found = [plain(part) for part in sign.split(cell)]
        return [part for part in found if part]

    every = {part for cell in cells for part in parts(cell)}
    known = {key(part) for part in every if not _BETWEEN.search(part)}

    def labels(cell: str) -> list[str]:
        found: list[str] = []
        for part in parts(cell):
            pieces = [piece.strip() for piece in _BETWEEN.split(part)]
            found += pieces if len(pieces) > 1 and {*map(key, pieces)} <= known else [part]
        named = [label for label in found if label != label_sets.NONE]
        for label in named:
            if fault := label_sets.fault(label):
                raise DataError(
                    f"The label {label[:80]!r}, of the cell {cell[:80]!r}, {fault}. Rename it in "
                    "the data, or set data.label_separator to what stands between labels."
                )
        return named

    return labels


def sharing_parts(labels: Collection[str]) -> dict[str, str]:
    """Labels that look like several, each with the signs between its parts.

    Several they are if a part is a label by itself, or the same parts stand together in another
    order. A word that only begins many labels, as `food/` may, is no sign of it.
    """
    known = {key(label) for label in labels}
    parts = {
        label: [key(part) for part in _BETWEEN.split(label)]
        for label in labels
        if _BETWEEN.search(key(label))  # 1,0 is 1
    }
    parts = {label: split for label, split in parts.items() if all(split)}
    together = Counter(tuple(sorted(split)) for split in parts.values())
    places: dict[str, set[bool]] = {}
    for split in parts.values():
        for at, part in enumerate(split):
            places.setdefault(part, set()).add(at == 0)
    return {
        label: "".join(sorted(set(_BETWEEN.findall(label))))
        for label, split in parts.items()
        if together[tuple(sorted(split))] > 1
        or any(part in known or len(places[part]) > 1 for part in split)
    }
