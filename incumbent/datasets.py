"""The canonical dataset: two Parquet files of labelled text, named by their contents.

Columns of a split's file: `text` (str), `label` (str, "" when missing; a set of labels as
`labels.join` writes it), `row` (int64, as the user's program numbers it), `found` (str: what the
text cell held) and `formula` (bool: a formula stands where the label belongs; for both see
`sources.read`), `control` (bool: the text held control characters, now spaces), and `slice:<name>`
(str, "" when missing) for each column of the data that `evaluation.slices` names.
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
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from incumbent import __version__, addresses, files, labels, reviews, sources, truth
from incumbent.config import COMPUTED_SLICES, DataConfig
from incumbent.errors import DataError
from incumbent.labels import CONTROL
from incumbent.sampling import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

_CONTROL_BYTES = (
    bytes(range(9)) + b"\x0b\x0c\x7f\xed" + bytes(range(14, 32))
)  # in UTF-8; 0xED leads
# Columns that hold no strings.
_TYPES = {"row": pa.int64(), "formula": pa.bool_(), "control": pa.bool_()}
_PART = 2_000  # rows of a part: of long texts, tokenizing takes 70 KB each
_DRAFT = ".draft."  # what begins the name of a folder that a dataset is written to
_STALE = 86_400  # seconds after which nobody writes to a draft any more
_LOOK = 10_000  # texts that are searched for control characters at once


class Split(BaseModel):
    """One side of a dataset, on disk."""

    model_config = ConfigDict(frozen=True)

    path: Path
    """Canonical Parquet."""
    source: str
    """The files it was read from, as messages name them: see `files.named`."""
    files: tuple[str, ...] = ()
    """Each of them, where there are several; see `files` for how their rows are numbered."""
    rows: int
    digest: str
    """SHA-256 over texts and labels, in hexadecimal."""
    labels: dict[str, int]
    """Rows of each label, sorted by label; "" counts the rows without one. Of sets of labels, the
    rows that have each, then the rows that have none."""


class Dataset(BaseModel):
    """Training and test data; `digest` names the two together, their slices included."""

    model_config = ConfigDict(frozen=True)

    train: Split
    test: Split
    digest: str
    label_names: tuple[str, ...] = ()
    """The labels of which a row may have any, sorted; none if each row has one class."""

    @property
    def multilabel(self) -> bool:
        """Whether a row may have none or several of the labels."""
        return bool(self.label_names)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that rows may have, or else those of train, sorted."""
        return self.label_names or tuple(label for label in self.train.labels if label)


def ingest(config: DataConfig, workdir: Path, slices: Sequence[str] = ()) -> Dataset:
    """Read both sources and write them as canonical Parquet under `workdir`/datasets.

    Local files that were read before, byte for byte the same and in the same way, are not parsed
    again.

    Without sources, the embedded reviews are written to `workdir`/reviews on first use and then
    read like anyone's workbooks. The columns that `slices` names are read from both; test must
    have them, but for `language`, which can be detected instead.

    Raises:
        DataError: if a source cannot be read as labelled text, or `workdir` not be written to.
        StageError: if the embedded reviews are asked for and not installed.
    """
    if not config.train:
        config = embedded(config, workdir)
    known = _reading(config, slices, workdir)
    if known and (found := _known(known)):
        return found
    columns = [name for name in slices if name not in ("length", "class")]
    needed = [name for name in slices if name not in COMPUTED_SLICES]
    several = files.expand(config.train)
    train = map(canonical, files.parts(several, config, columns))
    test = map(canonical, sources.parts(config.test, config, columns, needed))
    names = files.named(several), addresses.public(config.test)
    dataset = save(train, test, names, workdir / "datasets", config.label_names, _sampler(config))
    if len(several) > 1:
        read_from = tuple(map(addresses.public, several))
        split = dataset.train.model_copy(update={"files": read_from})
        dataset = dataset.model_copy(update={"train": split})
    if known:
        known.parent.mkdir(exist_ok=True)
        draft = known.with_name(f"{known.name}.{os.getpid()}")
        draft.write_text(dataset.model_dump_json(), encoding="utf-8")
        draft.replace(known)
    return dataset


