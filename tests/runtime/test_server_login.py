"""A login reaches every client, and no address that is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from incumbent.errors import ConfigError
from incumbent.runtime import server_login
from incumbent.servers.ports_and_commands import PARTS, Servers

ROOT = Path("/srv/classifiers")
AUTH = {"INCUMBENT_AUTH": "owner:planted:secret-1"}


def test_it_is_given_to_the_clients_of_both_servers() -> None:
    settings = dict(AUTH)
    server_login.prepare(settings)
    assert settings == {
        **AUTH,
        "PREFECT_API_AUTH_STRING": "owner:planted:secret-1",
        "MLFLOW_TRACKING_USERNAME": "owner",
        "MLFLOW_TRACKING_PASSWORD": "planted:secret-1",
    }


def test_what_is_set_already_stays() -> None:
    settings = {**AUTH, "MLFLOW_TRACKING_PASSWORD": "another"}
    server_login.prepare(settings)
    assert settings["MLFLOW_TRACKING_PASSWORD"] == "another"  # noqa: S105


def test_a_login_in_an_address_is_taken_out() -> None:
    settings = {
        "MLFLOW_TRACKING_URI": "https://me:p%40ss:word@mlflow.example:5000/base?x=1",
        "PREFECT_API_URL": "http://you:their-word@prefect:4200/api",
        "MLFLOW_REGISTRY_URI": "sqlite:////srv/a@b/mlflow.db",
    }
    server_login.prepare(settings)
    assert settings == {
        "MLFLOW_TRACKING_URI": "https://mlflow.example:5000/base?x=1",
        "MLFLOW_TRACKING_USERNAME": "me",
        "MLFLOW_TRACKING_PASSWORD": "p@ss:word",
        "PREFECT_API_URL": "http://prefect:4200/api",
        "PREFECT_API_AUTH_STRING": "you:their-word",
        "MLFLOW_REGISTRY_URI": "sqlite:////srv/a@b/mlflow.db",
    }


@pytest.mark.parametrize(
    "text", ["planted-secret", ":planted-secret", "owner:plänted-secret", "owner:planted\nsecret"]
)
def test_no_login_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="user:password is expected") as refused:
        server_login.prepare({"INCUMBENT_AUTH": text})
    assert "nted" not in str(refused.value)


def test_a_short_password_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="7 characters; 12 at least") as refused:
        Servers.of({"INCUMBENT_AUTH": "owner:planted"}, ROOT)
    assert "planted" not in str(refused.value)


def test_both_servers_ask_for_it_and_no_command_line_or_record_tells_it() -> None:
    servers = Servers.of(AUTH, ROOT)
    environment = servers.environment()
    assert environment["PREFECT_SERVER_API_AUTH_STRING"] == "owner:planted:secret-1"
    assert environment["MLFLOW_AUTH_ADMIN_USERNAME"] == "owner"
    assert environment["MLFLOW_AUTH_ADMIN_PASSWORD"] == "planted:secret-1"  # noqa: S105
    assert "INCUMBENT_AUTH" not in environment
    assert "incumbent-login" in servers.command("mlflow")
    assert servers.public()["login"] == "owner"
    shown = f"{servers!r} {servers.public()} {[servers.command(part) for part in PARTS]}"
    assert "planted" not in shown


def test_without_it_neither_asks() -> None:
    servers = Servers.of({}, ROOT)
    assert not [name for name in servers.environment() if "AUTH" in name and "INCUMBENT" in name]
    assert "incumbent-login" not in servers.command("mlflow")
    assert servers.public()["login"] == "none"
