"""Many classes, short queries, and names that mean something to a page, a path or a formula."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import Command

pytestmark = pytest.mark.slow

# What people ask a bank, by intent: the words that tell, and a name to trip over.
INTENTS = {
    "label": ["card", "plastic", "chip"],
    "a/b": ["transfer", "send", "wire"],
    "=SUM(A1)": ["balance", "funds", "left"],
    "<b>fee</b>": ["charge", "fee", "cost"],
    "Überweisung": ["abroad", "foreign", "exchange"],
    "0": ["password", "login", "locked"],
}
FRAMES = [
    "what about my {}", "I have a question on {} today", "help me with {} please", "{} not working",
    "why is {} like this", "tell me more about {}", "is {} possible", "where do I find {}",
]  # fmt: skip


def queries(seed: int, each: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    rows = [
        (f"{generator.choice(FRAMES).format(generator.choice(words))} {seed}x{index}", intent)
        for intent, words in INTENTS.items()
        for index in range(each)
    ]
    return pd.DataFrame(rows, columns=["query", "intent"])


def test_many_classes_go_the_whole_way(here: Path, command: Command) -> None:
    queries(1, 40).to_csv("train.csv", index=False)
    queries(2, 15).to_csv("test.csv", index=False)
    options = [
        "--config", str(Path(__file__).parents[2] / "configs" / "intents.yaml"),
        "--set", "data.train=train.csv", "--set", "data.test=test.csv",
        "--set", "training.model=nbsvm", "--set", "training.learning_rate=0.01",
        "--set", "promotion.min_gain_over_baseline=-0.1",
    ]  # fmt: skip
    code, out, err = command("retrain", "--json", *options)
    assert code == 0, err
    outcome = json.loads(out)
    assert outcome["decision"] == "promoted", outcome["reason"]
    assert outcome["metrics"]["accuracy"] > 0.9
    code, out, err = command("predict", "--model", "intents", "--json", "my login is locked")
    assert code == 0, err
    (answer,) = json.loads(out)["predictions"]
    assert answer["label"] == "0"
    assert set(answer["probabilities"]) == set(INTENTS)
    page = Path(outcome["report"]).read_text(encoding="utf-8")
    assert "<b>fee</b>" not in page
    assert "&lt;b&gt;fee&lt;/b&gt;" in page
