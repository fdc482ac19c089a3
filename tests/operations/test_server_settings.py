from __future__ import annotations

from pathlib import Path

import pytest

from incumbent.errors import ConfigError
from incumbent.operations.server_settings import PARTS, Servers

ROOT = Path("/srv/classifiers")
URL = "postgresql://me:pass%40word@db.example:5433/models?sslmode=require"


def test_the_defaults_are_the_usual_ports_and_sqlite() -> None:
    servers = Servers.of({}, ROOT)
    assert servers.clients == {
        "PREFECT_API_URL": "http://127.0.0.1:4200/api",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
    }
    assert servers.public()["database"] == "SQLite"
    environment = servers.environment()
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "sqlite:////srv/classifiers/mlruns/mlflow.db"
    assert environment["DO_NOT_TRACK"] == "true"


def test_all_listen_on_loopback() -> None:
    servers = Servers.of({}, ROOT)
    for part in PARTS[:2]:
        command = servers.command(part)
        assert command[command.index("--host") + 1] == "127.0.0.1"


def test_addresses_of_other_servers_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://elsewhere:5000")
    environment = Servers.of({}, ROOT).environment()
    assert environment["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"
    assert "MLFLOW_REGISTRY_URI" not in environment


def test_postgresql_serves_both_in_schemas_of_their_own() -> None:
    servers = Servers.of({"INCUMBENT_DATABASE_URL": URL}, ROOT)
    environment = servers.environment()
    mlflow = environment["MLFLOW_BACKEND_STORE_URI"]
    assert mlflow.startswith("postgresql://me:pass%40word@db.example:5433/models?")
    assert "sslmode=require" in mlflow
    assert "search_path%3Dmlflow" in mlflow
    prefect = environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
    assert prefect == "postgresql+asyncpg://me:pass%40word@db.example:5433/models?ssl=require"
    schema = environment["PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_SEARCH_PATH"]
    assert schema == "prefect,public"


def test_the_password_is_on_no_command_line_and_in_no_record() -> None:
    servers = Servers.of({"INCUMBENT_DATABASE_URL": URL}, ROOT)
    shown = f"{servers!r} {servers.public()} {[servers.command(part) for part in PARTS]}"
    assert "pass%40word" not in shown
    assert "pass@word" not in shown
    assert "me:***@db.example" in servers.public()["database"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"INCUMBENT_PREFECT_PORT": "http"}, "INCUMBENT_PREFECT_PORT is 'http'; a port from 1"),
        ({"INCUMBENT_MLFLOW_PORT": "70000"}, "INCUMBENT_MLFLOW_PORT is '70000'"),
        ({"INCUMBENT_PREFECT_PORT": "5000"}, "cannot share port 5000"),
        ({"INCUMBENT_DATABASE_URL": "mysql://me:secret@db/x"}, "an address of PostgreSQL is"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        Servers.of(settings, ROOT)
    assert "secret" not in str(refused.value)


def test_how_many_train_at_a_time_is_a_number_from_one() -> None:
    assert Servers.of({}, ROOT).trainings is None
    assert Servers.of({"INCUMBENT_TRAININGS": "2"}, ROOT).trainings == 2
    for wrong in ("0", "-1", "two"):
        with pytest.raises(ConfigError, match="how many runs may train at a time"):
            Servers.of({"INCUMBENT_TRAININGS": wrong}, ROOT)