def read_before(config: DataConfig, workdir: Path, slices: Sequence[str] = ()) -> Dataset | None:
    """What `ingest` would return, if it need not parse or write anything for it."""
    if not config.train:
        if not _embedded_files(workdir / "reviews"):
            return None
        config = embedded(config, workdir)
    reading = _reading(config, slices, workdir)
    return _known(reading) if reading else None


def text_column(config: DataConfig) -> str:
    """The column that texts are read from, also where no file is named."""
    return config.text_column if config.train else _embedded_columns(config)["text_column"]


def _known(reading: Path) -> Dataset | None:
    """What came of an earlier reading, if all of it is still there."""
    try:
        dataset = Dataset.model_validate_json(reading.read_text(encoding="utf-8"))
        whole = all(
            pq.read_metadata(split.path).num_rows == split.rows
            for split in (dataset.train, dataset.test)
        )
    except (OSError, ValueError):  # gone, cut short, or of another release
        return None
    return dataset if whole else None


def _reading(config: DataConfig, slices: Sequence[str], workdir: Path) -> Path | None:
    """Where it is kept what came of reading these files in this way; None unless all are local."""
    state = hashlib.sha256(f"{__version__} {config.model_dump_json()} {list(slices)}".encode())
    try:
        for source in (*files.expand(config.train), config.test):
            state.update(source.encode())
            with Path(source).open("rb") as file:
                state.update(hashlib.file_digest(file, "sha256").digest())
    except (OSError, DataError):
        return None  # a URL; or `sources.read` says what is wrong
    return workdir / "readings" / f"{state.hexdigest()[:32]}.json"


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

    Raises:
        DataError: if the folder cannot be written to.
    """
    sides = ("train", train, names[0]), ("test", test, names[1])
    splits: dict[str, Split] = {}
    with _writable(folder, names), TemporaryDirectory(dir=folder, prefix=_DRAFT) as scratch:
        for side, rows, source in sides:
            path = Path(scratch, f"{side}.parquet")
            _write(rows, path)
            if sample:
                path = _sampled(path, sample)
            splits[side] = _described(path, source, label_names)
        digests = [split.digest for split in splits.values()]
        digests += filter(None, (_slices_digest(split.path) for split in splits.values()))
        name = hashlib.sha256(" ".join(digests).encode()).hexdigest()
        (folder / name).mkdir(exist_ok=True)
        for side, split in splits.items():
            path = folder / name / f"{side}.parquet"
            os.replace(split.path, path)  # noqa: PTH105 - the atomic one, by its own name
            splits[side] = split.model_copy(update={"path": path})
    return Dataset(train=splits["train"], test=splits["test"], digest=name, label_names=label_names)


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


def _sampled(path: Path, sample: Callable[[pd.Series[str]], NDArray[np.bool_]]) -> Path:
    """A sample of a split, written beside it; or itself, if it is no larger."""
    kept = sample(pd.read_parquet(path, columns=["label"])["label"])
    if kept.all():
        return path
    part = path.with_name(f"sample.{path.name}")
    _write(_kept(_parts(path), kept), part)
    return part


def _sampler(config: DataConfig) -> Callable[[pd.Series[str]], NDArray[np.bool_]] | None:
    """What picks `data.sample` rows."""
    rows = config.sample
    if rows is None:
        return None

    def chosen(label: pd.Series[str]) -> NDArray[np.bool_]:
        kept = np.zeros(len(label), dtype=np.bool_)
        kept[sample(label, rows, config.seed, sets=bool(config.label_names))] = True
        return kept

    return chosen


def _described(path: Path, source: str, label_names: tuple[str, ...]) -> Split:
    """A canonical file as a split."""
    label = pd.read_parquet(path, columns=["label"])["label"]
    return Split(
        path=path,
        source=source,
        rows=len(label),
        digest=digest(_parts(path, ["text", "label"]), label_names),
        labels=_counts(label, label_names),
    )


def _counts(label: pd.Series[str], label_names: tuple[str, ...]) -> dict[str, int]:
    if not label_names:
        counts = label.value_counts()
        return {name: int(counts[name]) for name in sorted(counts.index)}
    having = truth.truth_of(label, label_names, multilabel=True).sum(axis=0)
    rows = dict(zip(label_names, having.tolist(), strict=True))
    return rows | {labels.NONE: int((label == labels.NONE).sum())}


def canonical(frame: pd.DataFrame) -> pd.DataFrame:
    """What `sources.read` gives, with plain line feeds, and spaces for control characters."""
    text = frame["text"].str.replace("\r\n", "\n").str.replace("\r", "\n")
    control = _has_control(text)
    text[control] = text[control].str.replace(CONTROL, " ", regex=True)
    label = frame["label"].str.replace(CONTROL, " ", regex=True).str.strip()
    blank = (frame["found"] == "text") & (text.str.strip() == "")
    found = frame["found"].mask(blank, "empty")
    slices = {
        name: frame[name].str.replace(CONTROL, " ", regex=True).str.strip()
        for name in _slices(frame.columns)
    }
    return frame.assign(text=text, label=label, found=found, control=control, **slices)


def _has_control(text: pd.Series[str]) -> pd.Series[bool]:
    """Which texts hold control characters; most often none does, and one look at many tells."""
    found = pd.Series(data=False, index=text.index)
    for start in range(0, len(text), _LOOK):
        part = text.iloc[start : start + _LOOK]
        together = "".join(part).encode("utf-8", "surrogatepass")
        if len(together.translate(None, delete=_CONTROL_BYTES)) != len(together):
            found.iloc[start : start + _LOOK] = part.str.contains(CONTROL, regex=True)
    return found


def digest(frames: Iterable[pd.DataFrame], label_names: Sequence[str] = ()) -> str:
    """SHA-256 over the texts and labels of a split, given in parts, in order.

    Each is led by its length in bytes. With `label_names` it is over these too: a label that no
    row has is one that none may be given. Row numbers, slices and the file's name and format have
    no part in it.
    """
    rows = chain.from_iterable(zip(part["text"], part["label"], strict=True) for part in frames)
    return _sha256(chain(chain.from_iterable(rows), label_names))


def _slices(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(sources.SLICE)]


def _slices_digest(path: Path) -> str:
    """SHA-256 over the names and values of a split's slices; "" if there are none."""
    names = sorted(_slices(pq.read_schema(path).names))
    columns = (chain([name], *(part[name] for part in _parts(path, [name]))) for name in names)
    return _sha256(chain.from_iterable(columns)) if names else ""


