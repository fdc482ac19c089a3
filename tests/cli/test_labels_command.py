from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from incumbent.cli import main

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


@pytest.mark.slow
def test_the_whole_way_with_real_weights(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main.main(["labels", *arguments, "--set", TRAIN, "--set", TEST])
        return int(ended.value.code or 0), *capfd.readouterr()

    wrong = write_reviews()
    code, out, err = run("suspects", "--out", "suspects.xlsx", "--json")
    assert code == 0, err
    done = json.loads(out)
    sheet = openpyxl.load_workbook("suspects.xlsx")["suspects"]
    header, *rows = sheet.iter_rows(values_only=True)
    assert header[:4] == ("text", "label", "present label", "suggested label")
    assert done["written"] == done["found"] == len(rows)
    assert {row[-1] - 2 for row in rows[:3]} == set(wrong)
    assert all(row[1] is None and row[2] != row[3] for row in rows)
    assert {row[-2] for row in rows} == {"train.csv"}

    pool = pd.DataFrame({"text": [f"A {word} {noun}." for word in POS + NEG for noun in NOUNS]})
    pool.assign(label=["pos"] * 6 + [None] * (len(pool) - 6)).to_csv("pool.csv", index=False)
    code, out, err = run("next", "pool.csv", "--out", "next.xlsx", "--count", "20", "--json")
    assert code == 0, err
    done = json.loads(out)
    assert (done["labelled"], done["at_random"]) == (6, 2)
    sheet = openpyxl.load_workbook("next.xlsx")["next"]
    header, *rows = sheet.iter_rows(values_only=True)
    assert header[:5] == ("text", "label", "guess", "sure", "chosen")
    assert len(rows) == done["written"] <= 20
    assert all(row[1] == row[2] in ("neg", "pos") for row in rows)
    assert not {row[0] for row in rows} & set(pool["text"][:6])

    code, out, err = run("next", "gone.csv", "--out", "next.xlsx")
    assert (code, out) == (3, "")
    assert "gone.csv" in err
    code, _, err = run("next", "pool.csv", "--out", "next.xlsx", "--model", "other")
    assert (code, "No model 'other' is registered" in err) == (2, True)
