"""Against servers instead of files: one that answers, and one that doesn't."""

from __future__ import annotations

import time

import pytest

from tests.conftest import Place, settings
from tests.web import browser

pytestmark = pytest.mark.slow

QUICK = (
    "data.sample=300", "training.model=nbsvm", "training.learning_rate=0.01", "training.epochs=3",
    "promotion.min_accuracy=0.5", "promotion.min_gain_over_baseline=-0.2",
    "evaluation.bootstrap_samples=100",
)  # fmt: skip


def test_a_retraining_on_an_mlflow_server(place: Place) -> None:
    with browser.mlflow(place.store, place.environment, place.folder) as address:
        place.environment["MLFLOW_TRACKING_URI"] = address
        outcome = place.json("retrain", *settings(*QUICK))
        assert outcome["decision"] == "promoted"
        assert outcome["run_url"].startswith(address)
        (version,) = place.json("models")
        assert (version["version"], version["aliases"]) == (1, ["challenger", "champion"])
        answer = place.json("predict", "A wonderful, moving film.")
        assert answer["predictions"][0]["label"] in {"neg", "pos"}
        assert place.json("retrain", *settings(*QUICK))["decision"] == "skipped"


def test_a_dead_mlflow_server_is_said_at_once(place: Place) -> None:
    place.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{browser.free_port()}"
    start = time.monotonic()
    done = place.run("models")
    assert done.returncode == 4
    assert f"No MLflow server answers at {place.environment['MLFLOW_TRACKING_URI']}" in done.stderr
    assert "Traceback" not in done.stderr
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


def test_data_from_any_address_goes_the_whole_way(place: Place) -> None:
    place.run("data", "reviews", "here")
    sources = [f"data.{name}=local://{place.folder}/here/{name}.xlsx" for name in ("train", "test")]
    columns = ("data.text_column=Reviews", "data.label_columns=Sentiment")
    outcome = place.json("retrain", *settings(*QUICK, *sources, *columns))
    assert outcome["decision"] == "promoted"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["models", "--model", "typo"], "No model 'typo' is registered"),
        (["models", "--model", "a'b"], "letters, digits"),
        (["predict", "--model", "typo", "text"], "No model 'typo' is registered"),
    ],
)
def test_an_unknown_model_is_wrong_usage(place: Place, arguments: list[str], said: str) -> None:
    done = place.run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
