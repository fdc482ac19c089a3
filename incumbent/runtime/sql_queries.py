"""Ask a database that SQLAlchemy knows, some rows at a time, and change nothing in it."""

from __future__ import annotations

import decimal
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.errors import DataError, StageTimedOut
from incumbent.runtime.url_secrets import expanded, public, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from sqlalchemy import URL, Connection

_SCHEME = re.compile(r"(\w+)(\+\w+)?://")
_DIALECTS = (
    "sqlite", "postgresql", "postgres", "mysql", "mariadb", "oracle", "mssql", "duckdb",
    "snowflake", "bigquery", "redshift", "cockroachdb", "trino", "databricks", "clickhouse",
)  # fmt: skip
_PSYCOPG = "postgresql+psycopg"  # the driver that the extra `postgresql` installs
_PART = 2_000  # rows
_PART_BYTES = 16 << 20  # of the rows that are fetched at once, as far as one can tell beforehand
_MOST_ROWS = 10_000_000
_MOST_BYTES = 2 << 30  # of all cells; what other sources may unpack to
_CONNECT = 30  # seconds
_TIMED = ("psycopg", "psycopg2", "pymysql", "mysqldb")  # drivers with that option
# How a session is told to change nothing, where SQLAlchemy has no option for it.
_READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}


def is_database(source: str, settings: Mapping[str, str]) -> bool:
    """Whether a source is the address of a database, as SQLAlchemy writes it."""
    found = _SCHEME.match(source)
    if not found and source.startswith("${"):
        try:
            found = _SCHEME.match(expanded(source, settings))
        except DataError:  # reading says so
            return False
    return bool(found and (found[2] or found[1] in _DIALECTS))


def answer(
    source: str, query: str, settings: Mapping[str, str]
) -> Iterator[tuple[list[str], list[list[object]]]]:
    """The names of the columns, and some rows, until there are no more; once at least.

    Args:
        source: The address, with `${NAME}` for what the settings have. A password is written there
            as it is, without an URL's escapes.
        query: What gives the rows.
        settings: The environment.

    Raises:
        DataError: if the database cannot be asked, or answers with more than is read.
    """
    shown = public(source)
    with _connected(source, settings) as connection:
        options: dict[str, Any] = {"stream_results": True, "no_parameters": True}
        result = connection.execution_options(**options).exec_driver_sql(query.strip().rstrip(";"))
        if not result.returns_rows:
            raise DataError(f"{shown}: the query gives no rows. Write a `select`.")
        names = list(map(str, result.keys()))
        count = size = longest = 0
        wanted = 1  # at first, as a row may be of any size
        while rows := result.fetchmany(wanted):
            part = [[_plain(cell) for cell in row] for row in rows]
            sizes = [sum(map(_bytes, row)) for row in part]
            count, size, longest = count + len(part), size + sum(sizes), max(longest, *sizes)
            if count > _MOST_ROWS or size > _MOST_BYTES:
                most = f"{_MOST_ROWS:,} rows" if count > _MOST_ROWS else f"{_MOST_BYTES >> 30} GiB"
                raise DataError(
                    f"{shown}: the query gives more than {most}; at most that is read. Ask for "
                    "fewer rows, by a condition or a `limit`, or write them to Parquet."
                )
            yield names, part
            wanted = max(1, min(_PART, 4 * wanted, _PART_BYTES // max(longest, 1)))
        if not count:
            yield names, []


@contextmanager
def _connected(source: str, settings: Mapping[str, str]) -> Iterator[Connection]:
    """A connection whose transaction changes nothing."""
    import sqlalchemy
    from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    shown = public(source)
    try:
        url = _url(source, settings)
    except (ArgumentError, ValueError) as error:
        raise DataError(
            f"{shown} is no address of a database ({_line(error, source, settings)}). It is "
            "written like postgresql://user:${PASSWORD}@host:5432/name."
        ) from None
    try:
        dialect, driver = url.get_backend_name(), url.get_driver_name()
        if dialect == "sqlite":
            _exists(url, shown)
        timed = {"connect_timeout": _CONNECT} if driver in _TIMED else {}
        engine = sqlalchemy.create_engine(url, poolclass=NullPool, connect_args=timed)
        with engine.connect() as connection:
            if dialect == "postgresql":
                connection = connection.execution_options(postgresql_readonly=True)
            elif dialect in _READ_ONLY:
                connection.exec_driver_sql(_READ_ONLY[dialect])
            yield connection
    except (DataError, StageTimedOut):
        raise
    except (NoSuchModuleError, ImportError) as error:
        raise DataError(
            f"{shown}: the client of this database is not installed ({error}). For PostgreSQL: "
            ".venv/bin/python -m pip install 'incumbent[postgresql]'; for others, the driver that "
            "SQLAlchemy names, and write it into the address, like mysql+pymysql://."
        ) from None
    except SQLAlchemyError as error:
        reason = _line(getattr(error, "orig", None) or error, source, settings)
        asked = isinstance(error, DBAPIError) and error.statement is not None
        raise DataError(
            f"{shown}: the query failed ({reason}). Correct data.query, or data.test_query for "
            "the test set."
            if asked
            else f"{shown}: the database cannot be asked ({reason}). Check the address, the user "
            "and the password in it, and whether the server runs and may be reached from here."
        ) from None


def _url(source: str, settings: Mapping[str, str]) -> URL:
    """The address with its variables; a password in one may hold what URLs cannot."""
    from sqlalchemy.engine import make_url

    whole, password = expanded(source, settings), None
    # What is between the last colon before the @, and it, if that is one variable.
    if found := re.search(r"://[^/@]*:(\$\{\w+\})@", source):
        password = expanded(found[1], settings)
        without = source[: found.start(1)] + source[found.end(1) :]
        whole = expanded(without, settings)
    url = make_url(whole)
    if password is not None:
        url = url.set(password=password)
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername=_PSYCOPG)
    return url


def _exists(url: URL, shown: str) -> None:
    """SQLite makes a file that is not there.

    Raises:
        DataError: if it isn't.
    """
    name = url.database or ""
    if name and not name.startswith((":memory:", "file:")) and not Path(name).is_file():
        raise DataError(
            f"{shown}: there is no file {name}. Paths are relative to the working directory; an "
            "absolute one has four slashes, like sqlite:////data/reviews.db."
        )


def _line(error: object, source: str, settings: Mapping[str, str]) -> str:
    """What a driver says, in one line and without secrets."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return without_secrets(lines[0] if lines else type(error).__name__, source, settings)


def _plain(cell: object) -> object:
    """Whole numbers whole, whatever type a database has for them."""
    if isinstance(cell, decimal.Decimal) and cell.is_finite():
        return int(cell) if cell == cell.to_integral_value() else float(cell)
    return cell


def _bytes(cell: object) -> int:
    return len(cell) if isinstance(cell, str | bytes) else 8
