"""One real retraining, seen from outside: what it says, and leaves in MLflow and Prefect."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname
from uuid import UUID

import mlflow
import pandas as pd
import pytest

from tests.conftest import SMALL, Command, Place, document, settings

pytestmark = pytest.mark.slow
First = tuple[Place, dict[str, Any]]


@pytest.fixture(scope="module")
def client(first: First) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(first[0].store, first[0].store)


def test_the_first_model_takes_the_title(first: First) -> None:
    _, outcome = first
    assert outcome["decision"] == "promoted"
    assert outcome["model_name"] == "reviews"
    assert outcome["version"] == outcome["champion_version"] == 1
    assert outcome["metrics"]["accuracy"] > outcome["metrics"]["baseline_accuracy"]
    assert set(outcome["timings"]) == {
        "ingest", "validate", "preprocess", "train", "evaluate", "register", "promote",
    }  # fmt: skip


def test_models_and_history_show_it(first: First, command_there: Command) -> None:
    _, outcome = first
    (version,) = document(command_there, "models")
    assert version["aliases"] == ["challenger", "champion"]
    assert version["metrics"]["accuracy"] == outcome["metrics"]["accuracy"]
    (record,) = document(command_there, "history")
    assert record["decision"] == "promoted"
    assert record["reason"] == outcome["reason"]
    gates = {gate["name"]: gate for gate in record["gates"]}
    assert set(gates) == {
        "round_trip", "one_answer", "min_accuracy", "baseline", "slices", "calibration",
        "behaviour",
    }  # fmt: skip
    assert all(gates[name]["passed"] for name in ("round_trip", "min_accuracy", "baseline"))
    assert "promoted" in command_there("history")[1]
    assert "champion" in command_there("models")[1]


def test_the_mlflow_run_holds_everything(first: First, client: mlflow.MlflowClient) -> None:
    _, outcome = first
    run = client.get_run(outcome["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["training.learning_rate"] == "0.0002"
    assert run.data.metrics["accuracy"] == outcome["metrics"]["accuracy"]
    assert run.data.tags["prefect.flow_run_id"] == outcome["flow_run_id"]
    assert outcome["flow_run_id"] in run.data.tags["mlflow.note.content"]
    inputs = {i.tags[0].value: i.dataset for i in run.inputs.dataset_inputs}
    assert set(inputs) == {"training", "testing"}
    assert len(inputs["training"].digest) == 36
    found = {file.path for file in client.list_artifacts(outcome["run_id"])}
    assert found >= {"data_docs", "plots", "predictor", "predictor.zip", "report.html"}
    plots = {Path(file.path).stem for file in client.list_artifacts(outcome["run_id"], "plots")}
    assert plots == {"confusion_matrix", "roc", "precision_recall", "reliability"}


def test_training_was_logged_as_it_went(first: First, client: mlflow.MlflowClient) -> None:
    _, outcome = first
    for name in ("train_loss", "train_accuracy", "learning_rate"):
        history = client.get_metric_history(outcome["run_id"], name)
        assert len({point.step for point in history}) > 2
        assert len({point.timestamp for point in history}) > 2
    losses = [p.value for p in client.get_metric_history(outcome["run_id"], "validation_loss")]
    assert len(losses) == 5  # epochs


def test_the_version_leads_to_its_run_data_and_config(
    first: First, client: mlflow.MlflowClient
) -> None:
    _, outcome = first
    version = client.get_model_version_by_alias("reviews", "champion")
    assert version.run_id == outcome["run_id"]
    for tag in ("run_digest", "config_digest", "dataset_digest", "test_digest"):
        assert len(version.tags[f"incumbent.{tag}"]) == 64
    assert version.tags["prefect.flow_run_id"] == outcome["flow_run_id"]


def test_the_most_wrong_reviews_are_a_table(first: First, client: mlflow.MlflowClient) -> None:
    _, outcome = first
    table = json.loads(
        Path(client.download_artifacts(outcome["run_id"], "top_losses.json")).read_text("utf-8")
    )
    assert table["columns"] == ["row", "text", "label", "predicted", "probability", "loss"]
    losses = [row[-1] for row in table["data"]]
    assert losses == sorted(losses, reverse=True)


@pytest.fixture(scope="module")
def consumer(
    first: First, client: mlflow.MlflowClient, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The Python of a new environment with what the champion's version asks for, and no more."""
    folder = tmp_path_factory.mktemp("consumer")
    version = client.get_model_version_by_alias("reviews", "champion")
    logged = client.get_logged_model(version.source.removeprefix("models:/"))
    place = Path(url2pathname(urlparse(logged.artifact_location).path))
    requirements = first[0].folder / place / "requirements.txt"
    python = str(folder / "env" / "bin" / "python")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "env"], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", python, "-r", requirements],
        check=True,
    )
    return python


