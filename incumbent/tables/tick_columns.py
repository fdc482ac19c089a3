"""Label columns of 1 and 0, or true and false, as sets of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from incumbent import label_sets
from incumbent.errors import DataError
from incumbent.tables.table import Formula, Table, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SAID = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


def sets_of(table: Table, columns: Mapping[str, Sequence[object]]) -> list[str]:
    """The set of labels (n,) of each row, as `label_sets.join` writes it.

    Args:
        table: What the columns are of.
        columns: The cells (n,) of each label.

    Raises:
        DataError: if a cell says neither yes nor no; the first is named.
    """
    names = sorted(columns)
    said = [
        [_SAID.get(as_text(cell).strip().casefold()) for cell in columns[name]] for name in names
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
            "expected 1 or 0, true or false: whether the row has that label. "
            + (f"So it is in at least {more:,} more cells of the label columns. " if more else "")
            + "Correct the data, or set data.label_columns to the columns that say so."
        )
    return [
        label_sets.join(name for name, has in zip(names, row, strict=True) if has)
        for row in zip(*said, strict=True)
    ]


def _found(cell: object) -> str:
    if isinstance(cell, Formula) and not cell.strip():
        return f"the formula {cell.formula[:80]!r} without a saved value (paste it as a value)"
    text = as_text(cell)
    return repr(text[:80]) if text.strip() else "an empty cell"
