"""Which column is meant, where its name is written in another way."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# What people add to a name: "text (required)", "label*", "label: pos or neg", "text – in English".
_NOTE = re.compile(r"\s*(?:\(.*\)|\[.*\]|\{.*\}|\*+|[:–—]|(?:[:–—]|\s-)\s.*)\s*$", re.DOTALL)


_LONGEST = 200  # characters of a name; a cell with more is a text


def folded(name: str) -> str:
    """A name without what nobody sees: case, invisible characters, and how wide a space is."""
    if name.isascii():
        return " ".join(name.split()).casefold()
    seen = (c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c) != "Cf")
    return " ".join("".join(seen).split()).casefold()


def bare(name: str) -> str:
    """A folded name without the note behind it, or the further lines."""
    lines = name.strip().splitlines()
    found = folded(lines[0]) if lines else ""
    while (shorter := _NOTE.sub("", found)) not in (found, ""):
        found = shorter
    return found


def same(header: Sequence[str], name: str) -> list[int]:
    """Where the name stands in the header: as it is, or else in another case or spacing."""
    if exact := [at for at, found in enumerate(header) if found == name]:
        return exact
    wanted = folded(name)
    names = [folded(found) if len(found) <= _LONGEST else "" for found in header]
    return [at for at, found in enumerate(names) if wanted and found == wanted]


def like(header: Sequence[str], name: str) -> list[int]:
    """The same, or else where the name stands with a note."""
    if found := same(header, name):
        return found
    wanted = folded(name)
    names = [bare(found) if len(found) <= _LONGEST else "" for found in header]
    return [at for at, found in enumerate(names) if wanted and found == wanted]
