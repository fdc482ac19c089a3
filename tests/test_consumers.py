"""What a registered model promises to whoever loads it, in Python and behind MLflow's server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests import small_models

pytestmark = pytest.mark.slow

Model = Any


@pytest.fixture
def registered(store: Path, here: Path) -> str:
    """The address of a store with a small champion."""
    small_models.register(here / "one")
    return f"sqlite:///{store}"


@pytest.fixture
def model(registered: str) -> Iterator[Model]:
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(registered)
    try:
        yield mlflow.pyfunc.load_model("models:/reviews@champion")
    finally:
        mlflow.set_tracking_uri(before)


@pytest.fixture
def invoke(model: Model) -> Iterator[Callable[..., Any]]:
    """Post to `/invocations` of MLflow's own server; gives the status and what it answers."""
    import os

    from mlflow.pyfunc import scoring_server
    from starlette.testclient import TestClient

    before = dict(os.environ)
    client = TestClient(scoring_server.init(model))

    def post(body: Any, kind: str = "application/json") -> tuple[int, Any]:
        content = body if isinstance(body, str) else json.dumps(body)
        answer = client.post("/invocations", content=content, headers={"content-type": kind})

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        return answer.status_code, json.loads(answer.text, parse_constant=refuse)

    yield post
    os.environ.clear()
    os.environ.update(before)


def test_a_model_says_its_version_where_it_is_asked_to(model: Model) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "Reviews": ["good", None]}, index=[7, 3])
    answers = model.predict(frame, params={"version": True})
    assert answers.index.tolist() == [7, 3]
    assert answers["label"].tolist() == ["pos", None]
    assert answers[["model_name", "version"]].to_numpy().tolist() == [["reviews", 1]] * 2
    assert len(model.predict([])) == 0


LABELS = [
    ({"inputs": ["good", "bad"]}, ["pos", "neg"]),
    ({"inputs": ["good", None, " ", "bad"]}, ["pos", None, None, "neg"]),
    ({"inputs": {"id": ["bad", "good"], "Reviews": ["good", "bad"]}}, ["pos", "neg"]),
    ({"instances": ["good", "bad"]}, ["pos", "neg"]),
    ({"instances": [{"id": "bad", "Reviews": "good"}]}, ["pos"]),
    ({"dataframe_records": [{"id": "bad", "Reviews": "good"}]}, ["pos"]),
    ({"dataframe_split": {"columns": ["id", "Reviews"], "data": [["bad", "good"]]}}, ["pos"]),
    ({"inputs": []}, []),
    ({"dataframe_records": []}, []),
]


@pytest.mark.parametrize(("body", "labels"), LABELS)
def test_over_http_the_text_is_found_by_its_name(
    invoke: Callable[..., Any], body: Any, labels: list[str | None]
) -> None:
    status, answer = invoke(body)
    assert status == 200, answer
    assert [row["label"] for row in answer["predictions"]] == labels
    assert all((row["probability_pos"] is None) == (row["label"] is None)
               for row in answer["predictions"])  # fmt: skip


def test_over_http_other_columns_and_the_version(invoke: Callable[..., Any]) -> None:
    status, answer = invoke("id,Reviews\nbad,good\n", "text/csv")
    assert (status, [row["label"] for row in answer["predictions"]]) == (200, ["pos"])
    status, answer = invoke({"inputs": ["good"], "params": {"version": True}})
    assert answer["predictions"][0]["version"] == 1
    status, answer = invoke({"dataframe_records": [{"id": "good", "body": "bad"}]})
    assert status == 400
    assert "no column 'Reviews' in the input, which has 'id', 'body'" in json.dumps(answer)


def test_what_is_registered_names_no_folder_of_this_machine(registered: str, here: Path) -> None:
    root = Path(__file__).parent.parent
    for file in (here / "mlruns" / "artifacts").rglob("*"):
        if file.is_file() and file.suffix in ("", ".json", ".yaml", ".txt", ".py"):
            text = file.read_text(encoding="utf-8")
            assert str(root) not in text, file
            assert str(here) not in text, file


@pytest.mark.parametrize("for_good", [False, True])
def test_a_deleted_run_costs_the_other_versions_nothing(
    registered: str, here: Path, run_here: Callable[..., tuple[int, str, str]], for_good: bool
) -> None:
    from incumbent.tracking.registry_writes import Registry

    small_models.register(here / "two", good=3.0)
    registry = Registry()
    first = registry.version("reviews", 1)
    assert first.run_id
    registry.client.delete_run(first.run_id)
    if for_good:
        subprocess.run(
            [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", registered],
            check=True, capture_output=True,
        )  # fmt: skip
    code, out, err = run_here("models", "--json")
    assert code == 0, err
    assert [row["version"] for row in json.loads(out)] == [2, 1]
    code, out, err = run_here("status", "--json")
    assert code == 0, err
    (said,) = (text for text in json.loads(out)["wrong"] if "deleted in MLflow" in text)
    assert f"{first.run_id} of version 1" in said
    code, out, _ = run_here("predict", "good", "--json")
    assert (code, json.loads(out)["version"]) == (0, 2)


def test_a_text_that_begins_with_a_dash_is_a_text(
    registered: str, run_here: Callable[..., tuple[int, str, str]]
) -> None:
    texts = ["-1 star, so bad", "good", "-- bad", "-5"]
    code, out, err = run_here("predict", texts[0], "--json", *texts[1:], "--alias", "champion")
    assert code == 0, err
    told = json.loads(out)["predictions"]
    assert [row["text"] for row in told] == texts
    assert [row["label"] for row in told][:3] == ["neg", "pos", "neg"]
    code, out, _ = run_here("predict", "--json", "--", "-bad", "--json")
    assert [row["text"] for row in json.loads(out)["predictions"]] == ["-bad", "--json"]
    code, _, err = run_here("predict", "good", "--modle", "x")
    assert (code, "No such option" in err) == (2, True)


def test_the_python_that_the_docs_show_runs(registered: str, here: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "consumers.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"(?ms)^```python\n(.*?)^```$", page)
    block += "\nprint(frame.to_json(orient='records'), told['version'].tolist())"
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=here, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows, _, versions = done.stdout.strip().rpartition(" ")
    assert [row["label"] is None for row in json.loads(rows)] == [False, True, False]
    assert versions == "[1]"


def test_a_relative_address_is_said_whole(
    registered: str, here: Path, run_here: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlruns/mlflow.db")
    code, _, err = run_here("predict", "good", "--model", "nobody")
    assert (code, f"registered at {registered};" in err) == (2, True), err
