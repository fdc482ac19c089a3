"""Rows with none, one or several labels: from spreadsheet columns to a contest for the title."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from incumbent.data import embedded_reviews
from tests.conftest import Command

pytestmark = pytest.mark.slow

LABELS = ["positive", "long", "contrast"]


def workbook(source: Path, path: str, rows: int) -> None:
    """So many of the embedded reviews, with what can be said of each: yes and no, in three ways."""
    frame = pd.read_excel(source).sample(rows, random_state=5)
    text = frame["Reviews"].astype(str)
    pd.DataFrame(
        {
            "positive": (frame["Sentiment"] == "pos").astype(int),
            "long": text.str.split().str.len() > 25,
            "contrast": text.str.contains(r"\bbut\b").map({True: "True", False: "no"})
            .replace("no", "FALSE"),
            "text": text,
        }
    ).to_excel(path, index=False)  # fmt: skip


def settings_of(version: int) -> Path:
    """The settings of what was registered first, second, …"""
    found = Path("mlruns").rglob("artifacts/predictor/incumbent.json")
    return sorted(found, key=lambda file: file.stat().st_mtime)[version - 1]


def test_rows_with_several_labels_go_the_whole_way(here: Path, command: Command) -> None:
    train, test = embedded_reviews.write(here / "reviews")
    workbook(train, "train.xlsx", 600)
    workbook(test, "test.xlsx", 250)
    Path("config.yaml").write_text(
        "model_name: said\n"
        "data: {train: train.xlsx, test: test.xlsx, label_columns: [positive, long, contrast]}\n"
        "training: {model: nbsvm, learning_rate: 0.05, epochs: 6}\n"
        "evaluation: {bootstrap_samples: 200}\n"
        "promotion: {min_accuracy: 0.3, min_gain_over_baseline: -0.2}\n",
        encoding="utf-8",
    )
    code, out, err = command("retrain", "--config", "config.yaml", "--json")
    assert code == 0, err
    first = json.loads(out)
    assert (first["decision"], first["version"]) == ("promoted", 1), first["reason"]
    metrics = first["metrics"]
    assert {f"f1_{label}" for label in LABELS} <= metrics.keys()
    assert metrics["roc_auc"] > 0.65
    assert 0.3 < metrics["accuracy"] < 0.6  # of whole sets: 8 of them

    code, out, err = command(
        "retrain", "--config", "config.yaml", "--set", "training.seed=2", "--json"
    )
    assert code == 0, err
    second = json.loads(out)
    assert (second["version"], second["decision"]) == (2, "kept"), second["reason"]
    assert "paired sign-flip test" in second["reason"]

    texts = ["A gripping, moving film, but far too long.", "Dull."]
    code, out, err = command("predict", "--model", "said", "--json", *texts)
    assert code == 0, err
    answers = json.loads(out)["predictions"]
    thresholds = json.loads(settings_of(1).read_text(encoding="utf-8"))["thresholds"]
    assert sorted(thresholds) == sorted(LABELS)
    assert len(set(thresholds.values())) == len(LABELS)  # fitted to each
    for answer in answers:
        p = answer["probabilities"]
        likely = sorted(name for name in LABELS if p[name] >= thresholds[name])
        assert answer["label"] == ("|".join(likely) or "none")
        assert list(answer["probabilities"]) == sorted(LABELS)
    code, out, err = command("predict", "--model", "said", texts[0])
    assert out.startswith(f"{answers[0]['label']}  (contrast 0."), err

    code, out, err = command("explain", "2", "--model", "said")
    assert code == 0, err
    cases = [json.loads(p.read_text("utf-8")) for p in Path("mlruns").rglob("decision/case.json")]
    (first_case,) = (case for case in cases if case["challenger"]["version"] == 1)
    assert first_case["challenger"]["thresholds"] == thresholds
    assert "Computed again from the stored evidence: the same decision, gate by gate." in out
    assert "class: none" in out
    page = Path(second["report"]).read_text(encoding="utf-8")
    assert "Label by label" in page
    assert "all of its labels, and no others" in page
    assert "contrast|positive" in page
