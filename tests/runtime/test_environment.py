"""The environment that a command sets up for the libraries."""

from __future__ import annotations

import os

import pytest

from incumbent.runtime import environment


def test_an_empty_address_of_prefect_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "")
    environment.prepare()
    assert "PREFECT_API_URL" not in os.environ


def test_what_the_owner_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    environment.prepare()
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"
