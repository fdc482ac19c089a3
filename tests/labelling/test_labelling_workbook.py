from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from incumbent.config import DataConfig
from incumbent.data import ingestion
from incumbent.errors import ConfigError, DataError
from incumbent.labelling import labelling_workbook
from incumbent.labelling.labelling_workbook import Column, Workbook, cell_text
from incumbent.tables import table_reader, training_files

HOSTILE = [
    "=HYPERLINK(\"http://evil\")", "+1+cmd|' /C calc'!A0", "-2", "@SUM(A1)", "\t=1",
    "_x0041_ is no A", "two\nlines", " spaces ", "007", "#N/A", "<b>&amp;</b>", "null",
    "Ünïcödé 🎬",
]  # fmt: skip
CONFIG = DataConfig(text_column="message", label_columns="topic")


def workbook(texts: list[str], labels: list[str | None], others: list[Column]) -> Workbook:
    return Workbook(
        title="suspects", text=Column("message", 80, texts), label=Column("topic", 20, labels),
        others=others, labels=("=late", "billing"), guide=("One.", "Two.", "Three."),
    )  # fmt: skip


def test_what_comes_back_is_read_as_training_data_word_for_word(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    labels = ["billing" if at % 2 else None for at in range(len(HOSTILE))]
    others = [Column("present label", 20, HOSTILE)]
    labelling_workbook.write(path, tmp_path / "written", workbook(HOSTILE, labels, others))
    frame = table_reader.read(str(path), CONFIG)
    assert frame["text"].tolist() == HOSTILE
    assert frame["label"].tolist() == [label or "" for label in labels]
    assert not frame["formula"].any()
    cells = [cell for sheet in openpyxl.load_workbook(path) for row in sheet for cell in row]
    assert {cell.data_type for cell in cells if cell.value is not None} == {"s"}


def test_rows_that_nobody_touched_are_no_labels(tmp_path: Path) -> None:
    path, texts = tmp_path / "out.xlsx", ["one", "two", "three"]
    present = Column("present label", 20, ["billing"] * 3)
    labelling_workbook.write(path, tmp_path / "w", workbook(texts, [None] * 3, [present]))

    def labelled() -> list[str]:
        files = training_files.expand(str(path))
        rows = ingestion.Labelled(training_files.parts(files, CONFIG), files, CONFIG)
        return [text for frame in rows for text in frame["text"]]

    with pytest.raises(DataError, match="none of its 3 rows has a label in 'topic'"):
        labelled()
    book = openpyxl.load_workbook(path)
    book["suspects"]["B3"] = "billing"
    book.save(path)
    assert labelled() == ["two"]


def test_a_person_reads_it_without_a_manual(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    others = [Column("wrong, probably", 16, [0.97, 0.9])]
    labelling_workbook.write(path, tmp_path / "w", workbook(["one", "two"], [None] * 2, others))
    book = openpyxl.load_workbook(path)
    sheet = book["suspects"]
    assert book.sheetnames == ["suspects", "how to fill in", "labels"]
    assert [cell.value for cell in sheet[1]] == ["message", "topic", "wrong, probably"]
    assert sheet.freeze_panes == "A2"
    assert [sheet.column_dimensions[letter].width for letter in "ABC"] == [80, 20, 16]
    assert sheet["C2"].number_format == "0%"
    (choice,) = sheet.data_validations.dataValidation
    assert (str(choice.sqref), choice.formula1) == ("B2:B3", "labels!$A$1:$A$2")
    assert [cell.value for cell in book["labels"]["A"]] == ["=late", "billing"]
    assert [cell.value for cell in book["how to fill in"]["A"]] == ["One.", "Two.", "Three."]


def test_no_other_column_can_be_taken_for_that_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "out.xlsx"
    others = [Column("Topic", 20, ["wrong"]), Column("message", 20, ["wrong"])]
    labelling_workbook.write(path, tmp_path / "w", workbook(["one"], ["billing"], others))
    frame = table_reader.read(str(path), CONFIG)
    assert frame[["text", "label"]].to_numpy().tolist() == [["one", "billing"]]


def test_a_text_is_cut_to_what_a_cell_holds() -> None:
    assert len(cell_text("x" * 40_000)) == 32_767
    assert cell_text("x" * 32_767) == "x" * 32_767
    assert cell_text("a\x07b\x00") == "a b "


def test_a_workbook_that_somebody_filled_in_is_not_written_over(tmp_path: Path) -> None:
    path, records = tmp_path / "out.xlsx", tmp_path / "written"
    for _ in range(2):  # as it was written, it may be replaced
        labelling_workbook.check(path, records, ())
        labelling_workbook.write(path, records, workbook(["one"], [None], []))
    book = openpyxl.load_workbook(path)
    book["suspects"]["B2"] = "billing"
    book.save(path)
    with pytest.raises(ConfigError, match="may have filled it in"):
        labelling_workbook.check(path, records, ())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.csv", "ends in .xlsx"),
        ("nowhere/out.xlsx", "there is no folder"),
        ("folder.xlsx", "is a folder"),
        ("train.xlsx", "is data that is read"),
    ],
)
def test_where_no_workbook_can_be_written(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.xlsx").mkdir()
    (tmp_path / "train.xlsx").touch()
    sources = [str(tmp_path / "train.xlsx"), "s3://bucket/train.xlsx"]
    with pytest.raises(ConfigError, match=message):
        labelling_workbook.check(tmp_path / name, tmp_path / "written", sources)
