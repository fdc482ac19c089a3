"""Read the sources that a config names into a dataset, unless that was done before."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from incumbent import __version__, label_sets
from incumbent.config import COMPUTED_SLICES, DataConfig
from incumbent.data import corrections, datasets, embedded_reviews, label_spellings, row_columns
from incumbent.data.canonical_text import canonical
from incumbent.data.datasets import Dataset, save
from incumbent.data.stratified_sample import sample
from incumbent.data.unlabelled_rows import UnlabelledRows
from incumbent.errors import DataError
from incumbent.runtime import url_secrets
from incumbent.tables import training_files

UNKNOWN = "unknown"
"""The source of training rows that are not known."""

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray


def ingest(
    config: DataConfig, workdir: Path, slices: Sequence[str] = (),
    labels: Sequence[str] | None = (), *, part_of_train: bool = False,
) -> Dataset:  # fmt: skip
    """Read both sources and write them as canonical Parquet under `workdir`/datasets.

    Local files that were read before, byte for byte the same and in the same way, are not parsed
    again.

    Without sources, the embedded reviews are written to `workdir`/reviews on first use and then
    read like anyone's workbooks. The columns that `slices` names are read from both; test must
    have them, but for `language`, which can be detected instead. Labels are spelled as `labels`
    does, which may be none (see `label_spellings`). Of rows that are labelled more than once, those
    that count are kept (see `corrections`). Where train is only a part of the training data
    (`part_of_train`), it need not have the columns that tell such rows.

    Raises:
        DataError: if a source cannot be read as labelled text, or `workdir` not be written to.
        StageError: if the embedded reviews are asked for and not installed.
    """
    if not config.train:
        config = embedded(config, workdir)
    slices = config.further_columns(slices)
    known = _reading(config, slices, labels, workdir)
    if known and (found := _known(known)):
        return found
    several = training_files.expand(config.train)
    read_from = tuple(map(url_secrets.public, several))
    notes: list[str] = []
    train = Labelled(
        training_files.parts(several, config, _columns(slices, config), note=notes.append),
        read_from, config, slices,
    )  # fmt: skip
    test = _test_rows(config, slices, notes.append)
    names = training_files.named(several), url_secrets.public(config.test)
    dataset = save(
        train, test, names, workdir / "datasets", config.label_names, _sampler(config),
        config.label_separator, labels or (), _settle(config),
    )  # fmt: skip
    if not part_of_train:
        row_columns.check(config, train.filled | test.filled, several[0])
    left_out = train.left_out
    if train.pool.count:
        folder = dataset.train.path.parent
        left_out["unlabelled_path"] = train.pool.save(folder, read_from, config.texts_in[0])
    dataset = dataset.model_copy(
        update={
            "train": dataset.train.model_copy(update=left_out),
            "test": dataset.test.model_copy(update=test.left_out),
            "notes": tuple(notes),
        }
    )
    if known:
        known.parent.mkdir(exist_ok=True)
        draft = known.with_name(f"{known.name}.{os.getpid()}")
        draft.write_text(dataset.model_dump_json(), encoding="utf-8")
        draft.replace(known)
    return dataset


def ingest_test(config: DataConfig, workdir: Path, slices: Sequence[str] = ()) -> Dataset:
    """As `ingest`, of the test set alone: for a model whose training rows are not known.

    The labels of train are still to be named; see `with_labels`.

    Raises:
        DataError: as `ingest` does.
    """
    notes: list[str] = []
    test = _test_rows(config, config.further_columns(slices), notes.append)
    rows = iter(test)
    first = next(rows)
    names = UNKNOWN, url_secrets.public(config.test)
    dataset = save(
        [first.iloc[:0]], chain([first], rows), names, workdir / "datasets", config.label_names,
        _sampler(config), config.label_separator, settle=_settle(config),
    )  # fmt: skip
    row_columns.check(config, test.filled, config.test)
    split = dataset.test.model_copy(update=test.left_out)
    dataset = dataset.model_copy(update={"test": split, "notes": tuple(notes)})
    return _without_train(dataset, ())


def _columns(slices: Sequence[str], config: DataConfig) -> list[str]:
    """The columns that are read besides texts and labels."""
    asked = [name for name in slices if name not in ("length", "class")]
    return list(dict.fromkeys([*asked, *row_columns.named(config)]))


def _settle(config: DataConfig) -> datasets.Settle | None:
    """What says which of the rows count that are labelled more than once."""
    wanted = row_columns.settled(config)
    return partial(corrections.settle, policy=config.disagreement) if wanted else None


def _test_rows(config: DataConfig, slices: Sequence[str], note: Callable[[str], None]) -> Labelled:
    needed = [name for name in slices if name not in COMPUTED_SLICES]
    files = training_files.expand_test(config.test)
    config = config.model_copy(update={"query": config.test_query})
    frames = training_files.parts(files, config, _columns(slices, config), needed, note)
    return Labelled(frames, tuple(map(url_secrets.public, files)), config, slices)


def with_labels(dataset: Dataset, labels: Sequence[str]) -> Dataset:
    """A dataset without training rows, for a model that knows these labels.

    Its test rows have them as they are spelled here; the test set stays known as the one it is.

    Raises:
        DataError: if it cannot be written.
    """
    other = label_spellings.respelled(dataset.label_names or dataset.test.labels, labels)
    if other or (dataset.multilabel and {*dataset.label_names} != {*labels}):

        def named(text: str) -> str:
            if not dataset.multilabel:
                return other.get(text, text)
            return label_sets.join(other.get(name, name) for name in label_sets.split(text))

        test = datasets.parts(dataset.test)
        written = datasets.rewritten(
            dataset, datasets.parts(dataset.train),
            (part.assign(label=part["label"].map(named)) for part in test),
            tuple(sorted(labels)) if dataset.multilabel else (),
        )  # fmt: skip
        dataset = written.model_copy(update={"notes": dataset.notes})
    return _without_train(dataset, labels)


def _without_train(dataset: Dataset, labels: Sequence[str]) -> Dataset:
    """A dataset whose training rows are not known, but these labels of them."""
    none = {"digest": "", "labels": dict.fromkeys(sorted(labels), 0)}
    return dataset.model_copy(update={"train": dataset.train.model_copy(update=none)})


class Labelled:
    """The rows of files that have a label, as canonical frames; those without one are counted.

    Args:
        frames: The rows of all files, as `training_files.parts` gives them.
        files: The files, as messages name them.
        config: What says where labels are.
        slices: The slices that are kept.

    Attributes:
        filled: See `row_columns.filled`; it is known once all frames were given.
    """

    def __init__(
        self, frames: Iterable[pd.DataFrame], files: Sequence[str], config: DataConfig,
        slices: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._frames, self._files, self._config = frames, files, config
        self._slices = slices
        self.filled: set[str] = set()
        self.pool = UnlabelledRows()

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Gives the frames; to be called once.

        Raises:
            DataError: if a file has rows, and none of them a label; or a date is none.
        """
        labelled = np.zeros(len(self._files), np.int64)
        rows = labelled.copy()
        for read in map(canonical, self._frames):
            frame = row_columns.added(read, self._config, self._slices, self._files)
            if row_columns.settled(self._config):
                self.filled |= row_columns.filled(frame, self._config)
            # Where a formula stands, a label is meant: validation says what is wrong with it.
            has = (frame["label"] != "") | frame["formula"]
            file = training_files.position(frame["row"].to_numpy())
            np.add.at(labelled, file, has.to_numpy())
            np.add.at(rows, file, 1)
            self.pool.add(frame[~has])
            yield frame[has]
        whole = training_files.sources(rows, self._files)
        rows, labelled = (np.bincount(whole, each).astype(int) for each in (rows, labelled))
        if none := np.flatnonzero((rows > 0) & (labelled == 0)).tolist():
            where = ", ".join(map(repr, self._config.labels_in))
            files = [self._files[at] for at in np.flatnonzero(whole == none[0]).tolist()]
            raise DataError(
                f"{training_files.above(files)}: none of its {rows[none[0]]:,} rows has a label in "
                f"{where}. Label some of them, or set data.label_columns to where the labels are."
            )

    @property
    def left_out(self) -> dict[str, object]:
        """What a `Split` says of the files, if there are several, and of rows without a label."""
        files = {"files": tuple(self._files)} if len(self._files) > 1 else {}
        return files | {"unlabelled": self.pool.count, "unlabelled_rows": tuple(self.pool.first)}