def _sha256(parts: Iterable[str]) -> str:
    state = hashlib.sha256()
    for part in parts:
        encoded = part.encode()
        state.update(len(encoded).to_bytes(8, "big"))
        state.update(encoded)
    return state.hexdigest()


def fold(text: str) -> str:
    """Case folded and white space collapsed: equal for texts that a reader would call the same."""
    return " ".join(text.casefold().split())


def _embedded_files(folder: Path) -> tuple[Path, Path] | None:
    """The embedded reviews as they were written earlier, if they were."""
    paths = folder / "train.xlsx", folder / "test.xlsx"
    return paths if all(path.is_file() for path in paths) else None


def embedded(config: DataConfig, workdir: Path) -> DataConfig:
    """The config that reads the embedded reviews, which are written if they aren't there."""
    folder = workdir / "reviews"
    paths = _embedded_files(folder) or reviews.write(folder)
    sides = {"train": str(paths[0]), "test": str(paths[1])}
    return config.model_copy(update=_embedded_columns(config) | sides)


def _embedded_columns(config: DataConfig) -> dict[str, str]:
    """The columns of the embedded reviews, unless the config names others."""
    columns = {"text_column": reviews.TEXT_COLUMN, "label_columns": reviews.LABEL_COLUMN}
    defaults = DataConfig()
    kept = {key: getattr(config, key) for key in columns}
    return columns | {k: value for k, value in kept.items() if value != getattr(defaults, k)}
