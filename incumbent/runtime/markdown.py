"""Escape text for pages that render markdown."""

from __future__ import annotations


def escaped(text: object) -> str:
    """The text with every character escaped that means something in markdown.

    `:` and `@` mean something in addresses, which GitHub's markdown makes links of.
    """
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+-.!|~&$:@" else c for c in str(text))
