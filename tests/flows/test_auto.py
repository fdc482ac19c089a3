"""What the config leaves open is chosen by the data, said, and recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command, settings

pytestmark = pytest.mark.slow

FEW = settings("data.sample=64", "evaluation.bootstrap_samples=100")


def test_few_rows_train_a_head_on_a_frozen_encoder(here: Path, command: Command) -> None:
    import mlflow

    code, out, err = command("retrain", *FEW, "--json")
    assert code == 0, err
    assert "64 rows of 2 classes: model features: fewer than 1,000 rows; epochs 10: " in err
    outcome = json.loads(out)
    store = f"sqlite:///{here}/mlruns/mlflow.db"
    recorded = mlflow.MlflowClient(store, store).get_run(outcome["run_id"]).data.params
    assert (recorded["training.model"], recorded["training.epochs"]) == ("features", "10")
    # The config says `auto` still: the same again is known before anything is chosen.
    code, out, err = command("retrain", *FEW, "--json")
    assert (code, json.loads(out)["decision"]) == (0, "skipped"), err