def read_before(
    config: DataConfig, workdir: Path, slices: Sequence[str] = (), labels: Sequence[str] | None = ()
) -> Dataset | None:
    """What `ingest` would return, if it need not parse or write anything for it."""
    if not config.train:
        if not _embedded_files(_embedded_folder(config, workdir)):
            return None
        config = embedded(config, workdir)
    reading = _reading(config, config.further_columns(slices), labels, workdir)
    return _known(reading) if reading else None


def text_column(config: DataConfig) -> str | tuple[str, ...]:
    """The column, or columns, that texts are read from, also where no file is named."""
    return config.text_column if config.train else _embedded_columns(config)["text_column"]


def _known(reading: Path) -> Dataset | None:
    """What came of an earlier reading, if all of it is still there."""
    try:
        dataset = Dataset.model_validate_json(reading.read_text(encoding="utf-8"))
        whole = all(
            pq.read_metadata(split.path).num_rows == split.rows
            for split in (dataset.train, dataset.test)
        )
        if dataset.train.unlabelled:
            whole &= dataset.train.unlabelled_path is not None
            whole &= Path(dataset.train.unlabelled_path or "").is_file()
    except (OSError, ValueError):  # gone, cut short, or of another release
        return None
    return dataset if whole else None


def _reading(
    config: DataConfig, slices: Sequence[str], labels: Sequence[str] | None, workdir: Path
) -> Path | None:
    """Where it is kept what came of reading these files in this way; None unless all are local."""
    how = f"{__version__} {config.model_dump_json()} {list(slices)} {list(labels or ())}"
    state = hashlib.sha256(how.encode())
    try:
        sides = training_files.expand(config.train), training_files.expand_test(config.test)
        for source in chain(*sides):
            state.update(source.encode())
            with Path(source).open("rb") as file:
                state.update(hashlib.file_digest(file, "sha256").digest())
    except (OSError, DataError):
        return None  # a URL; or `table_reader.read` says what is wrong
    return workdir / "readings" / f"{state.hexdigest()[:32]}.json"


