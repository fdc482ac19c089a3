"""Sets of labels as text: `billing|late`.

A row that may have none, one or several labels has them in one `label` text, like a row of one
class: the names, sorted and joined by `|` (as `pandas.Series.str.get_dummies` splits them), or
`none`. Equal sets are equal texts, so whatever compares labels need not know of sets.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

SEPARATOR = "|"
NONE = "none"
"""What stands for a row without any of the labels; a missing label is ""."""

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""C0 but tab and line feed (carriage returns are line ends, and folded into them), DEL, and halves
of surrogate pairs, which UTF-8 cannot hold."""


def fault(name: str) -> str:
    """Why a name cannot be that of a label in a set, in words that follow it; "" if it can."""
    if SEPARATOR in name:
        return f"holds {SEPARATOR!r}, which stands between the labels of a row"
    if name == NONE:
        return "stands for a row without labels"
    if not name or name != name.strip():
        return "is blank, or begins or ends with a space"
    return "holds control characters" if CONTROL.search(name) else ""


def join(names: Iterable[str]) -> str:
    """The text of a set."""
    return SEPARATOR.join(sorted(names)) or NONE


def split(label: str) -> tuple[str, ...]:
    """The names in the text of a set."""
    return () if label == NONE else tuple(label.split(SEPARATOR))


def is_set_of(label: str, names: Collection[str]) -> bool:
    """Whether a text is that of a set of some of these names, as `join` writes it."""
    parts = split(label)
    return set(parts) <= set(names) and label == join(set(parts))


def pattern(separator: str) -> str:
    """The regular expression of `data.label_separator`: a word, or signs of which any separates."""
    if _is_word(separator):
        return rf"\s+{re.escape(separator.strip())}\s+"
    return f"[{re.escape(_signs(separator))}]"


def in_one_cell(names: Iterable[str], separator: str) -> str:
    """Labels as one cell holds them, so that `pattern` takes them apart again."""
    between = f" {separator.strip()} " if _is_word(separator) else _signs(separator)[0]
    return between.join(names)


def _is_word(separator: str) -> bool:
    return any(character.isalnum() for character in separator)


def _signs(separator: str) -> str:
    return "".join(separator.split()) or separator
