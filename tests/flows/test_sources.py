"""Sources other than one table with one column of texts: from a query to a scored file."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from incumbent.data import embedded_reviews
from tests.conftest import Command

pytestmark = pytest.mark.slow


def test_titles_and_bodies_from_a_database_go_the_whole_way(here: Path, command: Command) -> None:
    train, test = (
        pd.read_excel(path).sample(rows, random_state=5)
        for path, rows in zip(embedded_reviews.write(here / "reviews"), (500, 200), strict=True)
    )
    for frame in (train, test):  # the first words are the title; some rows have one part alone
        words = frame["Reviews"].astype(str).str.split(n=4)
        frame["title"] = words.str[:3].str.join(" ")
        frame["body"] = words.str[3:].str.join(" ")
        frame.loc[(frame["body"].str.len() > 0) & (frame["title"].str.len() % 7 == 0), "title"] = (
            None
        )
    with closing(sqlite3.connect("reviews.db")) as connection:
        columns = ["title", "body", "Sentiment"]
        train[columns].rename(columns={"Sentiment": "label"}).to_sql("reviews", connection)
    test[["title", "body", "Sentiment"]].rename(columns={"Sentiment": "label"}).to_excel("t.xlsx")
    Path("config.yaml").write_text(
        "model_name: parts\n"
        "data:\n"
        "  train: sqlite:///reviews.db\n"
        "  query: select title, body, label from reviews\n"
        "  test: t.xlsx\n"
        "  text_column: [title, body]\n"
        "training: {model: nbsvm, learning_rate: 0.05, epochs: 4}\n"
        "evaluation: {bootstrap_samples: 100}\n"
        "promotion: {min_accuracy: 0.3, min_gain_over_baseline: -0.5}\n",
        encoding="utf-8",
    )
    code, out, err = command("retrain", "--config", "config.yaml", "--json")
    assert code == 0, err
    outcome = json.loads(out)
    assert outcome["decision"] == "promoted", outcome["reason"]
    code, out, err = command("score", "t.xlsx", "scored.csv", "--model", "parts", "--json")
    assert code == 0, err
    scored = pd.read_csv("scored.csv")
    right = scored["label"] == scored["input_label"]
    assert abs(right.mean() - outcome["metrics"]["accuracy"]) < 1e-9
    model = mlflow.pyfunc.load_model("models:/parts@champion")
    frame = test[["body", "title"]]
    answers = model.predict(frame)
    assert answers["label"].tolist() == scored["label"].tolist()
    joined = (frame["title"].fillna("") + "\n\n" + frame["body"]).str.strip()
    assert model.predict(joined).equals(answers)
    bodies = model.predict(frame[["body"]].iloc[:1]).reset_index(drop=True)
    assert bodies.equals(model.predict(frame["body"].tolist()[:1]))
    code, out, err = command("predict", "A fine film", "--model", "parts", "--json")
    assert code == 0, err
    one = ("score", "t.xlsx", "one.csv", "--model", "parts", "--text-column", "body", "--json")
    assert command(*one)[0] == 0
