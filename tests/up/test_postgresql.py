"""Both servers on one real PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from incumbent.operations import status
from tests import postgresql
from tests.up.machine import Machine
from tests.web import browser

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warmed"), *postgresql.NEEDED]


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The address of an empty database, whose owner is no superuser."""
    with postgresql.database() as address:
        yield address


def test_both_servers_keep_what_they_know_in_it(
    database: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    machine.environment["INCUMBENT_DATABASE_URL"] = database
    try:
        addresses = machine.up()
        assert addresses["database"].startswith("postgresql://owner:***@")
        assert _tables(database, "prefect") >= {"flow_run", "deployment", "alembic_version"}
        assert _tables(database, "mlflow") >= {"runs", "registered_models", "alembic_version"}
        assert not (machine.folder / "mlruns" / "mlflow.db").exists()
        found = status.look({}, machine.folder)
        assert [server.answers for server in found.servers] == [True, True]
        assert "retrain/reviews" in {one.deployment for one in found.scheduled}
        _no_secret_in(machine)
    finally:
        assert machine.run("down").returncode == 0
    assert machine.left() == []


def test_a_database_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    port = browser.free_port()
    address = f"postgresql://owner:{postgresql.PASSWORD}@127.0.0.1:{port}/incumbent"
    done = machine.run("up", INCUMBENT_DATABASE_URL=address)
    assert done.returncode == 4
    assert f"postgresql://owner:***@127.0.0.1:{port}/incumbent" in done.stderr
    assert "Connection refused" in done.stderr
    assert "s3cret" not in done.stderr
    assert machine.left() == []


def _tables(database: str, schema: str) -> set[str]:
    import psycopg

    with psycopg.connect(database) as connection:
        found = connection.execute(
            "select tablename from pg_tables where schemaname = %s", [schema]
        )
        return {name for (name,) in found.fetchall()}


def _no_secret_in(machine: Machine) -> None:
    """Neither a file nor a command line tells the password."""
    for file in machine.up_folder.iterdir():
        assert "s3cret" not in file.read_text(errors="replace"), file
    for process in machine.left():
        assert b"s3cret" not in Path(f"/proc/{process.pid}/cmdline").read_bytes()


def test_workers_share_the_trials_of_a_sweep_beside_them(database: str) -> None:
    from incumbent.sweeps.search_space import SearchSpace
    from incumbent.sweeps.shared_study import Attempt, Result, SharedStudy
    from incumbent.tracking.mlflow_runs import Runs

    ran: list[int] = []

    def objective(attempt: Attempt) -> Result:
        ran.append(attempt.number)
        attempt.report(0.5, 1)
        return Result(state="finished", loss=attempt.values["training.warmup"], accuracy=0.5)

    def work(_: int) -> float:
        space = SearchSpace.of({"training.warmup": {"low": 0, "high": 0.5}})
        study = SharedStudy("sweep", database, space, 1)
        study.run(6, float("inf"), objective, lambda *_: None)
        return study.best().loss

    Runs(uri=database)  # MLflow's tables, if they are still to come
    with ThreadPoolExecutor(3) as workers:  # who come first at the same time
        best = set(workers.map(work, range(3)))
    assert sorted(ran) == list(range(6))
    assert len(best) == 1
    Runs(uri=database)  # MLflow finds its own as they were
