"""A predictor that ktrain saved: from its folder to the title, and only by who trusts it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from incumbent.importing import saved_predictor
from incumbent.kernels import ktrain_import
from tests.conftest import Command

pytestmark = pytest.mark.slow

PRAISE = ("great", "moving", "loved", "fine")
BLAME = ("dull", "long", "hated", "poor")
THINGS = (
    "a {} film", "it was {} from its first minute", "{} and nothing else", "so {} a story",
    "we thought it {} at last", "the {} one of this year", "{}, said all who saw it",
)  # fmt: skip


def rows() -> pd.DataFrame:
    texts = [
        (thing.format(word), label)
        for thing in THINGS
        for label, words in (("pos", PRAISE), ("neg", BLAME))
        for word in words
    ]
    return pd.DataFrame(texts, columns=["message", "topic"])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ktrain's NBSVM, as a notebook saves it."""
    ktrain_import.load()
    import ktrain
    import numpy as np
    from ktrain import text

    frame, folder = rows(), tmp_path_factory.mktemp("notebook") / "predictor"
    y = np.eye(2, dtype=np.float32)[(frame["topic"] == "pos").astype(int)]
    with ktrain_import.quiet(), ktrain_import.scratch():
        data, _, preprocessor = text.texts_from_array(
            frame["message"].tolist(), y, frame["message"].tolist()[:8], y[:8],
            class_names=["neg", "pos"], lang="en", maxlen=60, max_features=500, ngram_range=2,
            preprocess_mode="standard", verbose=0,
        )  # fmt: skip
        model = text.text_classifier("nbsvm", train_data=data, preproc=preprocessor, verbose=0)
        learner = ktrain.get_learner(model, train_data=data, batch_size=8)
        learner.fit(0.02, 4, verbose=0)
        ktrain.get_predictor(learner.model, preprocessor).save(str(folder))
    return folder


def test_it_goes_the_whole_way_to_the_title(saved: Path, here: Path, command: Command) -> None:
    rows().to_excel("test.xlsx", index=False)
    given = (
        "import", str(saved), "--test", "test.xlsx", "--model", "tickets",
        "--set", "data.text_column=message", "--set", "data.label_columns=topic",
        "--set", "evaluation.bootstrap_samples=200",
    )  # fmt: skip
    code, out, err = command(*given)
    assert (code, out) == (2, "")
    digest = saved_predictor.find(saved).pickle_digest
    assert f"{digest}  tf_model.preproc" in err
    assert "--trust" in err
    assert not Path(".incumbent").exists()

    code, out, err = command(*given, "--trust", "--json")
    assert code == 0, err[-3000:]
    first = json.loads(out)
    assert (first["decision"], first["version"], first["champion_version"]) == ("promoted", 1, 1)
    assert "its training rows are unknown" in first["reason"]
    assert first["metrics"]["accuracy"] > 0.9
    assert "baseline_accuracy" not in first["metrics"]
    assert list(first["timings"]) == [
        "ingest", "convert", "validate", "evaluate", "register", "promote",
    ]  # fmt: skip
    page = Path(first["report"]).read_text(encoding="utf-8")
    assert "unknown: the predictor was imported" in page
    assert digest in page
    assert "training.learning_rate" not in page

    answers = json.loads(command("predict", "--model", "tickets", "so great a film", "--json")[1])
    assert answers["predictions"][0]["label"] == "pos"
    code, out, _ = command("explain", "1", "--model", "tickets")
    assert code == 0
    assert "warned   own_training_rows: its training rows are unknown" in out
    assert "training set unknown" in out
    assert "the same decision, gate by gate" in out

    code, out, err = command(*given, "--trust", "--json")
    assert code == 0, err[-3000:]
    again = json.loads(out)
    assert (again["decision"], again["version"]) == ("skipped", 1)
    assert "imported and decided before" in again["reason"]
    assert len(json.loads(command("models", "--json")[1])) == 1

    # A retraining meets it as the champion that it is.
    rows().assign(message=lambda frame: "yes, " + frame["message"]).to_excel("train.xlsx")
    code, out, err = command(
        "retrain", "--set", "model_name=tickets", "--set", "data.train=train.xlsx", "--set",
        "data.test=test.xlsx", "--set", "data.text_column=message", "--set",
        "data.label_columns=topic", "--set", "training.model=nbsvm", "--set", "training.epochs=1",
        "--set", "promotion.near_duplicate=1", "--set", "evaluation.bootstrap_samples=200",
        "--json",
    )  # fmt: skip
    assert code == 0, err[-3000:]
    second = json.loads(out)
    assert (second["version"], second["champion_version"]) == (2, 1)
    assert "the champion's training rows are unknown" in second["reason"]


def test_labels_that_it_does_not_know_are_refused(
    saved: Path, here: Path, command: Command
) -> None:
    frame = rows()
    frame.loc[:2, "topic"] = "fine"
    frame.to_csv("test.csv", index=False)
    code, _, err = command(
        "import", str(saved), "--test", "test.csv", "--trust", "--set", "data.text_column=message",
        "--set", "data.label_columns=topic",
    )  # fmt: skip
    assert code == 3
    assert "3 of 56 rows have labels that the predictor does not know: 'fine' (3)" in err
    assert "Traceback" not in err
