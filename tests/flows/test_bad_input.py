"""Bad input through the command: a clear message, exit code 2 or 3, nothing registered."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import Workbook, load_workbook

from tests.conftest import Command

pytestmark = pytest.mark.slow

Spoil = Callable[[Path], tuple[str, ...] | None]

GOOD = [(f"A film worth seeing, number {word}.", "pos") for word in "abcdefghijklmno"] + [
    (f"A film worth missing, number {word}.", "neg") for word in "abcdefghijklmno"
]


def workbook(path: Path, rows: list[tuple[object, object]], sheet: str = "Sheet") -> None:
    book = Workbook()
    book.active.title = sheet
    book.active.append(["text", "label"])
    for row in rows:
        book.active.append(row)
    book.save(path)


def edit(path: Path, row: int, value: object) -> None:
    book = load_workbook(path)
    book.active.cell(row, 1).value = value
    book.save(path)


def missing(train: Path) -> None:
    train.unlink()


def no_excel(train: Path) -> None:
    train.write_bytes(b"\0\1\2 no book")


def encrypted(train: Path) -> None:
    train.write_bytes(
        bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504) + "EncryptedPackage".encode("utf-16-le")
    )


def truncated(train: Path) -> None:
    train.write_bytes(train.read_bytes()[:-900])


def missing_sheet(train: Path) -> tuple[str, ...]:
    return ("data.sheet=Shet",)


def missing_column(train: Path) -> tuple[str, ...]:
    return ("data.text_column=txt",)


def empty_sheet(train: Path) -> None:
    Workbook().save(train)


def one_class(train: Path) -> None:
    workbook(train, [(text, "pos") for text, _ in GOOD])


def strange_label(train: Path) -> None:
    workbook(train.with_name("test.xlsx"), [(f"Seen: {t}", c) for t, c in GOOD] + [("So", "meh")])


def small_sample(train: Path) -> tuple[str, ...]:
    return ("data.sample=10",)


def named_label(train: Path) -> tuple[str, ...]:
    strange_label(train)
    return ("validation.labels=[pos, neg, meh]", "validation.on_rows=warn")


def number(train: Path) -> None:
    for row in range(2, 2 + len(GOOD)):
        edit(train, row, 12.5 + row)


def date(train: Path) -> None:
    for row in range(2, 2 + len(GOOD)):
        edit(train, row, datetime.datetime(2024, 5, 1) + datetime.timedelta(row))


def formula(train: Path) -> None:
    edit(train, 4, "=A2")


def long_cell(train: Path) -> None:
    # A CSV file: Excel itself ends at 32,767 characters.
    rows = pd.DataFrame([*GOOD, ("x" * 40_000, "pos")], columns=["text", "label"])
    rows.to_csv(train.with_suffix(".csv"), index=False)
    return (f"data.train={train.with_suffix('.csv')}",)  # type: ignore[return-value]


def mixed_encodings(train: Path) -> tuple[str, ...]:
    path = train.with_suffix(".csv")
    lines = [f'"{text}",{label}' for text, label in GOOD]
    path.write_bytes(
        "\n".join(["text,label", "naïve,pos", *lines]).encode() + "\nä café,pos".encode("latin-1")
    )
    return (f"data.train={path}",)


def folder(train: Path) -> None:
    train.unlink()
    train.mkdir()


def leaked(train: Path) -> None:
    workbook(train.with_name("test.xlsx"), GOOD)


CASES: dict[str, tuple[Spoil, int, list[str]]] = {
    "missing file": (missing, 3, ["train.xlsx", "There is no"]),
    "no Excel": (no_excel, 3, ["train.xlsx", "no Excel workbook", "no book", ".csv"]),
    "encrypted": (encrypted, 3, ["train.xlsx", "password"]),
    "truncated": (truncated, 3, ["train.xlsx", "cut short", "Copy it again"]),
    "missing sheet": (missing_sheet, 3, ["Shet", "Sheet"]),
    "missing column": (missing_column, 3, ["txt", "text"]),
    "empty sheet": (empty_sheet, 3, ["train.xlsx", "empty"]),
    "one class": (one_class, 3, ["only one class"]),
    "label that train lacks": (strange_label, 3, ["meh", "32"]),
    "label named that train lacks": (named_label, 3, ["meh", "32", "train"]),
    "small sample": (small_sample, 3, ["10 rows, and at least 16", "Raise data.sample"]),
    "number": (number, 3, ["number", "rows 2, 3, 4"]),
    "date": (date, 3, ["date", "rows 2, 3, 4"]),
    "formula": (formula, 3, ["formula", "rows 4"]),
    "40,000 characters": (long_cell, 3, ["32,767", "rows 32"]),
    "mixed encodings": (mixed_encodings, 3, ["data.encoding", "line 33"]),
    "folder": (folder, 3, ["train.xlsx", "folder"]),
    "leaked": (leaked, 3, ["on_leak"]),
    "unknown key": (lambda _: ("training.epoch=2",), 2, ["did you mean epochs?"]),
    "wrong type": (lambda _: ("training.epochs=many",), 2, ["training.epochs"]),
    "impossible value": (lambda _: ("evaluation.confidence=2",), 2, ["evaluation.confidence"]),
    "no weights": (lambda _: ("training.weights=./nowhere",), 2, ["training.weights", "nowhere"]),
}


@pytest.fixture
def train(here: Path) -> Path:
    workbook(here / "train.xlsx", GOOD)
    workbook(here / "test.xlsx", [(f"Seen: {text}", label) for text, label in GOOD])
    return here / "train.xlsx"


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, train: Path, command: Command) -> None:
    from incumbent.tracking.registry_writes import Registry

    spoil, code, said = CASES[case]
    overrides = ["data.train=train.xlsx", "data.test=test.xlsx", *(spoil(train) or ())]
    options = [part for override in overrides for part in ("--set", override)]
    found, out, err = command("retrain", "--json", *options)
    assert found == code, err
    for part in said:
        assert part.lower() in err.lower()
    assert "Traceback" not in err
    # Said once, by the command; Prefect's log of it goes to the page alone.
    assert err.count(err.split("incumbent: ", 1)[1].splitlines()[0]) == 1
    assert out == ""
    assert Registry().names() == []


def test_control_characters_are_replaced_and_reported(train: Path) -> None:
    from incumbent.config import DataConfig
    from incumbent.data import datasets, ingestion

    frame = pd.DataFrame([*GOOD, ("bell\a here", "pos")], columns=["text", "label"])
    frame.to_csv("train.csv", index=False)
    read = datasets.load(
        ingestion.ingest(DataConfig(train="train.csv", test="test.xlsx"), Path("work")).train
    )
    assert read["text"].iloc[-1] == "bell  here"
    assert list(read["control"]) == [False] * len(GOOD) + [True]


def test_no_permission_to_write(train: Path, command: Command) -> None:
    Path("work").write_text("a file where the working folder should be")
    found, out, err = command(
        "retrain", "--set", "data.train=train.xlsx", "--set", "data.test=test.xlsx",
        "--set", "tracking.workdir=work",
    )  # fmt: skip
    assert found == 3
    assert "tracking.workdir" in err
    assert "Traceback" not in err
    assert out == ""


def test_the_page_has_the_refusal_too(train: Path, command: Command) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
    from prefect.client.schemas.sorting import FlowRunSort

    one_class(train)
    command("retrain", "--set", "data.train=train.xlsx", "--set", "data.test=test.xlsx")
    client = get_client(sync_client=True)
    (run,) = client.read_flow_runs(limit=1, sort=FlowRunSort.START_TIME_DESC)
    asked = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
    end, said = time.monotonic() + 30, [""]  # logs are sent by a thread, some seconds at a time
    while not any("Only one class" in message for message in said):
        assert time.monotonic() < end, said
        time.sleep(0.5)
        said = [log.message for log in client.read_logs(asked)]


def test_a_run_that_fails_is_marked_failed_in_mlflow(train: Path, command: Command) -> None:
    from incumbent.tracking.registry_writes import Registry

    one_class(train)
    command("retrain", "--set", "data.train=train.xlsx", "--set", "data.test=test.xlsx")
    client = Registry().client
    (experiment,) = [e for e in client.search_experiments() if e.name == "reviews"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
    assert "only one class" in run.data.tags["incumbent.error"].lower()
    pages = {file.path for file in client.list_artifacts(run.info.run_id, "data_docs")}
    assert "data_docs/index.html" in pages
