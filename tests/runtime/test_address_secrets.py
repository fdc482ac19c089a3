"""What is secret in an address is used, and neither shown nor recorded."""

from __future__ import annotations

import pytest

from incumbent import config, config_file
from incumbent.errors import DataError
from incumbent.runtime import address_secrets

SOURCES = [
    "https://me:planted@host:80/a.csv",
    "https://host/a.csv?sig=planted&se=2026#planted",
    "https://planted@host/a.csv?token=planted",
    "ftp://me:p/w?#@planted@host/a.csv",
    "zip://a.csv::https://me:planted@host/a.zip?sig=planted",
    "abfss://container@account.net/a.csv?sig=planted",
]


@pytest.mark.parametrize("source", SOURCES)
def test_a_hidden_address_tells_nothing_and_expands_to_what_it_was(source: str) -> None:
    settings: dict[str, str] = {}
    hidden = address_secrets.hidden(source, "INCUMBENT_DATA_TRAIN", settings)
    assert "planted" not in hidden
    assert address_secrets.public(hidden) == address_secrets.public(source)
    assert address_secrets.expanded(hidden, settings) == source
    assert address_secrets.hidden(hidden, "INCUMBENT_DATA_TRAIN", settings) == hidden


@pytest.mark.parametrize("source", ["", "data/it's #1? me@home.csv", "s3://bucket/a@2x.csv"])
def test_an_address_without_secrets_stays(source: str) -> None:
    settings: dict[str, str] = {}
    assert address_secrets.hidden(source, "X", settings) == source
    assert settings == {}


def test_a_name_that_is_not_set_is_said() -> None:
    with pytest.raises(DataError, match=r"\$\{NOT_HERE\} stands in the address, and NOT_HERE is"):
        address_secrets.expanded("https://host/${NOT_HERE}/a.csv", {})


@pytest.mark.parametrize(
    "said",
    [
        "503, url='https://host/PLANTED é=%2F1/a.csv'",
        "503, url='https://host/planted%20%c3%a9=%252F1/a.csv'",
        "503, url='https://HOST/PLANTED+%C3%A9%3D/1/a.csv'",
        "no file '/PLANTED é=/1/a.csv'",
    ],
)
def test_what_was_put_into_a_path_is_shown_by_its_name(said: str) -> None:
    settings = {"TOKEN": "PLANTED é=%2F1/", "HOST": "host", "SHORT": "PLANTED"}
    source = "https://${HOST}/${TOKEN}/${SHORT}/a.csv"
    shown = address_secrets.without_secrets(said, source, settings)
    assert "PLANTED" not in shown.upper()
    assert "${TOKEN}/a.csv" in shown
    assert address_secrets.without_secrets(shown, source, settings) == shown


def test_a_config_is_recorded_without_them() -> None:
    settings: dict[str, str] = {}
    whole = config.Config.model_validate({"data": {"train": SOURCES[0], "test": SOURCES[1]}})
    recorded = config_file.without_secrets(whole, settings)
    assert "planted" not in recorded.model_dump_json()
    assert recorded.data.train == "https://${INCUMBENT_DATA_TRAIN_0}@host:80/a.csv"
    assert address_secrets.expanded(recorded.data.test, settings) == SOURCES[1]


def test_what_a_run_records_of_several_sources_tells_nothing_either() -> None:
    settings: dict[str, str] = {}
    given = config.Config.model_validate({"data": {"train": SOURCES, "test": SOURCES[0]}})
    recorded = config_file.without_secrets(given, settings)
    assert "planted" not in recorded.model_dump_json()
    assert [address_secrets.expanded(source, settings) for source in recorded.data.train] == SOURCES
