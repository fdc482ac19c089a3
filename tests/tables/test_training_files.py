"""Training data in several files: which are read, and how their rows are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from incumbent.config import DataConfig, ValidationConfig
from incumbent.data import datasets, ingestion
from incumbent.errors import DataError
from incumbent.tables import training_files
from incumbent.validation import great_expectations_runner

Write = Callable[[str, list[str]], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write texts to a file under tmp_path, labelled a and b by turns."""

    def write(name: str, texts: list[str]) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame({"text": texts, "label": ["ab"[i % 2] for i in range(len(texts))]})
        if name.endswith(".xlsx"):
            frame.to_excel(path, index=False)
        else:
            frame.to_csv(path, index=False)
        return str(path)

    return write


def test_a_folder_means_its_data_files_sorted_and_nothing_unfinished(
    write: Write, tmp_path: Path
) -> None:
    for name in ("b.csv", "a.xlsx", "~$a.xlsx", ".hidden.csv", "c.csv.part", "sub/d.csv"):
        write(f"in/{name}" if not name.endswith(".part") else "in/x.csv", ["t"])
    (tmp_path / "in/x.csv").rename(tmp_path / "in/c.csv.part")
    (tmp_path / "in/notes.docx").write_text("no data")
    folder = str(tmp_path / "in")
    assert training_files.expand(folder) == (f"{folder}/a.xlsx", f"{folder}/b.csv")
    assert training_files.expand(f"{folder}/") == training_files.expand(folder)
    assert training_files.expand(f"{folder}/b*") == (f"{folder}/b.csv",)
    assert training_files.expand(f"file://{folder}/") == (
        f"file://{folder}/a.xlsx", f"file://{folder}/b.csv",
    )  # fmt: skip


def test_a_file_is_meant_as_it_is_named(write: Write, tmp_path: Path) -> None:
    for address in ("https://h.example/a.csv?key=*", "https://h.example/export", "zip://a::b.zip"):
        assert training_files.expand(address) == (address,)  # and nobody is asked
    odd = write("reviews [1].csv", ["t"])
    assert training_files.expand(odd) == (odd,)
    missing = str(tmp_path / "missing.csv")
    assert training_files.expand((missing, odd)) == (missing, odd)


def test_relative_names_stay_so(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("in/a.csv", ["t"])
    monkeypatch.chdir(tmp_path)
    assert training_files.expand("in/*.csv") == ("in/a.csv",)
    monkeypatch.chdir(tmp_path / "in")
    assert training_files.expand("*.csv") == ("a.csv",)


def test_an_empty_folder_and_a_file_named_twice_are_refused(write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no file that can be read under this folder"):
        training_files.expand(str(tmp_path / "empty"))
    one = write("in/a.csv", ["t"])
    with pytest.raises(DataError, match=r"a\.csv twice"):
        training_files.expand((one, str(tmp_path / "in")))


def test_rows_keep_their_file(write: Write, tmp_path: Path) -> None:
    one = write("in/a.xlsx", ["good one", "bad one"])
    two = write("in/b.csv", ["good two", "bad two", "third"])
    test = write("test.csv", ["x y", "z w"])
    config = DataConfig(train=(one, two), test=test)
    dataset = ingestion.ingest(config, tmp_path / "work")
    rows = datasets.load(dataset.train)["row"].tolist()
    assert rows == [2, 3, 1_000_000_002, 1_000_000_003, 1_000_000_004]
    assert dataset.train.files == (one, two)
    assert dataset.train.source == f"{one}, {two}"
    assert (
        training_files.rows_in_words(rows, dataset.train.files)
        == "2, 3 of a.xlsx; 2, 3, 4 of b.csv"
    )
    assert training_files.row_in_words(rows[2]) == "2 of file 2"
    assert training_files.rows_in_words(rows[:2], ()) == "2, 3"
    # Read again, nothing is parsed; a folder that gains a file is read anew.
    assert ingestion.read_before(config, tmp_path / "work") == dataset
    whole = DataConfig(train=str(tmp_path / "in"), test=test)
    assert ingestion.ingest(whole, tmp_path / "work").train.rows == 5
    write("in/c.csv", ["more", "and more"])
    assert ingestion.read_before(whole, tmp_path / "work") is None
    assert ingestion.ingest(whole, tmp_path / "work").train.rows == 7


def test_a_column_that_one_file_lacks_is_blank(write: Write, tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("text,label,channel\nt,a,web\n")
    two.write_text("text,label\nu,b\n")
    test = tmp_path / "test.csv"
    test.write_text("text,label,channel\nv,a,web\n")
    config = DataConfig(train=(str(one), str(two)), test=str(test))
    dataset = ingestion.ingest(config, tmp_path / "work", ["channel"])
    assert datasets.load(dataset.train)["slice:channel"].tolist() == ["web", ""]


def test_what_is_wrong_with_one_names_it(write: Write, tmp_path: Path) -> None:
    one = write("a.csv", ["t"])
    two = tmp_path / "b.csv"
    two.write_text("review,label\nt,a\n")
    config = DataConfig(train=(one, str(two)), test=one)
    with pytest.raises(DataError, match=r"b\.csv has no column 'text'"):
        ingestion.ingest(config, tmp_path / "work")


def test_a_folder_may_be_named_by_the_environment(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.csv", ["one"])
    monkeypatch.setenv("INBOX", str(tmp_path))
    assert training_files.expand("${INBOX}") == ("${INBOX}/a.csv",)


@pytest.mark.slow
def test_a_refusal_names_the_rows_of_each_file(write: Write, tmp_path: Path) -> None:
    one = write("a.xlsx", [f"a review of number {i}" for i in range(20)] + [""])
    two = write("b.csv", [f"another one of number {i}" for i in range(20)] + [""])
    leak = [f"another one of number {i}" for i in (3, 4)]  # more than a few
    test = write("test.csv", [f"a test of number {i}" for i in range(20)] + leak)
    dataset = ingestion.ingest(DataConfig(train=(one, two), test=test), tmp_path / "work")
    verdict = great_expectations_runner.validate(dataset, ValidationConfig(), tmp_path)
    said = verdict.refusal()
    assert f"{one}, {two} (train) was refused:" in said
    assert "Rows 22 of a.xlsx; 22 of b.csv." in said  # no text
    assert "test row 22 is train row 5 of file 2" in said
    page = (verdict.data_docs / "index.html").read_text()
    assert "22 of a.xlsx; 22 of b.csv" in page
