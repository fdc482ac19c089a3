"""What `incumbent labels` does: from a config to a workbook that a person fills in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from incumbent.errors import ConfigError
from incumbent.labelling import (
    labelling_workbook,
    out_of_fold,
    row_choice,
    suspects,
    telling_words,
    training_rows,
    unlabelled_pool,
)
from incumbent.labelling.labelling_workbook import Column, Workbook
from incumbent.labelling.quick_classifier import QuickClassifier
from incumbent.tables import training_files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from incumbent.config import Config
    from incumbent.labelling.training_rows import TrainingRows
    from incumbent.tracking.registry_reads import Version

_TEXT, _LABEL, _NAME = 80, 24, 22  # widths in characters


class SuspectsWritten(BaseModel):
    """What `labels suspects` came to: `found` of `rows` are suspect, `written` are in `output`."""

    model_config = ConfigDict(frozen=True)

    output: str
    rows: int
    found: int
    written: int
    text_column: str
    label_column: str


class NextWritten(BaseModel):
    """What `labels next` came to: of `pool` unlabelled rows, `written` are in `output`."""

    model_config = ConfigDict(frozen=True)

    output: str
    rows: int
    labelled: int
    empty: int
    repeated: int
    pool: int
    written: int
    at_random: int
    guessed_by: str
    """The version whose labels are filled in; or the quick classifier, if there is no version."""
    text_column: str
    label_column: str


def check_output(config: Config, output: Path, source: str = "") -> None:
    """See that the workbook may be written, before anything that takes long.

    Raises:
        ConfigError: if it may not: see `labelling_workbook.check`.
        DataError: if `data.train` means no file.
    """
    sources = [source] if source else []
    if config.data.train:
        sources += [*training_files.expand(config.data.train), config.data.test]
    labelling_workbook.check(output, _records(config), sources)


def write_suspects(
    config: Config, output: Path, count: int, version: Version | None = None
) -> SuspectsWritten:
    """Write the rows of the training data whose label is probably wrong, the most certain first.

    Args:
        config: What the training data is.
        output: The workbook.
        count: The most rows to write.
        version: A registered model whose label is shown beside, if any.

    Raises:
        ConfigError: if `output` cannot be written, or rows may have several labels.
        DataError: if the data cannot be read, or is refused.
        StageError: if the weights or the registered model fail.
    """
    rows = training_rows.read(config)
    folder = Path(config.tracking.workdir) / "labelling" / "probabilities"
    probabilities = out_of_fold.kept(rows, training_rows.encoder_of(config), folder)
    found = suspects.find(rows.truth, probabilities)
    kept = min(found.found, count)
    workbook = suspects_workbook(rows, found, kept)
    if version is not None:
        texts = [rows.texts[row] for row in found.rows[:kept]]
        answers = _answers(version, texts, config)[0] if texts else []
        said = Column(f"what version {version.version} says", _NAME, answers)
        workbook = replace(workbook, others=[*workbook.others, said])
    labelling_workbook.write(output, _records(config), workbook)
    return SuspectsWritten(
        output=str(output), rows=len(rows.texts), found=found.found, written=kept,
        text_column=rows.text_column, label_column=rows.label_column,
    )  # fmt: skip


def suspects_workbook(rows: TrainingRows, found: suspects.Suspects, count: int) -> Workbook:
    """The first so many suspects as a workbook, with an empty column of labels to fill in."""
    these, suggested = found.rows[:count], found.suggested[:count]
    words = telling_words.words_for(rows.texts, rows.truth, these, suggested, len(rows.classes))
    files, numbers = zip(*map(rows.where, these), strict=True) if len(these) else ((), ())
    return Workbook(
        title="suspects",
        text=Column(rows.text_column, _TEXT, [rows.texts[row] for row in these]),
        label=Column(rows.label_column, _LABEL, [None] * len(these)),
        others=[
            Column("present label", _NAME, [rows.labels[row] for row in these]),
            Column("suggested label", _NAME, [rows.classes[index] for index in suggested]),
            Column("wrong, probably", 16, [float(sure) for sure in found.sure[:count]]),
            Column("words that speak for it", 34, [", ".join(said) for said in words]),
            Column("file", _NAME, files),
            Column("row", 8, numbers),
        ],
        labels=rows.classes,
        guide=(
            "The labels of these rows are probably wrong: the other rows say so. The most certain "
            "ones come first.",
            f"Where a label is wrong, choose the right one in the column {rows.label_column!r}. "
            "Where it is right, or you cannot tell, leave the cell empty: then nothing changes.",
            "Save the workbook and put it where new data goes (data/inbox). Leave the column "
            f"{rows.text_column!r} as it is: by it a correction finds its row.",
        ),
    )


def write_next(
    config: Config, source: str, output: Path, count: int, version: Version | None = None, *,
    text_column: str | None = None, seed: int = 0, note: Callable[[str], object] = lambda _: None,
) -> NextWritten:  # fmt: skip
    """Write those unlabelled rows of a table that would teach most, each with a guess.

    Args:
        config: What the training data is.
        source: The table: a path or fsspec URL.
        output: The workbook.
        count: How many rows to write.
        version: The registered model that guesses; without one, a quick classifier does.
        text_column: The table's column of texts; None for that of the training data.
        seed: Of the draws.
        note: Told what was made of the table where it could be read otherwise.

    Raises:
        ConfigError: if `output` cannot be written, or rows may have several labels.
        DataError: if the data or the table cannot be read, or has no row to choose from.
        StageError: if the weights or the registered model fail.
    """
    rows = training_rows.read(config, seed)
    pool = unlabelled_pool.read(
        source, (text_column,) if text_column else rows.text_columns, rows.label_column, rows.texts,
        training_rows.MOST_ROWS, seed, note,
    )  # fmt: skip
    encoder = training_rows.encoder_of(config)
    known, vectors = encoder.vectors(rows.texts), encoder.vectors(pool.texts)
    if version is None:
        classes: Sequence[str] = rows.classes
        model = QuickClassifier(seed).fit(rows.texts, known, rows.truth, len(classes))
        probabilities = model.probabilities(pool.texts, vectors)
        labels = [classes[index] for index in probabilities.argmax(axis=1)]
    else:
        labels, probabilities = _answers(version, pool.texts, config)
    chosen = row_choice.choose(probabilities, vectors, known, count, seed)
    by = f"version {version.version} of {version.name}" if version else "a quick classifier"
    labelling_workbook.write(
        output, _records(config), _next_workbook(rows, pool, chosen, labels, probabilities, by)
    )
    return NextWritten(
        output=str(output), rows=pool.rows, labelled=pool.labelled, empty=pool.empty,
        repeated=pool.repeated, pool=len(pool.texts), written=len(chosen.rows),
        at_random=int(chosen.at_random.sum()), guessed_by=by, text_column=rows.text_column,
        label_column=rows.label_column,
    )  # fmt: skip


def _next_workbook(
    rows: TrainingRows, pool: unlabelled_pool.Pool, chosen: row_choice.Chosen,
    labels: Sequence[str], probabilities: NDArray[np.floating[Any]], by: str,
) -> Workbook:  # fmt: skip
    """The chosen rows as a workbook, with the guesses in the column of labels."""
    these = chosen.rows
    guesses = [labels[row] for row in these]
    return Workbook(
        title="next",
        text=Column(rows.text_column, _TEXT, [pool.texts[row] for row in these]),
        label=Column(rows.label_column, _LABEL, guesses),
        others=[
            Column("guess", _NAME, guesses),
            Column("sure", 8, [float(probabilities[row].max()) for row in these]),
            Column("chosen", 14, ["at random" if r else "teaches most" for r in chosen.at_random]),
            Column("file", _NAME, [pool.source] * len(these)),
            Column("row", 8, [pool.numbers[row] for row in these]),
        ],
        labels=rows.classes,
        guide=(
            f"These rows have no label yet. The column {rows.label_column!r} holds a guess, by "
            f"{by}.",
            "Read each text. Leave the label if it is right, and choose another if it is wrong. "
            "Where you cannot tell, or come no further, empty the cell: a row without a label is "
            "left out.",
            "Save the workbook and put it where new data goes (data/inbox). Rows chosen at "
            "random show what the whole table is like; the others are the difficult ones.",
        ),
    )


def version_of(config: Config, name: str | None, alias: str) -> Version | None:
    """The registered model that is asked; None if the config's own has no champion yet.

    Raises:
        ConfigError: if a model or another alias was named, and there is no such version.
    """
    from incumbent.tracking.registry_reads import CHAMPION
    from incumbent.tracking.registry_writes import Registry

    registry = Registry(config.tracking)
    if name is not None or alias != CHAMPION:
        return registry.aliased(name or config.model_name, alias)
    if config.model_name not in registry.names():
        return None
    return registry.by_alias(config.model_name, alias)


def _answers(
    version: Version, texts: list[str], config: Config
) -> tuple[list[str], NDArray[np.floating[Any]]]:
    """A model's labels (n,) of texts (n,), and its probabilities (n, n_classes)."""
    from incumbent.scoring import model_client
    from incumbent.tracking.registry_writes import Registry

    frame = model_client.score(
        Registry(config.tracking), version, texts, Path(config.tracking.workdir)
    ).frame
    if frame["label"].map(str).str.contains("|", regex=False).any():
        raise ConfigError(
            f"Version {version.version} of {version.name} gives several labels a row, and the "
            "training data has one. Name another with --model."
        )
    columns = [name for name in frame if str(name).startswith("probability_")]
    return frame["label"].map(str).tolist(), frame[columns].to_numpy()


def _records(config: Config) -> Path:
    """Where it is noted which workbooks were written."""
    return Path(config.tracking.workdir) / "labelling" / "written"
