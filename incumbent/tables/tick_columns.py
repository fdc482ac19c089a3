"""Label columns of ticks and blanks, yes and no, 1 and 0, as sets of labels."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from incumbent import label_sets
from incumbent.errors import DataError
from incumbent.tables.table import Formula, Table, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# In the languages of spreadsheets, words and what programs show for a boolean cell.
_YES = """
1 1.0 1,0 +1 x xx v × ✓ ✔ ✅ ☑ ☒ √ • ● ⬤ ○ ◯ 〇 ⨯ 𝕏 [x] (x) * + true t yes y yep on checked ticked
ja j wahr oui o vrai si s sí verdadero vero sim verdadeiro waar tak t prawda ano pravda igen igaz da
adevărat да истина так ναι αληθής evet doğru kyllä tosi sant sand sann jah áno
はい 真 是 对 有 예 네 نعم כן हाँ có đúng ya benar
"""
_NO = """
0 0.0 0,0 -0 - -- – — ✗ ✘ ❌ ☐ [] () . false f no n nope off unchecked none n/a na
nein falsch non faux falso não nao nee onwaar nie fałsz ne nepravda nem hamis nu fals нет ложь ні
όχι ψευδής hayır hayir yanlış ei epätosi nej nei usant falsk いいえ 偽 否 不 无 아니요 아니오
لا לא नहीं không sai tidak salah
"""


def _folded(text: str) -> str:
    """A tick as it is compared: without case, white space and what has no width."""
    seen = unicodedata.normalize("NFC", text).casefold()
    kept = "".join(
        c for c in seen if unicodedata.category(c) not in ("Cf", "Mn") and c.isprintable()
    )
    return "".join(kept.split())


_SAID = {_folded(word): True for word in _YES.split()} | {
    _folded(word): False for word in _NO.split()
}

# Where people write circles or checks for yes, a cross is a no; where they only cross, it is a yes.
_CROSSES = frozenset(map(_folded, ["x", "xx", "×", "⨯", "𝕏", "[x]", "(x)", "☒"]))
_OTHERS = frozenset(map(_folded, ["o", "○", "◯", "〇", "v", "√", "✓", "✔", "✅", "☑"]))


def says_no(cells: Iterable[object]) -> bool:
    """Whether any of these cells of label columns says no in words, and not by being blank."""
    return any(_SAID.get(_cell(cell) or "?") is False for cell in cells)


def sets_of(table: Table, columns: Mapping[str, Sequence[object]], *, in_words: bool) -> list[str]:
    """The set of labels (n,) of each row, as `label_sets.join` writes it.

    A blank cell is a no. But where others of the source say no in words, a row that is blank in all
    of the columns is one that nobody looked at: it has no label, "".

    Args:
        table: What the columns are of.
        columns: The cells (n,) of each label.
        in_words: Whether any cell of the whole source `says_no`.

    Raises:
        DataError: if a cell says neither yes nor no; the first is named. Or if there are crosses
            and other ticks, so that a cross may be a no.
    """
    names = sorted(columns)
    cells = [[_cell(cell) for cell in columns[name]] for name in names]
    _check_crosses(table, cells)
    said = [
        [False if cell == "" else _SAID.get(cell or "?") for cell in column] for column in cells
    ]
    wrong = [
        (row, index)
        for index, column in enumerate(said)
        for row, value in enumerate(column)
        if value is None
    ]
    if wrong:
        row, index = min(wrong)
        found = _found(columns[names[index]][row])
        more = len(wrong) - 1
        raise DataError(
            f"{table.where}, row {table.numbers[row]}, column {names[index]!r}: found {found}; "
            "expected x or nothing, yes or no, 1 or 0, true or false: whether the row has that "
            "label. "
            + (f"So it is in at least {more:,} more cells of the label columns. " if more else "")
            + "Correct the data, or set data.label_columns to the columns that say so."
        )
    return [
        ""
        if in_words and not any(written)
        else label_sets.join(name for name, has in zip(names, row, strict=True) if has)
        for row, written in zip(zip(*said, strict=True), zip(*cells, strict=True), strict=True)
    ]


def _check_crosses(table: Table, cells: Sequence[Sequence[str | None]]) -> None:
    found = {cell for column in cells for cell in column if cell}
    crosses, others = sorted(found & _CROSSES), sorted(found & _OTHERS)
    if crosses and others:
        raise DataError(
            f"{table.where}: the label columns hold both {crosses[0]!r} and {others[0]!r}, and "
            f"{crosses[0]!r} may mean yes or no. Write yes and no, or one sign for yes and nothing "
            "for no."
        )


def _cell(cell: object) -> str | None:
    """What a cell holds, folded; None for a formula without a saved value."""
    if isinstance(cell, Formula) and not cell.strip():
        return None
    return _folded(as_text(cell))


def _found(cell: object) -> str:
    if isinstance(cell, Formula) and not cell.strip():
        return f"the formula {cell.formula[:80]!r} without a saved value (paste it as a value)"
    return repr(as_text(cell)[:80])