def test_a_consumer_loads_the_champion_and_gets_what_was_evaluated(
    first: First, consumer: str
) -> None:
    place, outcome = first
    folder = place.folder / Path(outcome["report"]).parent
    evaluated = pd.read_parquet(folder / "probabilities.parquet").head(20)
    test = pd.read_excel(place.folder / ".incumbent" / "reviews" / "test.xlsx")
    (split,) = (place.folder / ".incumbent" / "datasets").glob("*/test.parquet")
    texts = pd.read_parquet(split)["text"].head(20)
    assert set(texts) <= set(test["Reviews"])
    texts.to_frame("Reviews").to_parquet(place.folder / "texts.parquet")
    code = (
        "import mlflow, pandas as pd\n"
        "model = mlflow.pyfunc.load_model('models:/reviews@champion')\n"
        "frame = pd.read_parquet('texts.parquet')\n"
        "answers = model.predict(frame)\n"
        "assert model.predict(frame['Reviews']).equals(answers)\n"
        "assert model.predict(frame['Reviews'].tolist()).equals(answers)\n"
        "assert model.predict(frame.rename(columns={'Reviews': 'text'})).equals(answers)\n"
        "answers.to_parquet('answers.parquet')\n"
        "from importlib.metadata import packages_distributions as installed\n"
        "heavy = {'tensorflow', 'ktrain', 'prefect', 'great_expectations', 'incumbent'}\n"
        "assert not heavy & set(installed()), heavy & set(installed())"
    )
    done = subprocess.run(
        [consumer, "-c", code], cwd=place.folder, check=False, capture_output=True, text=True,
        env={**place.environment, "MLFLOW_TRACKING_URI": place.store},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answers = pd.read_parquet(place.folder / "answers.parquet")
    assert list(answers.columns) == ["label", "probability_neg", "probability_pos"]
    for name in ("neg", "pos"):
        difference = (answers[f"probability_{name}"] - evaluated[name]).abs().max()
        assert difference < 1e-4


def test_plain_ktrain_opens_the_zip(first: First, client: mlflow.MlflowClient) -> None:
    place, outcome = first
    archive = client.download_artifacts(outcome["run_id"], "predictor.zip")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(place.folder / "unzipped")
    from incumbent.kernels import ktrain_import

    ktrain_import.load()
    import ktrain

    predictor = ktrain.load_predictor(str(place.folder / "unzipped" / "predictor"))
    assert predictor.get_classes() == ["neg", "pos"]
    assert predictor.predict(["A masterpiece."]) == ["pos"]


def test_predict_answers(command_there: Command) -> None:
    texts = ["A wonderful, moving film.", "Dull, lifeless and far too long."]
    answer = document(command_there, "predict", *texts)
    assert answer["version"] == 1
    assert [row["text"] for row in answer["predictions"]] == texts
    assert [row["label"] for row in answer["predictions"]] == ["pos", "neg"]
    for row in answer["predictions"]:
        assert sum(row["probabilities"].values()) == pytest.approx(1)


def test_prefect_shows_the_run_and_its_artifacts(first: First) -> None:
    place, outcome = first
    with sqlite3.connect(place.folder / "prefect" / "prefect.db") as database:
        state, parameters = database.execute(
            "select state_type, parameters from flow_run where id = ?",
            [outcome["flow_run_id"]],
        ).fetchone()
        artifacts = dict(database.execute("select key, data from artifact"))
    assert state == "COMPLETED"
    assert json.loads(parameters)["config"]["data"]["sample"] == 600
    assert set(artifacts) == {
        "data", "preview", "mlflow-run", "validation", "tokens", "training", "evaluation",
        "metrics", "top-losses", "decision",
    }  # fmt: skip
    assert outcome["run_id"] in artifacts["mlflow-run"]
    assert "promoted" in artifacts["decision"]
    assert float(artifacts["training"]) == 100


def test_the_report_is_one_page(first: First) -> None:
    place, outcome = first
    page = (place.folder / outcome["report"]).read_text(encoding="utf-8")
    assert "data:image/png;base64" in page
    assert "<script" not in page
    assert outcome["run_url"] in page


def test_the_same_again_is_skipped(first: First, command_there: Command) -> None:
    place, outcome = first
    done = place.run("retrain", "--json", *settings(*SMALL))
    assert (done.returncode, done.stderr) == (0, "")  # no server, no flow
    again = json.loads(done.stdout)
    assert again["decision"] == "skipped"
    assert again["version"] == again["champion_version"] == 1
    assert again["run_id"] == outcome["run_id"]
    assert again["flow_run_id"] == outcome["flow_run_id"]
    assert "version 1" in again["reason"]
    assert len(document(command_there, "models")) == 1


def test_refused_data_leaves_the_champion_alone(first: First, command_there: Command) -> None:
    place, _ = first
    frame = pd.DataFrame({"text": ["same words"] * 40, "label": ["pos"] * 40})
    frame.to_csv(place.folder / "one.csv", index=False)
    files = settings("data.train=one.csv", "data.test=one.csv")
    for name, said in (("other", "only one class"), ("reviews", "is not the frozen one")):
        code, out, err = command_there("retrain", "--json", *files, "--set", f"model_name={name}")
        assert code == 3
        assert said in err.lower()
        assert "Traceback" not in err
        assert not out
    (version,) = document(command_there, "models")
    assert "champion" in version["aliases"]


def test_another_seed_is_judged_against_the_champion(
    first: First, client: mlflow.MlflowClient, command_there: Command
) -> None:
    place, _ = first
    outcome = document(command_there, "retrain", *settings(*SMALL, "training.seed=2"))
    assert outcome["decision"] in {"kept", "promoted"}
    assert outcome["version"] == 2
    record = document(command_there, "history")[-1]
    assert record["rule"] == "superiority"
    assert record["previous_champion"] == 1
    champion = client.get_model_version_by_alias("reviews", "champion")
    assert int(champion.version) == outcome["champion_version"] == record["champion"]
    assert (outcome["decision"] == "promoted") == (outcome["champion_version"] == 2)
    gates = {gate["name"]: gate for gate in record["gates"]}
    assert set(gates) >= {"superiority", "ratchet", "negative_flips", "latency", "size"}
    assert gates["superiority"]["passed"] == (outcome["decision"] == "promoted")
    assert len(list((place.folder / ".incumbent" / "encoded").iterdir())) == 1
    # Every gate's verdict is on the Prefect page, in the report and in `explain`.
    page = _shown("decision", outcome["flow_run_id"])
    report = (place.folder / outcome["report"]).read_text(encoding="utf-8")
    explained = command_there("explain", "2")[1]
    for gate in record["gates"]:
        assert gate["name"].replace("_", "\\_") in page
        assert gate["name"].replace("_", " ") in report
        assert f"{gate['verdict']:8} {gate['name']}" in explained
    assert "the same decision, gate by gate" in explained
    run = client.get_run(outcome["run_id"])
    assert run.data.metrics["p_value"] == pytest.approx(record["comparison"]["p_value"])
    assert {file.path for file in client.list_artifacts(outcome["run_id"])} >= {
        "decision", "fingerprints", "round_trip.parquet", "negative_flips.json",
    }  # fmt: skip


def _shown(key: str, flow_run_id: str) -> str:
    """An artifact of a flow run, as its page has it."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        ArtifactFilter,
        ArtifactFilterFlowRunId,
        ArtifactFilterKey,
    )

    asked = ArtifactFilter(
        key=ArtifactFilterKey(any_=[key]),
        flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(flow_run_id)]),
    )
    with get_client(sync_client=True) as server:
        (artifact,) = server.read_artifacts(artifact_filter=asked)
    return str(artifact.data)


def test_the_title_goes_back_by_command_there(
    first: First, client: mlflow.MlflowClient, command_there: Command
) -> None:
    """By then there are two versions, and the alias is put on the second by hand."""
    place, _ = first
    client.set_registered_model_alias("reviews", "champion", "2")
    entry = document(command_there, "rollback", "--to", "1", "--reason", "wrong answers")
    assert (entry["decision"], entry["champion"]) == ("rolled back", 1)
    assert int(client.get_model_version_by_alias("reviews", "champion").version) == 1
    decisions = [record["decision"] for record in document(command_there, "history")]
    assert decisions[-1] == "rolled back"
    assert command_there("rollback", "--to", "9", "--reason", "x")[0] == 2
    plot = place.folder / "history.png"
    command_there("history", "--plot", str(plot))
    assert plot.read_bytes().startswith(b"\x89PNG")