def _sampler(config: DataConfig) -> Callable[[pd.Series[str]], NDArray[np.bool_]] | None:
    """What picks `data.sample` rows."""
    rows = config.sample
    if rows is None:
        return None

    def chosen(label: pd.Series[str]) -> NDArray[np.bool_]:
        kept = np.zeros(len(label), dtype=np.bool_)
        if len(label):
            kept[sample(label, rows, config.seed, sets=config.multilabel)] = True
        return kept

    return chosen


def _embedded_folder(config: DataConfig, workdir: Path) -> Path:
    """Where the embedded reviews are written; with their films, where rows come in groups."""
    return workdir / ("reviews_with_films" if config.group_column else "reviews")


def _embedded_files(folder: Path) -> tuple[Path, Path] | None:
    """The embedded reviews as they were written earlier, if they were."""
    paths = folder / "train.xlsx", folder / "test.xlsx"
    return paths if all(path.is_file() for path in paths) else None


def embedded(config: DataConfig, workdir: Path) -> DataConfig:
    """The config that reads the embedded reviews, which are written if they aren't there."""
    folder, films = _embedded_folder(config, workdir), bool(config.group_column)
    paths = _embedded_files(folder) or embedded_reviews.write(folder, films=films)
    sides = {"train": str(paths[0]), "test": str(paths[1])}
    return config.model_copy(update=_embedded_columns(config) | sides)


def _embedded_columns(config: DataConfig) -> dict[str, Any]:
    """The columns of the embedded reviews, unless the config names others."""
    columns = {
        "text_column": embedded_reviews.TEXT_COLUMN,
        "label_columns": embedded_reviews.LABEL_COLUMN,
    }
    defaults = DataConfig()
    kept = {key: getattr(config, key) for key in columns}
    return columns | {k: value for k, value in kept.items() if value != getattr(defaults, k)}
