"""Where the records stand in a JSON file: one in each line, or in one value of some shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from incumbent.errors import DataError
from incumbent.recognition import annotation_exports
from incumbent.recognition.column_names import like

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEEP = 3  # objects in objects, in which records are looked for
_GOES_ON = ("{", "[", ",", ":")  # ends a line after which an object is not over


def is_one_value(text: str) -> bool:
    """Whether a file is one JSON value, not one a line; told by its first line."""
    first, _, rest = text.strip().partition("\n")
    try:
        json.loads(first)
    except ValueError:
        return first.startswith("[") or (first.startswith("{") and first.endswith(_GOES_ON))
    except RecursionError:
        return False
    return not rest


def records(value: object, source: str, columns: Sequence[str]) -> Sequence[object]:
    """The records in one JSON value.

    It is a list of them, or an object that holds such a list, perhaps in further objects, or the
    records themselves under their ids; a list of rows under a row of names; lists or objects by
    column; pandas' `columns` and `data`; or one record.

    Raises:
        DataError: if it holds several lists of records, and it cannot be told which is meant.
    """
    if isinstance(value, list):
        return _named(value[0], value[1:]) if _is_row(value) else value
    if not isinstance(value, dict) or annotation_exports.is_task(value):
        return [value]
    if columns and all(like(list(value), name) for name in columns):
        return _by_column(value)
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return _named(value["columns"], value["data"])
    if len(value) > 1 and columns and all(_is_record(held, columns) for held in value.values()):
        return list(value.values())
    lists = _lists(value)
    fit = [key for key, held in lists.items() if _is_record(held[0], columns)]
    lists = {fit[0]: lists[fit[0]]} if columns and len(fit) == 1 else lists
    if len(lists) > 1:
        raise DataError(
            f"{source} holds {len(lists)} lists of records: {', '.join(map(repr, lists))}. Leave "
            "one, or write each to a file of its own."
        )
    return next(iter(lists.values()), [value])


def _lists(value: dict[str, object], depth: int = _DEEP) -> dict[str, list[object]]:
    """The lists of records in an object, or else in those in it, by their keys."""
    found = {k: held for k, held in value.items() if isinstance(held, list) and _has_records(held)}
    if found or not depth:
        return found
    inner = {k: _lists(held, depth - 1) for k, held in value.items() if isinstance(held, dict)}
    return {f"{key}.{name}": held for key, of in inner.items() for name, held in of.items()}


def _is_record(value: object, columns: Sequence[str]) -> bool:
    return isinstance(value, dict) and all(
        like(list(value), name) or inside(value, name) is not None for name in columns
    )


def inside(record: Mapping[str, object], name: str) -> object:
    """What stands under a path of keys, like `review.text`; None if nothing does."""
    found: object = record
    for key in name.split(".") if "." in name else ():
        found = found.get(key) if isinstance(found, dict) else None
    return None if found is record else found


def _is_row(value: list[object]) -> bool:
    first = value[0] if value else None
    return isinstance(first, list) and all(isinstance(name, str) for name in first)


def _has_records(value: list[object]) -> bool:
    return bool(value) and isinstance(value[0], dict)


def _named(names: list[object], rows: Sequence[object]) -> list[object]:
    keys = list(map(str, names))
    return [dict(zip(keys, r, strict=False)) if isinstance(r, list) else r for r in rows]


def _by_column(value: dict[str, object]) -> Sequence[object]:
    columns = [
        list(held.values()) if isinstance(held, dict) else held
        for held in value.values()
        if isinstance(held, dict | list)
    ]
    if len(columns) < len(value) or len({len(column) for column in columns}) != 1:
        return [value]
    return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
