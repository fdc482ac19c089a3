"""The canonical dataset: two Parquet files of labelled text, named by their contents.

Columns of a split's file: `text` (str), `label` (str, "" when missing), `row` (int64, as the
user's program numbers it), `found` (str: what the text cell held) and `formula` (bool: a formula
stands where the label belongs; for both see `sources.read`), and `control` (bool: the text held
control characters, now spaces).
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from incumbent import reviews, sources
from incumbent.config import DataConfig
from incumbent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

# C0 but tab and line feed (carriage returns are line ends, and folded into them), DEL, and
# halves of surrogate pairs, which UTF-8 cannot hold.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_CONTROL_BYTES = (
    bytes(range(9)) + b"\x0b\x0c\x7f\xed" + bytes(range(14, 32))
)  # in UTF-8; 0xED leads


class Split(BaseModel):
    """One side of a dataset, on disk."""

    model_config = ConfigDict(frozen=True)

    path: Path
    """Canonical Parquet."""
    source: str
    """The file it was read from, as messages name it: see `sources.public`."""
    rows: int
    digest: str
    """SHA-256 over texts and labels, in hexadecimal."""
    labels: dict[str, int]
    """Rows of each label, sorted by label; "" counts the rows without one."""


class Dataset(BaseModel):
    """Training and test data; `digest` names the two together."""

    model_config = ConfigDict(frozen=True)

    train: Split
    test: Split
    digest: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels of train, sorted."""
        return tuple(label for label in self.train.labels if label)


def ingest(config: DataConfig, workdir: Path) -> Dataset:
    """Read both sources and write them as canonical Parquet under `workdir`/datasets.

    Without sources, the embedded reviews are written to `workdir`/reviews on first use and then
    read like anyone's workbooks.

    Raises:
        DataError: if a source cannot be read as labelled text, or `workdir` not be written to.
        StageError: if the embedded reviews are asked for and not installed.
    """
    if not config.train:
        config = _embedded(config, workdir / "reviews")
    train, test = (
        sample(canonical(sources.read(source, config)), config.sample, config.seed)
        for source in (config.train, config.test)
    )
    names = sources.public(config.train), sources.public(config.test)
    return save(train, test, names, workdir / "datasets")


def load(split: Split) -> pd.DataFrame:
    """Read a split back; its columns are in the module's docstring.

    Raises:
        DataError: if the file is gone or damaged.
    """
    try:
        return pd.read_parquet(split.path)
    except (OSError, ValueError) as error:
        raise DataError(
            f"The canonical data {split.path} cannot be read ({error}). Delete its folder and run "
            f"again: it is made anew from {split.source}."
        ) from None


def save(train: pd.DataFrame, test: pd.DataFrame, names: tuple[str, str], folder: Path) -> Dataset:
    """Write both splits to `folder`/<digest>; `names` are their sources.

    Raises:
        DataError: if the folder cannot be written to.
    """
    name = hashlib.sha256(f"{digest(train)} {digest(test)}".encode()).hexdigest()
    return Dataset(
        train=write(train, names[0], folder / name, "train"),
        test=write(test, names[1], folder / name, "test"),
        digest=name,
    )


def write(frame: pd.DataFrame, source: str, folder: Path, name: str) -> Split:
    """Write one canonical split to `folder`/`name`.parquet, atomically.

    Raises:
        DataError: if the folder cannot be made or written to.
    """
    path = folder / f"{name}.parquet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}.") as scratch:
            draft = Path(scratch, path.name)
            frame.to_parquet(draft, index=False)
            os.replace(draft, path)  # noqa: PTH105 - the atomic one, by its own name
    except OSError as error:
        raise DataError(
            f"The data from {source} cannot be written to {folder} ({error.strerror or error}). "
            "Set tracking.workdir to a folder that you may write to, with free space."
        ) from None
    counts = frame["label"].value_counts()
    return Split(
        path=path,
        source=source,
        rows=len(frame),
        digest=digest(frame),
        labels={label: int(counts[label]) for label in sorted(counts.index)},
    )


def canonical(frame: pd.DataFrame) -> pd.DataFrame:
    """What `sources.read` gives, with plain line feeds, and spaces for control characters."""
    text = frame["text"].str.replace("\r\n", "\n").str.replace("\r", "\n")
    control = _has_control(text)
    text[control] = text[control].str.replace(_CONTROL, " ", regex=True)
    label = frame["label"].str.replace(_CONTROL, " ", regex=True).str.strip()
    blank = (frame["found"] == "text") & (text.str.strip() == "")
    found = frame["found"].mask(blank, "empty")
    return frame.assign(text=text, label=label, found=found, control=control)


def _has_control(text: pd.Series[str]) -> pd.Series[bool]:
    """Which texts hold control characters; most often none does, and one look at all tells."""
    everything = "".join(text).encode("utf-8", "surrogatepass")
    if len(everything.translate(None, delete=_CONTROL_BYTES)) == len(everything):
        return pd.Series(data=False, index=text.index)
    return text.str.contains(_CONTROL, regex=True)


def sample(frame: pd.DataFrame, rows: int | None, seed: int) -> pd.DataFrame:
    """So many rows, stratified by label, in their old order; every class keeps one if it can."""
    if rows is None or rows >= len(frame):
        return frame
    counts = frame["label"].value_counts().sort_index()
    random = np.random.default_rng(seed)
    chosen = [
        random.permutation(np.flatnonzero(frame["label"] == label))[:share]
        for label, share in zip(
            counts.index, _shares(np.array(counts, dtype=np.int64), rows), strict=True
        )
    ]
    return frame.iloc[np.sort(np.concatenate(chosen))].reset_index(drop=True)


def _shares(counts: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """How many of `rows` each class gets: at least one, then by the largest remainder."""
    exact = rows * counts / counts.sum()
    shares: NDArray[np.int64] = np.maximum(np.floor(exact), 1).astype(np.int64)
    while shares.sum() < rows:
        shares[np.argmax(exact - shares)] += 1
    while shares.sum() > rows:
        spare = shares > (1 if shares.max() > 1 else 0)
        shares[np.argmax(np.where(spare, shares - exact, -np.inf))] -= 1
    return shares


def digest(frame: pd.DataFrame) -> str:
    """SHA-256 over texts and labels in order, each led by its length in bytes.

    Row numbers and the file's name and format have no part in it.
    """
    state = hashlib.sha256()
    for part in _encoded(frame):
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.hexdigest()


def _encoded(frame: pd.DataFrame) -> Iterable[bytes]:
    for text, label in zip(frame["text"], frame["label"], strict=True):
        yield text.encode()
        yield label.encode()


def fold(text: str) -> str:
    """Case folded and white space collapsed: equal for texts that a reader would call the same."""
    return " ".join(text.casefold().split())


def _embedded(config: DataConfig, folder: Path) -> DataConfig:
    """The config that reads the embedded reviews, which are written if they aren't there."""
    paths = folder / "train.xlsx", folder / "test.xlsx"
    if not all(path.is_file() for path in paths):
        paths = reviews.write(folder)
    columns = {"text_column": reviews.TEXT_COLUMN, "label_columns": reviews.LABEL_COLUMN}
    defaults = DataConfig()
    kept = {key: getattr(config, key) for key in columns}
    kept = {key: value for key, value in kept.items() if value != getattr(defaults, key)}
    sides = {"train": str(paths[0]), "test": str(paths[1])}
    return config.model_copy(update=columns | kept | sides)
