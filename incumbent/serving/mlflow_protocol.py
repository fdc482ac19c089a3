"""MLflow's scoring protocol: what `/invocations` takes and answers."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from typing import Any

from incumbent.predictor import given_texts
from incumbent.serving.refusals import Refusal, TooMuch, WrongKind
from incumbent.serving.verified_model import Answer, VerifiedModel

_FORMATS = ("inputs", "instances", "dataframe_split", "dataframe_records")
_JSON, _CSV = "application/json", "text/csv"
_SPLIT = {"columns", "index", "data"}
_CELLS = 1_000_000  # of a table: pandas makes one for each row and column, be they sent or not


def texts(body: bytes, content_type: str, columns: Sequence[str]) -> tuple[list[str | None], bool]:
    """The texts of a request, and whether each answer shall say the version.

    Args:
        body: As it came.
        content_type: Its type; JSON without one.
        columns: The name of the column of texts, or those of its parts.

    Raises:
        Refusal: if it is none of what the protocol knows, or has no texts.
    """
    kind, *about = (part.strip() for part in content_type.lower().split(";"))
    if unknown := [part for part in about if part and part.replace('"', "") != "charset=utf-8"]:
        raise WrongKind(f"the content type has {unknown[0]!r}; only charset=utf-8 is read")
    version = False
    if kind in ("", _JSON):
        given, params = _of_json(body)
        version = _flag(params)
    elif kind == _CSV:
        given = _table(body)
    else:
        raise WrongKind(f"the content type is {kind!r}; {_JSON} or {_CSV} is expected")
    try:
        return given_texts(given, columns)[0], version
    except (ValueError, TypeError, RecursionError) as error:
        raise Refusal(str(error)) from None


def answer(
    model: VerifiedModel, answers: Sequence[Answer | None], *, version: bool
) -> dict[str, Any]:
    """The document that `/invocations` answers with."""
    nothing = dict.fromkeys(model.columns)
    about = {"model_name": model.name, "version": model.number} if version else {}
    return {"predictions": [(found or nothing) | about for found in answers]}


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds.

    Raises:
        Refusal: if it holds none.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        said = error if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise Refusal(f"the body is no JSON: {said}") from None
    if not isinstance(document, dict):
        raise Refusal(f"the body is a JSON {type(document).__name__}; an object is expected")
    return document


def _of_json(body: bytes) -> tuple[Any, Any]:
    document = parsed(body)
    there = [name for name in _FORMATS if name in document]
    if len(there) != 1:
        raise Refusal(
            f"the body has {', '.join(map(repr, document)) or 'no fields'}; exactly one of "
            f"{', '.join(_FORMATS)} is expected, and params besides"
        )
    given = document[there[0]]
    if there[0] == "dataframe_split":
        given = _split(given)
    elif there[0] == "dataframe_records" and not (
        isinstance(given, list) and all(isinstance(row, dict) for row in given)
    ):
        raise Refusal("dataframe_records is no list of objects")
    elif isinstance(given, list) and any(isinstance(row, list) for row in given):
        given = [_only(row) for row in given]
    if isinstance(given, list) and given and all(isinstance(row, dict) for row in given):
        _bound(len(given), len(set().union(*given)))
    elif isinstance(given, dict):
        _bound_columns(given)
    return given, document.get("params")


def _split(given: Any) -> Any:
    import pandas as pd

    if not isinstance(given, dict) or "data" not in given or given.keys() - _SPLIT:
        raise Refusal("dataframe_split is no object of data and, if need be, columns and index")
    data, columns = given["data"], given.get("columns")
    if not isinstance(data, list) or not all(isinstance(row, list) for row in data):
        raise Refusal("dataframe_split has no list of lists as its data")
    _bound(len(data), max(map(len, [columns or [], *data])))
    try:
        return pd.DataFrame(data, given.get("index"), columns)
    except (ValueError, TypeError) as error:
        raise Refusal(f"dataframe_split is no table: {error}") from None


def _bound(rows: int, columns: int) -> None:
    """See that a table is not far larger than what was sent of it."""
    if rows * columns > _CELLS:
        raise TooMuch(
            f"the table has {rows:,} rows and {columns:,} columns; {_CELLS:,} cells at most are "
            "taken. Leave out the columns that hold no text."
        )


def _bound_columns(given: dict[str, Any]) -> None:
    rows = 1
    for name, column in given.items():
        if isinstance(column, dict):
            raise Refusal(f"the column {name!r} is an object; a list of texts is expected")
        if isinstance(column, list):
            rows = max(rows, len(column))
    _bound(rows, len(given))


def _only(row: Any) -> Any:
    """The text of a row that came as a list of one."""
    if not isinstance(row, list):
        return row
    if len(row) != 1:
        raise Refusal(f"a row has {len(row)} values; one text a row is expected")
    return row[0]


def _table(body: bytes) -> Any:
    import pandas as pd

    try:
        text = body.decode()
        _look_over(text)
        # A text of digits is a text.
        return pd.read_csv(io.StringIO(text), dtype=str)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (ValueError, csv.Error) as error:
        raise Refusal(f"the body cannot be read as a table: {error}") from None


def _look_over(table: str) -> None:
    """See that no row of a CSV has more values than the header, and that it is not too large.

    Pandas would take the first of them for an index, and the rest of a text for the text.
    """
    csv.field_size_limit(sys.maxsize)  # the body's is enough
    header: list[str] = []
    rows = 0
    for row in csv.reader(io.StringIO(table, newline="")):
        header = header or row
        if len(row) > len(header):
            raise Refusal(
                f"row {rows - 1} of the table has {len(row)} values, and the header {len(header)}. "
                'Put texts that hold commas in quotes: "One, two."'
            )
        rows += bool(row)
    _bound(rows, len(header))


def _flag(params: Any) -> bool:
    if params is None:
        return False
    if not isinstance(params, dict) or not isinstance(params.get("version", False), bool):
        raise Refusal('params is no object like {"version": true}')
    return bool(params.get("version", False))
