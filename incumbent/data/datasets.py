"""The canonical dataset: two Parquet files of labelled text, named by their contents.

Columns of a split's file:

- `text` (str), and `label` (str, spelled as `label_spellings` says; "" when missing; a set of
  labels as `label_sets.join` writes it);
- `row` (int64): as the user's program numbers it;
- `found` (str): what the text cell held, and `formula` (bool): a formula stands where the label
  belongs; for both see `table_reader.read`;
- `control` (bool): the text held control characters, now spaces;
- `slice:<name>` (str, "" when missing) for each column of the data that `evaluation.slices` names.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from incumbent import label_sets
from incumbent.data import label_arrays, label_spellings
from incumbent.data.canonical_text import slices_of
from incumbent.data.corrections import COLUMNS, Settled
from incumbent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

# Columns that hold no strings.
_TYPES = {
    "row": pa.int64(), "formula": pa.bool_(), "control": pa.bool_(), "date": pa.int64(),
}  # fmt: skip
_PART = 2_000  # rows of a part: of long texts, tokenizing takes 70 KB each
_DRAFT = ".draft."  # what begins the name of a folder that a dataset is written to
_AS_WRITTEN = label_spellings.Spelled({}, {}, (), ())
_STALE = 86_400  # seconds after which nobody writes to a draft any more


class Settle(Protocol):
    """What `corrections.settle` does by a policy."""

    def __call__(
        self, parts: Iterable[pd.DataFrame], spelling: Mapping[str, str], *, sets: bool
    ) -> tuple[NDArray[np.bool_], Settled]:
        """Which rows (n,) of a split count, and what became of the others."""
        ...


class Split(BaseModel):
    """One side of a dataset, on disk."""

    model_config = ConfigDict(frozen=True)

    path: Path
    """Canonical Parquet."""
    source: str
    """The files it was read from, as messages name them (`training_files.named`)."""
    files: tuple[str, ...] = ()
    """Each of them, where there are several; `training_files` says how their rows are numbered."""
    rows: int
    digest: str
    """SHA-256 over texts and labels, in hexadecimal; of labels as most rows of this split spell
    them, so that nothing in the other split changes it."""
    labels: dict[str, int]
    """Rows of each label, sorted by label; "" counts the rows without one. Of sets of labels, the
    rows that have each, then the rows that have none."""
    respelled: dict[str, str] = {}
    """The label of each cell that is written otherwise."""
    unlabelled: int = 0
    """Rows that were left out, as they have no label."""
    unlabelled_rows: tuple[int, ...] = ()
    """The first of them."""
    unlabelled_path: Path | None = None
    """Those of train as Parquet, beside the dataset, the first `unlabelled_rows.MOST`: columns
    `file`, `row` and that of the texts, as the config names it."""
    set_aside: int = 0
    """Rows that validation took out, as they fail by themselves."""
    settled: Settled = Settled()
    """What became of rows that are labelled more than once."""

    @property
    def settled_in_words(self) -> str:
        """What became of rows that are labelled more than once; empty if nothing did."""
        return self.settled.in_words(self.files or (self.source,))


class Dataset(BaseModel):
    """Training and test data; `digest` names the two together, their slices included.

    Where the training rows are not known, train has no rows and no digest, and its labels are those
    that the model knows.
    """

    model_config = ConfigDict(frozen=True)

    train: Split
    test: Split
    digest: str
    label_names: tuple[str, ...] = ()
    """The labels of which a row may have any, sorted; none if each row has one class."""
    notes: tuple[str, ...] = ()
    """What was made of files that could have been read otherwise, and how many rows were blank."""

    @property
    def train_known(self) -> bool:
        """Whether the training rows are known; of an imported model they are not."""
        return bool(self.train.digest)

    @property
    def multilabel(self) -> bool:
        """Whether a row may have none or several of the labels."""
        return bool(self.label_names)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that rows may have, or else those of train, sorted."""
        return self.label_names or tuple(label for label in self.train.labels if label)


def load(split: Split, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a split back, or some of its columns, which are in the module's docstring.

    Raises:
        DataError: if the file is gone or damaged.
    """
    with _readable(split):
        return pd.read_parquet(split.path, columns=None if columns is None else list(columns))


@contextmanager
def _readable(split: Split) -> Iterator[None]:
    """Says of a split's file that cannot be read what to do about it."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise DataError(
            f"The canonical data {split.path} cannot be read ({error}). Delete its folder and run "
            f"again: it is made anew from {split.source}."
        ) from None


