"""A table to score is read as a table to train on: the same rows, and the same is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from incumbent.errors import ConfigError
from incumbent.tables import table_reader


def whole(path: Path, text: str, **how: object) -> tuple[list[list[object]], str]:
    """The rows of a table with a column `review`, and what is said of it."""
    path.write_text(text)
    said: list[str] = []
    tables = table_reader.whole(str(path), None, "auto", ["review"], note=said.append, **how)
    return [row for table in tables for row in table.rows], " ".join(said)


def test_no_row_is_lost_without_a_word(tmp_path):
    text = "id,Review (customer),type\n1,good,x\n2,bad,review\n"
    rows, said = whole(tmp_path / "a.csv", text)
    assert rows == [["1", "good", "x"], ["2", "bad", "review"]]
    assert "'Review (customer)' is taken for 'review'" in said
    rows, said = whole(tmp_path / "a.csv", text + "3;review;y\n", header_row=3)
    assert rows == [["3;review;y"]]
    assert "the header is row 3; 2 rows above it left out" in said
    rows, said = whole(tmp_path / "a.csv", text + "3;review;y\n4;fine;z\n", delimiter=";")
    assert (rows, "3 rows above it left out" in said) == ([["4", "fine", "z"]], True)
    with pytest.raises(ConfigError, match="delimiter"):
        whole(tmp_path / "a.csv", text, delimiter="abc")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (
            '{"review": {"0": "good", "1": "bad"}, "id": {"0": 1, "1": 2}}',
            [["good", 1], ["bad", 2]],
        ),
        ('{"review": "good", "items": [{"x": 1}]}', [["good", [{"x": 1}]]]),
        ('{"review": "good"}\n{"id": 2}\n', [["good", None], [None, 2]]),
    ],
)
def test_each_record_of_json_is_a_row(tmp_path, text, rows):
    assert whole(tmp_path / "a.json", text)[0] == rows
