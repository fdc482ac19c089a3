from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from incumbent.cli import main
from incumbent.config import DataConfig
from incumbent.data import datasets, ingestion
from tests import small_models


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["suspects"], 2, "Missing option '--out'"),
        (["suspects", "--out", "out.csv"], 2, "ends in .xlsx"),
        (["suspects", "--out", "nowhere/out.xlsx"], 2, "there is no folder nowhere"),
        (["suspects", "--out", "out.xlsx", "--count", "0"], 2, "0 is not in the range"),
        (["suspects", "--out", "out.xlsx", "--config", "gone.yaml"], 2, "gone.yaml"),
        (["suspects", "--out", "out.xlsx", "--set", "data.trian=x"], 2, "data.trian"),
        (["next", "--out", "out.xlsx"], 2, "Missing argument 'POOL'"),
        (["next", "pool.csv", "--out", "out.xlsx", "--model", "no name"], 2, "letters, digits"),
    ],
)
def test_wrong_usage_ends_with_2_and_writes_nothing(
    arguments: list[str], code: int, message: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["labels", *arguments])
    assert ended.value.code == code
    out, err = capfd.readouterr()
    assert message in err
    assert out == ""
    assert list(here.glob("*.xlsx")) == []


TRAIN = "data.train=train.csv"
TEST = "data.test=test.csv"
POS = ("lovely", "moving", "funny", "brilliant")
NEG = ("dull", "tedious", "clumsy", "awful")
NOUNS = ("film", "story", "comedy", "thriller", "script", "drama", "plot")


def write_reviews() -> list[int]:
    """Files of short reviews; gives the rows of train whose label is wrong."""
    rows = [
        (f"A {word} {noun}, {end}", label)
        for end in ("and so it goes on.", "seen twice.")
        for noun in NOUNS
        for words, label in ((POS, "pos"), (NEG, "neg"))
        for word in words
    ]
    train = pd.DataFrame(rows, columns=["text", "label"])
    test = train.assign(text=train["text"] + " In short: one more of its kind.")
    wrong = [10, 40, 70]
    train.loc[wrong, "label"] = train.loc[wrong, "label"].map({"pos": "neg", "neg": "pos"})
    train.to_csv("train.csv", index=False)
    test.to_csv("test.csv", index=False)
    return wrong


def table(path: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """The header and the rows of a workbook's first sheet."""
    header, *rows = openpyxl.load_workbook(path).worksheets[0].iter_rows(values_only=True)
    return header, rows


@pytest.mark.slow
def test_the_whole_way_with_real_weights(store: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str, train: str = TRAIN) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main.main(["labels", *arguments, "--set", train, "--set", TEST])
        return int(ended.value.code or 0), *capfd.readouterr()

    wrong = write_reviews()
    code, out, err = run("suspects", "--out", "suspects.xlsx", "--json")
    assert code == 0, err
    done = json.loads(out)
    header, rows = table("suspects.xlsx")
    assert header[:4] == ("text", "label", "present label", "suggested label")
    assert done["written"] == done["found"] == len(rows)
    assert {row[-1] - 2 for row in rows[:3]} == set(wrong)
    assert all(row[1] is None and row[2] != row[3] for row in rows)
    assert {row[-2] for row in rows} == {"train.csv"}

    # A person corrects one, and the workbook is training data beside the first file.
    book = openpyxl.load_workbook("suspects.xlsx")
    book.worksheets[0]["B2"] = rows[0][3]
    book.save("suspects.xlsx")
    code, _, err = run("suspects", "--out", "suspects.xlsx")
    assert (code, "may have filled it in" in err) == (2, True)
    both = DataConfig(
        train=("train.csv", "suspects.xlsx"), test="test.csv", on_disagreement="latest"
    )
    split = ingestion.ingest(both, Path("both")).train
    after = pd.concat(part[["text", "label"]] for part in datasets.parts(split, ["text", "label"]))
    before = pd.read_csv("train.csv").set_index("text")["label"]
    assert len(after) == len(before)
    found = after.set_index("text")["label"]
    changed = {text for text, label in before.items() if found[text] != label}
    assert changed == {rows[0][0]}

    pool = pd.DataFrame({"text": [f"A {word} {noun}." for word in POS + NEG for noun in NOUNS]})
    pool.assign(label=["pos"] * 6 + [None] * (len(pool) - 6)).to_csv("pool.csv", index=False)
    code, out, err = run("next", "pool.csv", "--out", "next.xlsx", "--count", "20", "--json")
    assert code == 0, err
    done = json.loads(out)
    assert (done["labelled"], done["at_random"]) == (6, 2)
    assert done["guessed_by"] == "a quick classifier"
    header, rows = table("next.xlsx")
    assert header[:5] == ("text", "label", "guess", "sure", "chosen")
    assert len(rows) == done["written"] <= 20
    assert all(row[1] == row[2] in ("neg", "pos") for row in rows)
    assert not {row[0] for row in rows} & set(pool["text"][:6])

    # A champion guesses, where there is one. This one knows two words, and neither is there.
    small_models.register(store.parent.parent / "small", uri=f"sqlite:///{store}")
    code, out, err = run("next", "pool.csv", "--out", "next.xlsx", "--count", "5")
    assert code == 0, err
    assert "labels guessed by version 1 of reviews" in out
    assert {(row[1], row[3]) for row in table("next.xlsx")[1]} == {("neg", 0.5)}
    code, out, err = run("suspects", "--out", "with.xlsx", "--model", "reviews", "--json")
    assert code == 0, err
    header, rows = table("with.xlsx")
    assert (header[-1], {row[-1] for row in rows}) == ("what version 1 says", {"neg"})

    code, out, err = run("next", "gone.csv", "--out", "next.xlsx")
    assert (code, out) == (3, "")
    assert "gone.csv" in err
    for wrong_one, said in (
        (("--model", "other"), "No model 'other' is registered"),
        (("--alias", "no"), "No version of 'reviews' has the alias 'no'"),
        (("--model", "reviews", "--alias", "no"), "No version of 'reviews' has the alias 'no'"),
    ):
        code, _, err = run("next", "pool.csv", "--out", "next.xlsx", *wrong_one)
        assert (code, said in err) == (2, True), err
