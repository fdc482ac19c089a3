from __future__ import annotations

import json
from pathlib import Path

import pytest

from incumbent.errors import DataError
from incumbent.labelling import unlabelled_pool
from incumbent.labelling.unlabelled_pool import Pool


def pool(path: Path, known: list[str], most: int = 100, seed: int = 0) -> Pool:
    return unlabelled_pool.read(str(path), ("text",), "label", known, most, seed)


def test_only_new_texts_without_a_label_are_left(tmp_path: Path) -> None:
    path = tmp_path / "pool.csv"
    path.write_text(
        "text,label\nnew one,\nlabelled,late\n,\nKnown  TEXT,\nNew one,\nLABELLED,\n=1+1,\n",
        encoding="utf-8",
    )
    found = pool(path, ["known text"])
    assert (found.texts, found.numbers) == (["new one", "=1+1"], [2, 8])
    counts = found.rows, found.labelled, found.empty, found.repeated
    assert counts == (7, 1, 1, 3)


def test_a_table_without_a_column_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("a", "b")), "utf-8")
    assert pool(path, []).texts == ["a", "b"]


def test_of_more_rows_than_are_looked_at_each_is_as_likely(tmp_path: Path) -> None:
    path = tmp_path / "pool.csv"
    path.write_text("text\n" + "".join(f"text {row}\n" for row in range(40)), encoding="utf-8")
    counts = dict.fromkeys(range(40), 0)
    for seed in range(200):
        found = pool(path, [], 10, seed)
        assert len(found.texts) == 10
        assert found.not_drawn == 30
        for text, number in zip(found.texts, found.numbers, strict=True):
            assert text == f"text {number - 2}"
            counts[number - 2] += 1
    # 50 of 200 are expected, with a standard deviation of 6.
    assert all(26 < count < 74 for count in counts.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\nknown,\none,late\n", "1 have a label, 0 no text, and 1 a text"),
        ("words\none\n", "has no column 'text'"),
    ],
)
def test_a_table_with_nothing_to_choose_from(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pool.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        pool(path, ["known"])
