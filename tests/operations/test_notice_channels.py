"""The file that says who is told of what."""

from __future__ import annotations

from pathlib import Path

import pytest

from incumbent.errors import ConfigError, StageError
from incumbent.operations import notice_channels
from incumbent.servers.prefect_api_client import PrefectApi
from tests.conftest import ROOT
from tests.web import browser


def test_the_file_of_the_project_tells_everybody_everything() -> None:
    found = notice_channels.load(ROOT / notice_channels.FILE)
    assert set(found.notices) == set(notice_channels.EVENTS)
    assert {channel for told in found.notices.values() for channel in told} == set(found.channels)
    assert not notice_channels.configured(found, {})
    assert notice_channels.configured(
        found, {"INCUMBENT_NOTICE_SLACK": "https://hooks.slack.com/x"}
    )


def test_without_a_file_nobody_is_told(tmp_path: Path) -> None:
    assert notice_channels.load(tmp_path / "notices.yaml") == notice_channels.Notices()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("channels: {a: {kind: slack}}", "either `block`, or both `kind` and `from`"),
        ("channels: {a: {kind: fax, from: X}}", "channels.a.kind: Input should be 'slack'"),
        ("channels: {a: {url: x}}", "channels.a.url: Extra inputs are not permitted"),
        ("notices: {fired: []}", "there is no notice 'fired'; known are failed, crashed"),
        ("notices: {failed: [sms]}", "failed names the channel 'sms', which is not there"),
        ("- a", "Input should be a valid dictionary"),
        ("a: [", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "notices.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        notice_channels.load(path)
    assert said in str(raised.value)
    assert str(path) in str(raised.value)


def test_without_a_server_it_says_which_would_do() -> None:
    with pytest.raises(StageError, match="`make up` starts one"):
        notice_channels.apply(notice_channels.Notices(), {})


def test_a_server_that_does_not_answer_is_named() -> None:
    address = f"http://127.0.0.1:{browser.free_port()}/api"
    with pytest.raises(StageError, match=f"No Prefect server answers at {address} ") as raised:
        notice_channels.apply(notice_channels.Notices(), {"PREFECT_API_URL": address})
    assert "correct PREFECT_API_URL" in str(raised.value)


@pytest.mark.parametrize(
    ("names", "told"),
    [([], False), (["mine", "incumbent: mine"], False), (["mine", "incumbent: failed"], True)],
)
def test_what_is_sent_is_known(
    monkeypatch: pytest.MonkeyPatch, names: list[str], told: bool
) -> None:
    monkeypatch.setattr(PrefectApi, "automations", lambda _: names)
    assert notice_channels.sent(PrefectApi("http://127.0.0.1:1/api")) is told
