"""A transformer and NBSVM in one model: trained, registered, loaded again and asked."""

from __future__ import annotations

import json
from pathlib import Path

import mlflow
import numpy as np
import pytest

from tests.conftest import Command
from tests.flows.test_many_classes import queries

pytestmark = pytest.mark.slow


def test_a_blend_goes_the_whole_way(here: Path, command: Command) -> None:
    queries(1, 40).to_csv("train.csv", index=False)
    queries(2, 15).to_csv("test.csv", index=False)
    options = [
        "--config", str(Path(__file__).parents[2] / "configs" / "intents.yaml"),
        "--set", "data.train=train.csv", "--set", "data.test=test.csv",
        "--set", "training.model=blend", "--set", "training.epochs=2",
        "--set", "promotion.min_gain_over_baseline=-0.1",
    ]  # fmt: skip
    code, out, err = command("retrain", "--json", *options)
    assert code == 0, err
    assert "blend weight 0." in err
    outcome = json.loads(out)
    # Promoted means, too, that a process of its own loaded it, and it answered as measured.
    assert outcome["decision"] == "promoted", outcome["reason"]
    assert outcome["metrics"]["accuracy"] > 0.9

    store = f"sqlite:///{here}/mlruns/mlflow.db"
    client = mlflow.MlflowClient(store, store)
    metrics = client.get_run(outcome["run_id"]).data.metrics
    mlflow.set_tracking_uri(store)
    uri = "models:/intents@champion"
    folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(here / "model")))
    served = json.loads((folder / "artifacts" / "predictor" / "incumbent.json").read_text("utf-8"))
    assert served["blend_weight"] == metrics["blend_weight"]
    wanted = (folder / "requirements.txt").read_text(encoding="utf-8")
    names = {line.split("==")[0] for line in wanted.split()}
    assert names == {"mlflow", "numpy", "pandas", "onnxruntime", "tokenizers"}

    text = "my login is locked"
    answer = mlflow.pyfunc.load_model(uri).predict([text])
    assert answer["label"].tolist() == ["0"]
    code, out, err = command("predict", "--model", "intents", "--json", text)
    assert code == 0, err
    (predicted,) = json.loads(out)["predictions"]
    for name, probability in predicted["probabilities"].items():
        assert np.isclose(answer[f"probability_{name}"][0], probability, atol=1e-4)

    # The artifact is a plain ktrain predictor, of the transformer, and NBSVM beside it.
    saved = Path(client.download_artifacts(outcome["run_id"], "predictor", str(here)))
    assert {"tf_model.preproc", "nbsvm.npz", "words.json"} <= {f.name for f in saved.iterdir()}
    import ktrain

    assert ktrain.load_predictor(str(saved)).predict_proba([text]).shape == (1, 6)
