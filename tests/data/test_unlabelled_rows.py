"""Rows without a label, kept for asking which of them to label next."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from incumbent.config import DataConfig
from incumbent.data import datasets, ingestion, unlabelled_rows
from incumbent.data.unlabelled_rows import UnlabelledRows

GOOD = "message,topic\n" + "".join(f"text number {n},{'ab'[n % 2]}\n" for n in range(20))


def test_unlabelled_rows_of_train_are_kept_beside_the_dataset(tmp_path: Path) -> None:
    for name in ("a", "b"):
        path = tmp_path / f"{name}.csv"
        path.write_text(f"{GOOD}nobody labelled {name},\n,\n \t,\n".replace("text", name))
    (tmp_path / "test.csv").write_text(GOOD.replace("text", "test") + "of no use,\n")
    files = tuple(str(tmp_path / f"{name}.csv") for name in ("a", "b"))
    config = DataConfig(
        train=files, test=str(tmp_path / "test.csv"), text_column="message", label_columns="topic"
    )
    dataset = ingestion.ingest(config, tmp_path / "work")
    path = dataset.train.unlabelled_path
    assert path is not None
    assert path.parent == dataset.train.path.parent
    assert pd.read_parquet(path).to_dict("list") == {
        "file": [*files], "row": [22, 22], "message": ["nobody labelled a", "nobody labelled b"],
    }  # fmt: skip
    assert dataset.test.unlabelled_path is None
    # Where the table was deleted, the files are read again.
    path.unlink()
    assert ingestion.read_before(config, tmp_path / "work") is None
    assert ingestion.ingest(config, tmp_path / "work").train.unlabelled_path == path
    assert path.is_file()
    other = datasets.rewritten(
        dataset, datasets.parts(dataset.train), datasets.parts(dataset.test), ()
    )
    assert other.train.unlabelled_path == path


def test_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlabelled_rows, "MOST", 30)
    monkeypatch.setattr(unlabelled_rows, "_CHARACTERS", 250)
    rows = UnlabelledRows()
    for start in range(0, 60, 20):
        numbers = range(start, start + 20)
        rows.add(pd.DataFrame({"row": numbers, "text": "x" * 5, "found": "text"}))
    assert (rows.count, len(rows.first)) == (60, 20)
    assert len(pd.read_parquet(rows.save(tmp_path, ["a.csv"], "text"))) == 30
    long = UnlabelledRows()
    long.add(pd.DataFrame({"row": [2, 3, 4], "text": "x" * 100, "found": "text"}))
    assert len(pd.read_parquet(long.save(tmp_path, ["a.csv"], "text"))) == 2
    assert [path.suffix for path in tmp_path.iterdir()] == [".parquet"] * 2
