"""Rows that a database gives for a query: SQLite, and PostgreSQL where it is installed."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from incumbent import config_loading, config_mistakes
from incumbent.config import Config, DataConfig
from incumbent.data import datasets, ingestion
from incumbent.errors import DataError
from incumbent.retraining import retraining_identity
from incumbent.runtime import sql_queries
from incumbent.tables import source_reading, table_reader
from tests import postgresql
from tests.web import browser

ROWS = [("A fine film", "pos", 1), ("naïve | dull", "neg", 0), (None, None, 0), ("3.5", "pos", 1)]
QUERY = "select * from reviews order by id;"


def fill(connection: object) -> None:
    """The same table in any database."""
    mark = "?" if isinstance(connection, sqlite3.Connection) else "%s"
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("create table reviews (id integer, text text, label text, score numeric)")
    statement = f"insert into reviews values ({', '.join([mark] * 4)})"  # noqa: S608
    cursor.executemany(statement, [(at, *row) for at, row in enumerate(ROWS)])
    connection.commit()  # type: ignore[attr-defined]


@pytest.fixture
def lite(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "reviews.db")) as connection:
        fill(connection)
    return f"sqlite:///{tmp_path}/reviews.db"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgresql.database() as address:
        import psycopg

        with psycopg.connect(address) as connection:
            fill(connection)
        yield address


def read(source: str, query: str, **config: object) -> pd.DataFrame:
    asked = DataConfig(train=source, test="test.csv", query=query, **config)
    return pd.concat(table_reader.parts(source, asked), ignore_index=True)


def refused(source: str, query: str) -> str:
    with pytest.raises(DataError) as caught:
        read(source, query)
    said = str(caught.value)
    assert "\n" not in said
    assert "s3cret" not in said
    assert said.startswith(source.partition("://")[0])
    return said


def check(source: str) -> None:
    """What holds of every database."""
    frame = read(source, QUERY)
    assert frame["text"].tolist() == ["A fine film", "naïve | dull", "3.5"]
    assert frame["label"].tolist() == ["pos", "neg", "pos"]
    assert frame["row"].tolist() == [1, 2, 4]
    assert read(source, QUERY, label_columns="score")["label"].tolist() == ["1", "0", "0", "1"]
    quoted = "select text, label from reviews where text like '%:f%' or label <> '%(x)s' and 1=1"
    assert len(read(source, quoted)) == 3
    assert "no column 'text'. Its columns are 'label'" in refused(
        source, "select label from reviews"
    )
    assert "has a header ('text', 'label') but no rows" in refused(
        source, "select text, label from reviews where id < 0"
    )
    assert "the query failed (" in (said := refused(source, "select a, label from reviews"))
    assert "data.query" in said
    assert "nowhere" in refused(source, "select * from nowhere")
    for harm in ("delete from reviews", "drop table reviews", "insert into reviews values (9)"):
        refused(source, harm)
    assert len(read(source, QUERY)) == 3


def test_sqlite(lite: str) -> None:
    check(lite)


@pytest.mark.slow
class TestPostgreSQL:
    """A server with a password."""

    pytestmark = postgresql.NEEDED

    def test_it_is_read(self, postgres: str) -> None:
        check(postgres)
        check(postgres.replace("postgresql://", "postgresql+psycopg://"))

    def test_what_keeps_from_it_is_said(self, postgres: str) -> None:
        wrong = postgres.replace("s3cret", "s3cret-other")
        assert "password authentication failed" in refused(wrong, QUERY)
        gone = f"postgresql://owner:s3cret@127.0.0.1:{browser.free_port()}/incumbent"
        assert "the database cannot be asked (" in refused(gone, QUERY)
        assert "does not exist" in refused(f"{postgres}s", QUERY)

    def test_a_password_is_in_the_environment_as_it_is(
        self, postgres: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DB_PASSWORD", "s3cret/word")
        named = postgres.replace(postgresql.PASSWORD, "${DB_PASSWORD}")
        assert len(read(named, QUERY)) == 3
        monkeypatch.setenv("DB", postgres)
        assert len(read("${DB}", QUERY)) == 3
        settings: dict[str, str] = {}
        hidden = config_loading.without_secrets(
            Config(data=DataConfig(train=postgres, test="t.csv", query=QUERY)), settings
        )
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        assert "s3cret" not in hidden.model_dump_json()
        assert len(read(str(hidden.data.train), QUERY)) == 3
        shown = retraining_identity.settings(Config(data=hidden.data))
        assert "s3cret" not in str(shown)

    def test_a_hundred_million_rows_are_refused_in_little_memory(
        self, postgres: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sql_queries, "_MOST_ROWS", 20_000)
        many = (
            "select 'text ' || n as text, 'pos' as label "
            "from (select generate_series(1, 100000000) n) s"
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert "more than 20,000 rows; at most that is read" in refused(postgres, many)
        wide = "select repeat('x', 9000000) as text, 'pos' as label from generate_series(1, 10000)"
        monkeypatch.setattr(sql_queries, "_MOST_BYTES", 100_000_000)
        assert "more than 0 GiB" in refused(postgres, wide)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10


def test_rows_are_fetched_as_they_are_asked_for(lite: str) -> None:
    endless = (
        "with recursive n(i) as (select 1 union all select i + 1 from n) "
        "select 'text ' || i as text, 'pos' as label from n"
    )
    asked = DataConfig(train=lite, test="test.csv", query=endless)
    tables = source_reading.tables(lite, asked, ("text", "label"), ())
    sizes = [len(next(tables).rows) for _ in range(8)]
    assert sizes == [1, 4, 16, 64, 256, 1024, 2000, 2000]
    tables.close()


def test_a_dataset_of_both_sides(lite: str, tmp_path: Path) -> None:
    config = DataConfig(
        train=lite, query="select text, label from reviews where id <> 3 order by id",
        test=lite, test_query="select text, label from reviews where id = 3",
    )  # fmt: skip
    dataset = ingestion.ingest(config, tmp_path / "work")
    assert (dataset.train.rows, dataset.test.rows) == (2, 1)
    assert datasets.load(dataset.test)["text"].tolist() == ["3.5"]
    with closing(sqlite3.connect(tmp_path / "reviews.db")) as connection:
        connection.execute("update reviews set text = 'new' where id = 0")
        connection.commit()
    again = ingestion.ingest(config, tmp_path / "work")
    assert again.train.digest != dataset.train.digest
    assert again.test.digest == dataset.test.digest


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("sqlite:///missing.db", "there is no file missing.db"),
        ("nonsense+driver://host/db", "client of this database is not installed"),
        ("mysql+pymysql://u:s3cret@host/db", "client of this database is not installed"),
        ("postgresql://u:s3cret@host:port/db", "is no address of a database"),
        ("postgresql+psycopg://u:${NOT_SET}@host/db", r"NOT_SET is not set in the environment"),
    ],
)
def test_an_address_that_cannot_be_asked(source: str, said: str) -> None:
    assert said in refused(source, QUERY)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database, but long enough to be looked at by SQLite" * 20)
    assert "file is not a database" in refused(f"sqlite:///{tmp_path}/x.db", QUERY)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            {"train": "sqlite:///a.db", "test": "t.csv"},
            "data.query is not set: sqlite:///a.db is a",
        ),
        (
            {"train": "a.csv", "test": "mysql://u:s3cret@h/d"},
            "data.test_query is not set: mysql://h",
        ),
        ({"train": "a.csv", "test": "t.csv", "query": "select 1"}, "data.query is for a database"),
    ],
)
def test_what_a_config_needs(data: dict[str, str], said: str) -> None:
    (mistake,) = config_mistakes.mistakes({"data": data})
    assert said in mistake
    assert "s3cret" not in mistake.partition(" (found")[0]
