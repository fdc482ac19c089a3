"""Bad rows: which are set aside, how many may be, and the workbook that they go into."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from incumbent.config import DataConfig, ValidationConfig
from incumbent.data import datasets, ingestion
from incumbent.data.datasets import Dataset
from incumbent.tables import table_reader
from incumbent.validation import bad_rows_workbook, rows_set_aside, text_checks

LABELS = "billing", "late"
ASIDE = ValidationConfig(bad_rows="set_aside", labels=LABELS)


def csv(folder: Path, name: str, rows: int, *bad: str) -> str:
    """A file of good rows, the bad ones after them."""
    path = folder / f"{name}.csv"
    good = [f"{name} message number {n},{LABELS[n % 2]}" for n in range(rows)]
    path.write_text("\n".join(["message,topic", *good, *bad]) + "\n")
    return str(path)


def data(folder: Path, *train: str, **more: object) -> DataConfig:
    test = csv(folder, "test", 20)
    return DataConfig.model_validate(
        {"train": train, "test": test, "text_column": "message", "label_columns": "topic"} | more
    )


def read(config: DataConfig, folder: Path) -> Dataset:
    return ingestion.ingest(config, folder / "work")


def test_rows_that_fail_by_themselves_are_set_aside_with_reasons(tmp_path: Path) -> None:
    bad = "a slip,biling", " ,late", f"{'x' * 40_000},late"
    dataset = read(data(tmp_path, csv(tmp_path, "a", 27, *bad)), tmp_path)
    aside = rows_set_aside.set_aside(dataset, ASIDE)
    assert (aside.dataset.train.set_aside, aside.dataset.train.rows) == (3, 27)
    assert [(row.row, row.cells) for row in aside.rows] == [
        (29, ("label",)), (30, ("text",)), (31, ("text",)),
    ]  # fmt: skip
    slip, empty, long = (row.reason for row in aside.rows)
    assert slip == (
        "The label 'biling' (did you mean 'billing'?) is not a known one; known are 'billing', "
        "'late'."
    )
    assert empty == "There is no text."
    assert long == "The text has 40,000 characters; 1 to 32,767 are expected."
    (finding,) = aside.findings
    assert (finding.name, finding.severity, finding.count) == ("set_aside", "warn", 3)
    assert "Set aside: 3 rows (" in finding.message
    assert "1 without a known label" in finding.message
    assert datasets.load(aside.dataset.train)["row"].max() == 28
    # The frozen test set is the same, and so is the data where nothing is to be set aside.
    assert aside.dataset.test.digest == dataset.test.digest
    refused = rows_set_aside.set_aside(dataset, ASIDE.model_copy(update={"bad_rows": "refuse"}))
    assert refused.dataset is dataset
    assert rows_set_aside.bad_rows(dataset, ASIDE) == aside.rows


@pytest.mark.parametrize(
    ("good", "bad", "few"),
    [(7, 1, True), (5, 3, True), (3, 3, False), (1, 1, False), (36, 4, True), (35, 4, False),
     (90, 10, True), (90, 11, False)],
)  # fmt: skip
def test_a_few_are_a_tenth_or_three(good: int, bad: int, few: bool) -> None:
    assert rows_set_aside.few(bad, good + bad, ValidationConfig()) == few


def test_each_file_has_its_own_share(tmp_path: Path) -> None:
    first = csv(tmp_path, "a", 5, *["slip,x"] * 3)
    second = csv(tmp_path, "b", 5, *["slip,x"] * 3)
    third = csv(tmp_path, "c", 5, *["slip,x"] * 6)
    aside = rows_set_aside.set_aside(read(data(tmp_path, first, second), tmp_path), ASIDE)
    assert (aside.dataset.train.set_aside, aside.dataset.train.rows) == (6, 10)
    aside = rows_set_aside.set_aside(read(data(tmp_path, first, third), tmp_path), ASIDE)
    assert aside.dataset.train.set_aside == 3
    error = next(f for f in aside.findings if f.severity == "error")
    assert "6 of the 11 rows of " in error.message
    assert "c.csv are bad, and at most 10% are set aside" in error.message


def test_a_class_that_vanishes_is_said(tmp_path: Path) -> None:
    config = ASIDE.model_copy(update={"labels": None})
    dataset = read(data(tmp_path, csv(tmp_path, "a", 20, " ,rare")), tmp_path)
    aside = rows_set_aside.set_aside(dataset, config)
    assert "No row is left of 'rare'." in aside.findings[0].message
    assert aside.dataset.classes == LABELS


def test_of_sets_of_labels_an_unknown_one_goes_with_its_rows(tmp_path: Path) -> None:
    file = csv(tmp_path, "a", 20, "both,billing;late", "slip,late;biling")
    dataset = read(data(tmp_path, file, label_separator=";"), tmp_path)
    assert dataset.label_names == ("biling", "billing", "late")
    aside = rows_set_aside.set_aside(dataset, ASIDE)
    assert aside.dataset.label_names == LABELS
    assert [row.row for row in aside.rows] == [23]
    assert "'biling' (did you mean 'billing'?)" in aside.rows[0].reason


def test_what_is_only_warned_of_stays(tmp_path: Path) -> None:
    twice = csv(tmp_path, "a", 20, "said,late", "said,billing")
    dataset = read(data(tmp_path, twice), tmp_path)
    assert rows_set_aside.set_aside(dataset, ASIDE).rows == ()
    strict = ASIDE.model_copy(update={"on_conflict": "error"})
    aside = rows_set_aside.set_aside(dataset, strict)
    assert [row.row for row in aside.rows] == [22, 23]
    assert "with another label" in aside.rows[0].reason


def test_each_check_of_single_rows_says_which_cell_is_wrong() -> None:
    of_files = {
        "text_column", "label_column", "rows", "one_class", "classes", "class_rows", "leak",
    }  # fmt: skip
    for sets in (False, True):
        names = {check.name for check in text_checks.for_split("train", ASIDE, LABELS, sets=sets)}
        assert names - of_files == set(rows_set_aside.CELLS) - (
            {"joined_labels"} if sets else set()
        )


def messy(path: Path, header_row: int = 1, sheet: str = "March") -> Path:
    """A workbook as a labeller has it, with columns of their own."""
    workbook = Workbook()
    table = workbook.active
    assert table is not None
    table.title = sheet
    for _ in range(1, header_row):
        table.append([])
    table.append(["no", "Message", "topic", "when", "row"])
    when = datetime.datetime(2026, 3, 1, 12, 30)
    for n in range(20):
        table.append([n, f"a message, number {n}", LABELS[n % 2], when, n])
    table.append([20, "+1 and a slip", "biling", when, "=1+1"])
    table.append([21.5, "#N/A", "late", when, True])
    table.append([22, "=B3", "late", None, None])
    workbook.save(path)
    return path


@pytest.mark.parametrize(("header_row", "sheet"), [(None, None), (3, "March"), (None, 1)])
def test_the_workbook_has_the_columns_of_the_file_and_is_read_again(
    tmp_path: Path, header_row: int | None, sheet: str | int | None
) -> None:
    source = messy(tmp_path / "in.xlsx", header_row or 1)
    if sheet == 1:
        workbook = load_workbook(source)
        workbook.create_sheet("first", 0)
        workbook.save(source)
    config = data(tmp_path, str(source), header_row=header_row, sheet=sheet)
    test = Path(config.test)
    test.write_text("\n" * ((header_row or 1) - 1) + test.read_text())
    dataset = read(config, tmp_path)
    aside = rows_set_aside.set_aside(dataset, ASIDE)
    path = tmp_path / "out.xlsx"
    bad_rows_workbook.write(path, aside.rows, dataset.train, config)
    top = header_row or 1
    found = load_workbook(path).worksheets[sheet if isinstance(sheet, int) else 0]
    header, *rows = list(found.iter_rows(min_row=top))
    assert [cell.value for cell in header] == [
        "no", "Message", "topic", "when", "row", "file", "sheet", "incumbent row", "reason",
    ]  # fmt: skip
    slip, error, formula = ([cell.value for cell in row] for row in rows)
    when = datetime.datetime(2026, 3, 1, 12, 30)
    assert slip[:8] == [20, "+1 and a slip", "biling", when, None, "in.xlsx", "March", 21 + top]
    assert error[:5] == [21.5, None, "late", when, True]
    assert formula[:3] == [22, None, "late"]
    assert "a formula; paste it as a value" in formula[8]
    assert [row[1].data_type for row in rows] == ["s", "n", "n"]
    marked = [[at for at, c in enumerate(row) if c.fill.fill_type] for row in rows]
    assert marked == [[2], [1], [1]]

    # What was corrected is good; what was not is still bad, and the columns stay those they were.
    rows[0][2].value = "billing"
    found.parent.save(tmp_path / "again.xlsx")
    again = config.model_copy(update={"train": str(tmp_path / "again.xlsx")})
    frame = table_reader.read(str(tmp_path / "again.xlsx"), again)
    assert frame["found"].tolist() == ["text", "empty", "empty"]
    dataset = read(again, tmp_path)
    still = rows_set_aside.bad_rows(dataset, ASIDE)
    assert [row.row - top for row in still] == [2, 3]
    bad_rows_workbook.write(path, still, dataset.train, again)
    last = load_workbook(path).worksheets[sheet if isinstance(sheet, int) else 0]
    names = [cell.value for cell in next(last.iter_rows(min_row=top))]
    assert names[:5] == ["no", "Message", "topic", "when", "row"]
    assert names.count("reason") == 1


def test_the_workbook_has_the_rows_of_each_file(tmp_path: Path) -> None:
    first = csv(tmp_path, "a", 20, "a slip,biling")
    messy(tmp_path / "b.xlsx")
    (tmp_path / "in").mkdir()
    for path in (Path(first), tmp_path / "b.xlsx"):
        path.rename(tmp_path / "in" / path.name)
    config = data(tmp_path, str(tmp_path / "in"))
    dataset = read(config, tmp_path)
    aside = rows_set_aside.set_aside(dataset, ASIDE)
    csv(tmp_path / "in", "0", 3)  # a file that came later changes nothing
    path = tmp_path / "out.xlsx"
    bad_rows_workbook.write(path, aside.rows, dataset.train, config)
    header, *rows = load_workbook(path).worksheets[0].iter_rows(values_only=True)
    assert header[:5] == ("message", "topic", "no", "when", "row")
    assert [row[:2] for row in rows][:2] == [("a slip", "biling"), ("+1 and a slip", "biling")]
    assert [row[-4:-1] for row in rows] == [
        ("a.csv", None, 22), ("b.xlsx", "March", 22), ("b.xlsx", "March", 23),
        ("b.xlsx", "March", 24),
    ]  # fmt: skip


@pytest.mark.slow
def test_great_expectations_judges_the_rows_that_go_in(tmp_path: Path) -> None:
    from incumbent.validation.great_expectations_runner import validate

    dataset = read(data(tmp_path, csv(tmp_path, "a", 27, "a slip,<b>biling", " ,late")), tmp_path)
    verdict = validate(dataset, ASIDE, tmp_path)
    assert verdict.passed, verdict.refusal()
    assert (verdict.rows_set_aside, verdict.dropped, verdict.dataset.train.rows) == (2, 0, 27)
    assert verdict.metrics == {"rows_set_aside": 2}
    (finding,) = [finding for finding in verdict.findings if not finding.passed]
    assert (finding.name, finding.where) == ("set_aside", "29, 30")
    page = (verdict.data_docs / "index.html").read_text(encoding="utf-8")
    assert "The data was accepted" in page
    assert "Set aside: 2 rows" in page
    assert "<b>" not in page

    many = read(data(tmp_path, csv(tmp_path, "b", 27, *["a slip,biling"] * 4)), tmp_path)
    refused = validate(many, ASIDE, tmp_path)
    assert not refused.passed
    assert "4 of the 31 rows of " in refused.refusal()
    assert "4 rows with the label 'biling'" in refused.refusal()
    assert refused.bad_rows == ()


@pytest.mark.slow
def test_rows_of_the_test_set_are_never_set_aside(tmp_path: Path) -> None:
    from incumbent.validation.great_expectations_runner import validate

    config = data(tmp_path, csv(tmp_path, "a", 30))
    test = Path(config.test)
    test.write_text(test.read_text() + "a slip,biling\n")
    verdict = validate(read(config, tmp_path), ASIDE, tmp_path)
    assert not verdict.passed
    assert "'biling'" in verdict.refusal()
    assert "is frozen" in verdict.refusal()
    assert verdict.dataset.test.rows == 21


def test_texts_in_folders_are_one_file_of_which_a_few_are_set_aside(tmp_path: Path) -> None:
    for n in range(30):
        path = tmp_path / "texts" / LABELS[n % 2] / f"{n}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" " if n == 7 else f"message number {n}")
    config = data(tmp_path, str(tmp_path / "texts"), csv(tmp_path, "a", 20, "a slip,biling"))
    dataset = read(config, tmp_path)
    aside = rows_set_aside.set_aside(dataset, ASIDE)
    assert (aside.dataset.train.set_aside, aside.dataset.train.rows) == (2, 49)
    path = tmp_path / rows_set_aside.SHEET
    bad_rows_workbook.write(path, aside.rows, dataset.train, config)
    _, *rows = load_workbook(path).active.values
    assert [row[2] for row in rows] == ["late/7.txt", "a.csv"]
    strict = ASIDE.model_copy(update={"min_characters": 17})  # message number 0
    (error,) = rows_set_aside.set_aside(read(config.model_copy(
        update={"train": (str(tmp_path / "texts"),)}), tmp_path), strict).findings  # fmt: skip
    assert f"10 of the 30 rows of {tmp_path}/texts are bad" in error.message


@pytest.mark.parametrize("separator", ["", ";"])
def test_lists_and_keys_in_objects_are_read_again_from_the_workbook(
    tmp_path: Path, separator: str
) -> None:
    names = ["late", "billing"] if separator else ["late"]
    records = [{"by": {"text": f"Nr. {n}" if n else " "}, "topic": names} for n in range(20)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, records[1:])))
    config = DataConfig(
        train=str(tmp_path / "a.jsonl"), test=str(tmp_path / "t.jsonl"), text_column="by.text",
        label_columns="topic", label_separator=separator,
    )  # fmt: skip
    dataset = read(config, tmp_path)
    aside = rows_set_aside.set_aside(dataset, ASIDE)
    path = tmp_path / rows_set_aside.SHEET
    bad_rows_workbook.write(path, aside.rows, dataset.train, config)
    (row,) = table_reader.read(str(path), config).to_dict("records")
    assert (row["text"], row["label"]) == ("", separator.join(names))
