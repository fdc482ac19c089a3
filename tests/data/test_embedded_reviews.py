"""The embedded reviews: what is in them, and that they are always the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from incumbent.data import embedded_reviews
from incumbent.data.canonical_text import fold
from incumbent.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return embedded_reviews.write(tmp_path_factory.mktemp("reviews"))


@pytest.fixture(scope="module")
def frames(written: tuple[Path, Path]) -> list[pd.DataFrame]:
    return [pd.read_excel(path, engine="calamine") for path in written]


def test_files_and_columns(written, frames):
    assert [path.name for path in written] == ["train.xlsx", "test.xlsx"]
    assert [list(frame.columns) for frame in frames] == [["Reviews", "Sentiment"]] * 2
    assert sorted(path.name for path in written[0].parent.iterdir()) == ["test.xlsx", "train.xlsx"]


def test_four_to_one_and_two_labels(frames):
    train, test = frames
    assert len(train) + len(test) > 12_700
    assert 3.5 < len(train) / len(test) < 4.5
    for frame in frames:
        assert set(frame["Sentiment"]) == {"pos", "neg"}
        assert not frame["Sentiment"].head(1000).is_monotonic_increasing  # shuffled


def test_no_text_stands_twice(frames):
    folded = pd.concat(frames)["Reviews"].map(fold)
    assert not folded.duplicated().any()
    assert (folded != "").all()


def test_the_film_of_each_review_is_a_column_if_asked_for(tmp_path, frames):
    paths = embedded_reviews.write(tmp_path, films=True)
    with_films = [pd.read_excel(path, engine="calamine", dtype=str) for path in paths]
    for frame, known in zip(with_films, frames, strict=True):
        assert frame["Reviews"].tolist() == known["Reviews"].astype(str).tolist()
    train, test = (set(frame["Film"]) for frame in with_films)
    assert len(train | test) > 500
    assert not train & test


def test_no_film_is_on_both_sides():
    corpus = embedded_reviews._corpus()
    train, test = embedded_reviews._split(corpus)
    assert not set(train["film"]) & set(test["film"])
    assert len(train) + len(test) == len(corpus)


@pytest.mark.slow
def test_same_bytes_every_time_whatever_is_there(written, tmp_path):
    (tmp_path / "train.xlsx").write_text("half a file")
    # A zip entry's date counts in steps of two seconds.
    time.sleep(max(0, written[0].stat().st_mtime + 2 - time.time()))
    again = embedded_reviews.write(tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


@pytest.mark.parametrize("text", ["=1+1", "=HYPERLINK(1)", "+1", "-1 for this film", "@home", "5"])
def test_text_that_looks_like_a_formula_is_text(tmp_path, text):
    path = tmp_path / "tricky.xlsx"
    frame = pd.DataFrame({"text": [text], "label": ["pos"], "film": [text]})
    embedded_reviews._write_workbook(frame, path, films=True)
    found = pd.read_excel(path, engine="calamine", dtype=str)
    assert found[["Reviews", "Film"]].to_numpy().tolist() == [[text, text]]


def test_a_file_where_the_folder_belongs(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(ConfigError, match="is a file"):
        embedded_reviews.write(path)
    with pytest.raises(ConfigError, match="is a file"):
        embedded_reviews.write(path / "below")


def test_a_folder_that_cannot_be_made():
    with pytest.raises(DataError, match="cannot be written"):
        embedded_reviews.write(embedded_reviews.Path("/proc/reviews"))
