from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import load_workbook

from incumbent.errors import ConfigError
from incumbent.tables import table_reader, table_writer

HEADER = ["id", "text", "probability_pos"]
HOSTILE = [
    "=1+1", "+1+1", "-1+1", "-A1", "+1 2", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x")', "fine",
    "it's = fine",
]  # fmt: skip


def written(path: Path, *parts: list[list[object]]) -> Path:
    with table_writer.opened(path, "probability_") as write:
        for rows in parts:
            write(HEADER, rows)
    return path


def rows_of(texts: list[str]) -> list[list[object]]:
    return [[index, text, index / 10] for index, text in enumerate(texts)]


@pytest.mark.parametrize("suffix", table_writer.FORMATS)
def test_what_is_written_in_parts_is_read_back(tmp_path: Path, suffix: str) -> None:
    texts = ["grüße", "_x0041_", "two\nlines", 'a "quoted", text', "<b>", "🎬"]
    rows = rows_of(texts)
    path = written(tmp_path / f"out{suffix}", rows[:2], rows[2:])
    tables = list(table_reader.whole(str(path), 0, "utf-8"))
    assert tables[0].header == HEADER
    assert [text for table in tables for text in table_reader.texts(table, ["text"], "")] == texts
    assert [float(str(row[2])) for table in tables for row in table.rows] == [
        0,
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
    ]
    assert [path.name for path in tmp_path.iterdir()] == [f"out{suffix}"]


def test_no_cell_of_a_workbook_is_a_formula(tmp_path: Path) -> None:
    path = written(tmp_path / "out.xlsx", rows_of(HOSTILE))
    cells = [row[1] for row in load_workbook(path).active.iter_rows(min_row=2)]
    assert {cell.data_type for cell in cells} == {"s"}
    assert [cell.value for cell in cells] == HOSTILE


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_no_cell_of_a_text_file_begins_as_a_formula(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"out{suffix}", rows_of(HOSTILE))
    read = pd.read_csv(path, sep="\t" if suffix == ".tsv" else ",")["text"].tolist()
    assert read == [text if text[0] in "fi" else f"'{text}" for text in HOSTILE]


def test_numbers_keep_their_sign(tmp_path: Path) -> None:
    """As numbers, and as the texts that a CSV holds them as."""
    path = written(tmp_path / "out.csv", [[-1, "-2.5", -0.5], ["+3e-7", "-4", 0.5]])
    assert path.read_text(encoding="utf-8-sig").splitlines()[1:] == [
        "-1,-2.5,-0.5", "+3e-7,-4,0.5",
    ]  # fmt: skip


def test_what_is_not_there_is_null(tmp_path: Path) -> None:
    path = written(tmp_path / "out.jsonl", [[1, None, float("nan")]])
    assert json.loads(path.read_text()) == {"id": 1, "text": None, "probability_pos": None}


@pytest.mark.parametrize("suffix", table_writer.FORMATS)
def test_half_a_surrogate_pair_is_no_end(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"out{suffix}", rows_of(["a \ud83d b"]))
    (table,) = table_reader.whole(str(path), 0, "utf-8")
    assert re.fullmatch(r"a \W+ b", table_reader.texts(table, ["text"], "")[0])


@pytest.mark.parametrize("suffix", table_writer.FORMATS)
def test_what_breaks_off_leaves_the_file_that_was_there(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_text("before")

    def break_off() -> None:
        with table_writer.opened(path, "probability_") as write:
            write(HEADER, rows_of(["one"]))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_that_no_cell_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Row 3 .* 40,000 characters"):
        written(tmp_path / "out.xlsx", rows_of(["short", "a" * 40_000]))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.docx", r"\.docx cannot be written"),
        ("out", "without an extension"),
        ("none/out.csv", "there is no folder"),
        ("folder.csv", "is a folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigError, match=message):
        written(tmp_path / name, rows_of(["x"]))
