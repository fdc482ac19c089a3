"""Rows that are left out before anything is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from incumbent.config import DataConfig, ValidationConfig
from incumbent.data import ingestion
from incumbent.validation import label_checks, rows_left_out

ROWS = 100


def texts(name: str, leaks: range = range(0)) -> str:
    """A file with some texts of the test set among its own."""
    own = [f"{name} text number {n}" for n in range(ROWS - len(leaks))]
    rows = [*own, *(f"test text number {n}" for n in leaks)]
    return "text,label\n" + "".join(f"{text},{'ab'[n % 2]}\n" for n, text in enumerate(rows))


@pytest.mark.parametrize(
    ("leaks", "dropped"),
    [
        ([range(3), range(3, 6), range(6, 9)], 9),  # each may be trained on alone
        ([range(9)], 0),
        ([range(3), range(3, 12)], 0),  # the second may not
        ([range(0), range(6), range(0)], 0),  # few of train, but not of test
        ([range(5), range(5), range(5)], 15),  # of number 2, the hash ends in a zero
    ],
)
def test_leaks_of_several_files_are_few_if_those_of_each_are(
    tmp_path: Path, leaks: list[range], dropped: int
) -> None:
    files = [tmp_path / f"{n}.csv" for n in range(len(leaks))]
    for file, held in zip(files, leaks, strict=True):
        file.write_text(texts(file.stem, held))
    (tmp_path / "test.csv").write_text(texts("test"))
    data = DataConfig(train=tuple(map(str, files)), test=str(tmp_path / "test.csv"))
    dataset = ingestion.ingest(data, tmp_path)
    kept = rows_left_out.leave_out(dataset, ValidationConfig())
    assert dataset.train.rows - kept.dataset.train.rows == dropped
    assert len(kept.findings) == bool(dropped)


def test_labels_that_are_named_are_known_however_the_data_spells_them(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text(texts(name).replace(",a", ",TRUE"))
    data = DataConfig(train=str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"))
    config = ValidationConfig(labels=("True", "b"), on_rare_class="drop", min_rows_per_class=60)
    dataset = ingestion.ingest(data, tmp_path)
    assert label_checks.known_labels(config, dataset.classes)["train"] == ("TRUE", "b")
    left = rows_left_out.leave_out(dataset, config)
    assert "'TRUE'" in " ".join(finding.message for finding in left.findings)
    named = ingestion.ingest(data, tmp_path, labels=config.labels)
    assert named.classes == ("True", "b")


def test_rows_that_people_label_differently_are_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(texts("test"))
    (tmp_path / "train.csv").write_text(texts("train") + "Train text  number 4,b\n")
    data = DataConfig(
        train=str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"),
        on_disagreement="set_aside",
    )  # fmt: skip
    kept = rows_left_out.leave_out(ingestion.ingest(data, tmp_path), ValidationConfig())
    (finding,) = kept.findings
    assert (finding.name, finding.count, finding.rows) == ("disagreement", 2, (6, 102))
    assert finding.message.startswith("Left out: 2 rows that people label differently")
    assert kept.dataset.train.rows == ROWS - 1


def test_a_correction_of_a_test_row_that_stands_in_train_is_told_where_it_belongs(
    tmp_path: Path,
) -> None:
    (tmp_path / "test.csv").write_text(texts("test"))
    leaks = "test text number 2,a\ntest text number 3,b\ntest text number 4,b\n"  # the last is new
    (tmp_path / "train.csv").write_text(texts("train") + leaks)
    data = DataConfig(train=str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"))
    kept = rows_left_out.leave_out(ingestion.ingest(data, tmp_path), ValidationConfig())
    (finding,) = kept.findings
    assert finding.count == 3
    assert "1 row of them has another label than in test" in finding.message
    assert "promotion.new_reign" in finding.message


def test_a_class_that_is_too_rare_is_told_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(texts("test"))
    (tmp_path / "train.csv").write_text(texts("train") + "one more,refund\nand another,refund\n")
    data = DataConfig(train=str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"))
    config = ValidationConfig(on_rare_class="drop")
    (finding,) = rows_left_out.leave_out(ingestion.ingest(data, tmp_path), config).findings
    assert "with 3 more of 'refund' they are trained on" in finding.message
