"""Against servers instead of files: one that answers, and one that doesn't."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.conftest import Command, Place, document, settings
from tests.web import browser

pytestmark = pytest.mark.slow

QUICK = (
    "data.sample=300", "training.model=nbsvm", "training.learning_rate=0.01", "training.epochs=3",
    "promotion.min_accuracy=0.5", "promotion.min_gain_over_baseline=-0.2",
    "evaluation.bootstrap_samples=100",
)  # fmt: skip


def test_a_retraining_on_an_mlflow_server(
    here: Path, store: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with browser.mlflow(f"sqlite:///{store}", Place(here).environment, here) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        outcome = document(command, "retrain", *settings(*QUICK))
        assert outcome["decision"] == "promoted"
        assert outcome["run_url"].startswith(address)
        (version,) = document(command, "models")
        assert (version["version"], version["aliases"]) == (1, ["challenger", "champion"])
        answer = document(command, "predict", "A wonderful, moving film.")
        assert answer["predictions"][0]["label"] in {"neg", "pos"}
        assert document(command, "retrain", *settings(*QUICK))["decision"] == "skipped"


def test_a_dead_mlflow_server_is_said_at_once(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"http://127.0.0.1:{browser.free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    start = time.monotonic()
    code, _, err = command("models")
    assert code == 4
    assert f"No MLflow server answers at {address}" in err
    assert "Traceback" not in err
    assert time.monotonic() - start < 60


def test_a_dead_prefect_server_is_said_at_once(place: Place) -> None:
    address = f"http://127.0.0.1:{browser.free_port()}/api"
    start = time.monotonic()
    done = place.run("retrain", PREFECT_API_URL=address)
    assert done.returncode == 4
    assert f"incumbent: No Prefect server answers at {address}" in done.stderr
    assert "`prefect server start`, or correct or unset PREFECT_API_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - start < 60


def test_data_from_any_address_goes_the_whole_way(here: Path, command: Command) -> None:
    assert command("data", "reviews", "here")[0] == 0
    sources = [f"data.{name}=local://{here}/here/{name}.xlsx" for name in ("train", "test")]
    columns = ("data.text_column=Reviews", "data.label_columns=Sentiment")
    outcome = document(command, "retrain", *settings(*QUICK, *sources, *columns))
    assert outcome["decision"] == "promoted"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["models", "--model", "typo"], "No model 'typo' is registered"),
        (["models", "--model", "a'b"], "letters, digits"),
        (["predict", "--model", "typo", "text"], "No model 'typo' is registered"),
    ],
)
def test_an_unknown_model_is_wrong_usage(command: Command, arguments: list[str], said: str) -> None:
    code, _, err = command(*arguments)
    assert code == 2
    assert said in err