def parts(split: Split, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    """A split, or some of its columns, some rows at a time, so that memory is bounded.

    Raises:
        DataError: if the file is gone or damaged.
    """
    with _readable(split):
        yield from _parts(split.path, columns)


def keep(split: Split, kept: NDArray[np.bool_]) -> Iterator[pd.DataFrame]:
    """The rows of a split that `kept` (n,) is true of, some at a time."""
    return _kept(parts(split), kept)


def save(
    train: Iterable[pd.DataFrame],
    test: Iterable[pd.DataFrame],
    names: tuple[str, str],
    folder: Path,
    label_names: tuple[str, ...] = (),
    sample: Callable[[pd.Series[str]], NDArray[np.bool_]] | None = None,
    separator: str = "",
    named: Sequence[str] = (),
    settle: Settle | None = None,
) -> Dataset:
    """Write both splits to `folder`/<digest>, atomically.

    Slices have a part in this digest, so that runs with and without them, or with corrected ones,
    never share a file; they have none in a split's, by which a frozen test set is known.

    Args:
        train: The rows of train, in parts.
        test: Those of test.
        names: Their sources.
        folder: Where datasets are kept.
        label_names: The labels, sorted, where rows have sets of them.
        sample: Says by the labels (n,) of a split which of its rows (n,) to keep; all without it.
        separator: What stands between the labels of a row, where they are in one cell.
        named: Labels that are spelled like this.
        settle: Says which of the rows that are labelled more than once count; the rows have the
            columns that it wants, see `corrections`.

    Raises:
        DataError: if the folder cannot be written to, or a cell holds what cannot be labels.
    """
    splits: dict[str, Split] = {}
    respelled: list[str] = []
    with _writable(folder, names), TemporaryDirectory(dir=folder, prefix=_DRAFT) as scratch:
        paths = {side: Path(scratch, f"{side}.parquet") for side in ("train", "test")}
        for path, rows in zip(paths.values(), (train, test), strict=True):
            _write(rows, path)

        def spelling() -> tuple[label_spellings.Spelled, label_spellings.Spelled]:
            if label_names:
                return _AS_WRITTEN, _AS_WRITTEN
            cells = _written(paths["train"]), _written(paths["test"])
            return label_spellings.spelled(*cells, separator, named)

        settled = dict.fromkeys(paths, Settled())
        if settle:
            sets = bool(label_names or separator)
            settled = _settled(paths, settle, spelling(), sets=sets)
        of_train, of_test = spelling()
        known = of_train if pq.read_metadata(paths["train"]).num_rows else of_test
        label_names = label_names or known.names
        for (side, path), source, spelled in zip(
            paths.items(), names, (of_train, of_test), strict=True
        ):
            if sample:
                path = _sampled(path, sample, spelled.shown)
            own = digest(_spelled(path, spelled.own), spelled.own_names or label_names)
            if spelled.shown:
                draft, path = path, path.with_name(f"spelled.{path.name}")
                _write(_spelled(draft, spelled.shown, None), path)
                if spelled.shown != spelled.own:
                    respelled.append(digest(_parts(path, ["text", "label"]), label_names))
            splits[side] = _described(path, source, label_names, own).model_copy(
                update={"respelled": spelled.shown, "settled": settled[side]}
            )
        digests = [split.digest for split in splits.values()]
        digests += filter(None, (_slices_digest(split.path) for split in splits.values()))
        digests += respelled
        name = hashlib.sha256(" ".join(digests).encode()).hexdigest()
        (folder / name).mkdir(exist_ok=True)
        for side, split in splits.items():
            path = folder / name / f"{side}.parquet"
            os.replace(split.path, path)  # noqa: PTH105 - the atomic one, by its own name
            splits[side] = split.model_copy(update={"path": path})
    return Dataset(train=splits["train"], test=splits["test"], digest=name, label_names=label_names)


def rewritten(
    dataset: Dataset,
    train: Iterable[pd.DataFrame],
    test: Iterable[pd.DataFrame],
    label_names: tuple[str, ...],
) -> Dataset:
    """Other rows or labels for a dataset, beside it; the test set stays known as the one it is.

    Raises:
        DataError: as `save` does.
    """
    names = dataset.train.source, dataset.test.source
    other = save(train, test, names, dataset.train.path.parent.parent, label_names)
    same = (
        "files", "respelled", "unlabelled", "unlabelled_rows", "unlabelled_path", "set_aside",
        "settled",
    )  # fmt: skip
    before = dataset.train, dataset.test
    kept = [{name: getattr(split, name) for name in same} for split in before]
    return other.model_copy(
        update={
            "train": other.train.model_copy(update=kept[0]),
            "test": other.test.model_copy(update=kept[1] | {"digest": dataset.test.digest}),
        }
    )


@contextmanager
def _writable(folder: Path, names: tuple[str, str]) -> Iterator[None]:
    """A folder to write the data from two sources to.

    Raises:
        DataError: if it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for draft in folder.glob(f"{_DRAFT}*"):  # of a process that was killed
            if time.time() - draft.stat().st_mtime > _STALE:
                shutil.rmtree(draft, ignore_errors=True)
        yield
    except OSError as error:
        raise DataError(
            f"The data from {' and '.join(dict.fromkeys(names))} cannot be written to {folder} "
            f"({error.strerror or error}). Set tracking.workdir to a folder that you may write to, "
            "with free space."
        ) from None


def _write(frames: Iterable[pd.DataFrame], path: Path) -> None:
    """Write a canonical split part by part."""
    with ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for frame in frames:
            if writer is None:
                schema = pa.schema([(name, _TYPES.get(str(name), pa.string())) for name in frame])
                writer = stack.enter_context(pq.ParquetWriter(path, schema))
            table = pa.Table.from_pandas(frame, writer.schema, preserve_index=False)
            writer.write_table(table, row_group_size=_PART)


def _parts(path: Path, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
    with pq.ParquetFile(path) as file:
        if not file.metadata.num_rows:
            yield file.read(columns).to_pandas()
        for part in file.iter_batches(_PART, columns=columns):
            yield part.to_pandas()


def _kept(frames: Iterable[pd.DataFrame], kept: NDArray[np.bool_]) -> Iterator[pd.DataFrame]:
    start = 0
    for frame in frames:
        yield frame[kept[start : start + len(frame)]]
        start += len(frame)


def _settled(
    paths: Mapping[str, Path], settle: Settle, spelled: Iterable[label_spellings.Spelled], *,
    sets: bool,
) -> dict[str, Settled]:  # fmt: skip
    """Leave in each file the rows that count, without the columns that told which."""
    found: dict[str, Settled] = {}
    for (side, path), own in zip(paths.items(), spelled, strict=True):
        kept, found[side] = settle(_parts(path), own.own, sets=sets)
        counting = path.with_name(f"counting.{path.name}")
        _write((part.drop(columns=list(COLUMNS)) for part in _kept(_parts(path), kept)), counting)
        counting.replace(path)
    return found


def _sampled(
    path: Path, sample: Callable[[pd.Series[str]], NDArray[np.bool_]], labels: Mapping[str, str]
) -> Path:
    """A sample of a split by other labels for some, written beside it; or itself, if no larger."""
    kept = sample(_in_place(pd.read_parquet(path, columns=["label"])["label"], labels))
    if kept.all():
        return path
    part = path.with_name(f"sample.{path.name}")
    _write(_kept(_parts(path), kept), part)
    return part


def _written(path: Path) -> dict[str, int]:
    """The texts in the label cells, and how many rows have each."""
    counts = pd.read_parquet(path, columns=["label"])["label"].value_counts()
    return {str(label): int(rows) for label, rows in counts.items()}


def _spelled(
    path: Path, labels: Mapping[str, str], columns: Sequence[str] | None = ("text", "label")
) -> Iterator[pd.DataFrame]:
    """A canonical file, or some of its columns, with other labels for some."""
    for part in _parts(path, columns):
        yield part.assign(label=_in_place(part["label"], labels))


def _in_place(label: pd.Series[str], labels: Mapping[str, str]) -> pd.Series[str]:
    return label.map(lambda cell: labels.get(cell, cell)) if labels else label


def _described(path: Path, source: str, label_names: tuple[str, ...], own: str) -> Split:
    """A canonical file as a split."""
    label = pd.read_parquet(path, columns=["label"])["label"]
    return Split(
        path=path,
        source=source,
        rows=len(label),
        digest=own,
        labels=_counts(label, label_names),
    )


def _counts(label: pd.Series[str], label_names: tuple[str, ...]) -> dict[str, int]:
    if not label_names:
        counts = label.value_counts()
        return {name: int(counts[name]) for name in sorted(counts.index)}
    having = label_arrays.truth_of(label, label_names, multilabel=True).sum(axis=0)
    rows = dict(zip(label_names, having.tolist(), strict=True))
    return rows | {label_sets.NONE: int((label == label_sets.NONE).sum())}


def digest(frames: Iterable[pd.DataFrame], label_names: Sequence[str] = ()) -> str:
    """SHA-256 over the texts and labels of a split, given in parts, in order.

    Each is led by its length in bytes. With `label_names` it is over these too: a label that no
    row has is one that none may be given. Row numbers, slices and the file's name and format have
    no part in it.
    """
    rows = chain.from_iterable(zip(part["text"], part["label"], strict=True) for part in frames)
    return _sha256(chain(chain.from_iterable(rows), label_names))


def _slices_digest(path: Path) -> str:
    """SHA-256 over the names and values of a split's slices; "" if there are none."""
    names = sorted(slices_of(pq.read_schema(path).names))
    columns = (chain([name], *(part[name] for part in _parts(path, [name]))) for name in names)
    return _sha256(chain.from_iterable(columns)) if names else ""


def _sha256(parts: Iterable[str]) -> str:
    state = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        state.update(len(encoded).to_bytes(8, "big"))
        state.update(encoded)
    return state.hexdigest()
