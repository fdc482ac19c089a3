"""The rows that everything is measured on: IMDB's where they are, else the embedded reviews."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.harness import ROOT

VARIABLE = "INCUMBENT_IMDB"


@dataclass(frozen=True)
class Options:
    """What a benchmark may ask of: where the rows are, a scratch folder, and how thorough to be.

    Each contender is run `rounds` times. `imdb` is a folder with `train.xlsx` (25,000 rows,
    `Reviews` and `Sentiment`), or none.
    """

    imdb: Path | None
    scratch: Path
    quick: bool = False
    rounds: int = 5

    @property
    def source(self) -> str:
        """What the rows are, in words."""
        return "IMDB rows" if self.imdb else "embedded reviews, joined up to IMDB's lengths"


def find_imdb(given: Path | None) -> Path | None:
    """The folder that was named, or the one beside the project, if it holds the file.

    Raises:
        FileNotFoundError: if a folder was named and the file is not in it.
    """
    named = given or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    folder = named or ROOT.parent / "shared" / "data" / "imdb"
    if (folder / "train.xlsx").is_file():
        return folder
    if named:
        raise FileNotFoundError(f"{named} holds no train.xlsx; name the folder of IMDB's reviews")
    return None


def workbook(options: Options) -> Path:
    """A workbook of 25,000 reviews."""
    if options.imdb:
        return options.imdb / "train.xlsx"
    path = options.scratch / "train.xlsx"
    if not path.is_file():
        _joined(25_000, options.scratch / "embedded").to_excel(path, index=False)
    return path


def frame(options: Options, rows: int, seed: int = 0) -> pd.DataFrame:
    """So many reviews at random: `Reviews` and `Sentiment` (`pos` or `neg`)."""
    cache = options.scratch / "reviews.parquet"
    if not cache.is_file():
        if options.imdb:
            whole = pd.read_excel(options.imdb / "train.xlsx", engine="calamine")
        else:
            whole = _joined(5_000, options.scratch / "embedded")
        whole.to_parquet(cache)
    return pd.read_parquet(cache).sample(rows, random_state=seed, replace=rows > 5_000)


def sample(options: Options, rows: int) -> Path:
    """So many reviews at random as a JSON file, `texts` and `labels` (0 or 1), for any peer."""
    path = options.scratch / f"reviews-{rows}.json"
    if not path.is_file():
        drawn = frame(options, rows)
        labels = (drawn["Sentiment"] == "pos").astype(int).tolist()
        content = {"texts": drawn["Reviews"].tolist(), "labels": labels}
        path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _joined(rows: int, scratch: Path) -> pd.DataFrame:
    """Embedded reviews of one label strung together, 4 to 28 of them: 18 words each in the mean."""
    from incumbent.data import embedded_reviews

    path, _ = embedded_reviews.write(scratch)
    train = pd.read_excel(path, engine="calamine")
    generator = np.random.default_rng(0)
    groups = {label: part["Reviews"].to_numpy() for label, part in train.groupby("Sentiment")}
    labels = generator.choice(sorted(groups), rows)
    counts = generator.integers(4, 29, rows)
    texts = [
        " ".join(generator.choice(groups[label], count))
        for label, count in zip(labels, counts, strict=True)
    ]
    return pd.DataFrame({"Reviews": texts, "Sentiment": labels})
