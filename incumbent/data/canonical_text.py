"""Texts and labels as all stages see them: plain line feeds, and no control characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from incumbent.label_sets import CONTROL
from incumbent.tables import reader

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONTROL_BYTES = (
    bytes(range(9)) + b"\x0b\x0c\x7f\xed" + bytes(range(14, 32))
)  # in UTF-8; 0xED leads
_LOOK = 10_000  # texts that are searched for control characters at once


def canonical(frame: pd.DataFrame) -> pd.DataFrame:
    """What `reader.read` gives, with plain line feeds, and spaces for control characters."""
    text = frame["text"].str.replace("\r\n", "\n").str.replace("\r", "\n")
    control = _has_control(text)
    text[control] = text[control].str.replace(CONTROL, " ", regex=True)
    label = frame["label"].str.replace(CONTROL, " ", regex=True).str.strip()
    blank = (frame["found"] == "text") & (text.str.strip() == "")
    found = frame["found"].mask(blank, "empty")
    slices = {
        name: frame[name].str.replace(CONTROL, " ", regex=True).str.strip()
        for name in slices_of(frame.columns)
    }
    return frame.assign(text=text, label=label, found=found, control=control, **slices)


def _has_control(text: pd.Series[str]) -> pd.Series[bool]:
    """Which texts hold control characters; most often none does, and one look at many tells."""
    found = pd.Series(data=False, index=text.index)
    for start in range(0, len(text), _LOOK):
        part = text.iloc[start : start + _LOOK]
        together = "".join(part).encode("utf-8", "surrogatepass")
        if len(together.translate(None, delete=_CONTROL_BYTES)) != len(together):
            found.iloc[start : start + _LOOK] = part.str.contains(CONTROL, regex=True)
    return found


def fold(text: str) -> str:
    """Case folded and white space collapsed: equal for texts that a reader would call the same."""
    return " ".join(text.casefold().split())


def slices_of(names: Iterable[str]) -> list[str]:
    """Those of the names of columns that are slices'."""
    return [name for name in names if name.startswith(reader.SLICE)]
