"""A messy spreadsheet on its whole way: into the inbox, a run, an answer, and back corrected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from openpyxl import Workbook, load_workbook

from tests.conftest import Command
from tests.flows.test_watch import GOOD, _end, _run

pytestmark = pytest.mark.slow


def messy(path: Path) -> None:
    """Thirty good rows, a slip, a cell without a text and a row that nobody labelled."""
    book = Workbook()
    sheet: Any = book.active
    sheet.append(["Export of March"])
    sheet.append(["no", "Text", "Label", "remark"])
    for n in range(30):
        sheet.append([n, f"a new text, number {n}", "ab"[n % 2], None])
    sheet.append([30, "a slip", "ba", "=1+1"])
    sheet.append([31, None, "b", "where is it"])
    sheet.append([32, "nobody labelled this", None, None])
    book.save(path)


def test_good_rows_go_in_and_bad_ones_come_back(
    store: Path, here: Path, prefect_server: None, run_here: Command
) -> None:
    import mlflow
    from prefect.client.orchestration import get_client

    from flows.retrain import retrain
    from flows.watch import watch

    (here / "test.csv").write_text(GOOD.replace("a text number", "another test"))
    (here / "train.csv").write_text(GOOD)
    config = {
        "model_name": "trial", "data": {"train": "train.csv", "test": "test.csv"},
        "training": {"model": "nbsvm", "epochs": 1},
        "evaluation": {"bootstrap_samples": 100},
    }  # fmt: skip
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(retrain)
        client.create_deployment(flow_id, here.name, parameters={"config": config})

    def look() -> str | None:
        return watch("inbox", f"retrain/{here.name}", settle_seconds=0.1)

    inbox, answers = here / "inbox" / "team", here / "inbox" / "team" / "_answers"
    inbox.mkdir(parents=True)
    messy(inbox / "tickets.xlsx")
    (inbox / "other.csv").write_text("words,labels\nx,a\n")
    first = look()
    assert first is not None
    page = (answers / "tickets.xlsx.html").read_text(encoding="utf-8")
    assert "Taken in part" in page
    assert "30 rows are taken" in page
    assert "2 rows were set aside" in page
    assert "1 row has no label" in page
    page = (answers / "other.csv.html").read_text(encoding="utf-8")
    assert "Not taken" in page
    assert "other.csv has no column &#39;text&#39;" in page
    assert "data.text_column" not in page

    # The run sets the same rows aside, and says so wherever it is looked at.
    given = _run(first).parameters["config"]
    (here / "run.yaml").write_text(yaml.safe_dump(given))
    code, out, err = run_here("retrain", "--config", "run.yaml", "--json")
    assert code == 0, err
    assert "Set aside: 2 rows" in err
    outcome = json.loads(out)
    assert outcome["metrics"]["rows_set_aside"] == 2
    address = f"sqlite:///{store}"
    client_of_runs = mlflow.MlflowClient(address, address)
    assert client_of_runs.get_run(outcome["run_id"]).data.metrics["rows_set_aside"] == 2
    files = {file.path for file in client_of_runs.list_artifacts(outcome["run_id"])}
    assert {"rows_set_aside.xlsx", "unlabelled.parquet"} <= files
    report = Path(outcome["report"]).read_text(encoding="utf-8")
    assert "Set aside: 2 rows" in report
    _end(first, type="COMPLETED")
    assert look() is None  # what lies in _answers starts nothing

    # The labeller corrects the workbook and drops it in: all its rows are taken.
    sheet = answers / "tickets.xlsx.to-correct.xlsx"
    book = load_workbook(sheet)
    rows: Any = book.active
    assert [cell.value for cell in rows[1]][:4] == ["no", "Text", "Label", "remark"]
    rows["C2"], rows["B3"] = "b", "here it is"
    book.save(inbox / sheet.name)
    second = look()
    assert second not in (None, first)
    assert "2 rows are taken" in (answers / f"{sheet.name}.html").read_text(encoding="utf-8")
    assert "labels" in _run(str(second)).parameters["config"]["validation"]

    # Answers go with their files.
    (inbox / "tickets.xlsx").unlink()
    _end(str(second), type="COMPLETED")
    look()
    assert {path.name for path in answers.iterdir()} == {
        "other.csv.html", f"{sheet.name}.html",
    }  # fmt: skip
