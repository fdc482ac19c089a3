"""Judge a file of a watched place: whether it can be added to the training data."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel

from incumbent import __version__, label_sets
from incumbent.config import Config, DataConfig
from incumbent.data import datasets, ingestion, label_spellings, row_columns
from incumbent.data.datasets import Dataset
from incumbent.errors import DataError
from incumbent.runtime import failure_explanations, url_secrets
from incumbent.tables import file_formats, fsspec_files, training_files
from incumbent.validation import bad_rows_workbook, great_expectations_runner, rows_set_aside
from incumbent.validation.check_base import count, quoted
from incumbent.validation.similar_labels import guessed
from incumbent.validation.validation_verdict import BadRow, Finding, refuses

# Checks that one file of several need not pass.
_OF_THE_WHOLE = ("rows", "one_class", "classes", "class_rows")
# What is told of row by row.
_BY_ROW = (*rows_set_aside.CELLS, "bad_rows", "known_labels", "leak")
_FAULTS = 50  # bad rows that are kept, to be shown
_ROWS = 20  # how many rows with an unknown label are named


def rules(config: Config) -> str:
    """The digest of all in a config that a file is judged by.

    Another release may judge otherwise too.
    """
    data = config.data.model_copy(update={"train": "", "sample": None})
    by = f"{__version__} {data.model_dump_json()} {config.validation.model_dump_json()}"
    return hashlib.sha256(by.encode()).hexdigest()[:16]


class Judged(BaseModel, frozen=True):
    """What was found in a file."""

    refused: str = ""
    """Why a file cannot be added to the training data; empty if it can."""
    labels: tuple[str, ...] = ()
    """Its labels, if it can."""
    unknown: tuple[str, ...] = ()
    """Those that nobody knows."""
    problems: tuple[str, ...] = ()
    """What is wrong with a file that is refused, but for its bad rows."""
    faults: tuple[BadRow, ...] = ()
    """Its first bad rows, set aside or what it is refused for."""
    faulty: int = 0
    """How many bad rows there are."""
    set_aside: int = 0
    """How many rows were set aside."""
    rows: int = 0
    """How many rows can be trained on; of a file that is refused, how many have a label."""
    unlabelled: int = 0
    """How many rows have no label."""
    leaked: int = 0
    """How many rows are left out, as the test set holds their texts."""
    workbook: str = ""
    """The workbook of the rows that were set aside, on this machine."""


def judged(
    source: str, labels: Collection[str], place: str, config: Config, *, accepted: bool = False
) -> Judged:
    """Judge whether a file can be added to the training data.

    It must satisfy what `validation` asks of rows, and hold no test text but a few; how many rows
    there must be, of each class too, is asked of the training data as a whole. Bad rows are set
    aside, if they are few, unless `validation.bad_rows` says otherwise.

    Args:
        source: The file.
        labels: Those of all files that were accepted before.
        place: The watched place.
        config: That of the deployment.
        accepted: Whether the file itself was accepted before, so that its labels are known.

    Raises:
        DataError: if that cannot be told, as the file, the test set or the working folder cannot
            be had now.
    """
    workdir = Path(config.tracking.workdir)
    data = config.data.model_copy(update={"train": source, "sample": None})
    failure = None
    try:
        dataset = ingestion.ingest(
            data, workdir, labels=config.validation.labels, part_of_train=True
        )
    except DataError as error:
        failure = error
    if failure:  # out of its handler, where it would be among the causes of what fails next
        if fault := _fault(source, data):
            return Judged(refused=fault, problems=(_short(fault, source), _expected(data)))
        raise failure
    own_labels = [label for label in dataset.classes if label]
    known_before = {*labels, *(own_labels if accepted else ())}
    unknown, known = _unknown(own_labels, {*dataset.test.labels, *known_before}, place, config)
    folder = workdir / "arrivals" / dataset.digest[:16]
    # Which classes are too rare is asked of the whole, too.
    rules = config.validation.model_copy(
        update={"on_rare_class": "off", "bad_rows": config.validation.bad_rows or "set_aside"}
    )
    by_labels = rules.model_copy(update={"labels": tuple(known)}) if unknown else rules
    aside = rules.bad_rows == "set_aside"
    verdict = great_expectations_runner.validate(dataset, by_labels if aside else rules, folder)
    own = tuple(
        finding
        for finding in verdict.findings
        if finding.name == "leak"
        or (finding.split == "train" and finding.name not in _OF_THE_WHOLE)
    )
    if unknown and not verdict.rows_set_aside:
        told = _of_unknown(unknown, known, dataset)
        own = (told, *(f for f in own if (f.name, f.count) != ("label", told.count)))
    refused = verdict.model_copy(update={"findings": own}).refusal()
    if refused:
        faults = (
            *rows_set_aside.bad_rows(dataset, by_labels),
            *(rows_set_aside.leaked(dataset) if any(map(_of_leak, own)) else ()),
        )
        return Judged(
            refused=refused, unknown=tuple(unknown), faults=faults[:_FAULTS], faulty=len(faults),
            problems=tuple(
                _short(f.message, source) for f in own if refuses(f) and f.name not in _BY_ROW
            ),
            rows=dataset.train.rows, unlabelled=dataset.train.unlabelled,
        )  # fmt: skip
    workbook = ""
    if verdict.bad_rows and bad_rows_workbook.readable(data):
        path = folder / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.xlsx"
        bad_rows_workbook.write(path, verdict.bad_rows, dataset.train, data)
        workbook = str(path)
    left = verdict.dataset
    return Judged(
        labels=tuple(label for label in left.classes if label and label not in unknown),
        unknown=tuple(unknown), faults=verdict.bad_rows[:_FAULTS], faulty=verdict.rows_set_aside,
        set_aside=verdict.rows_set_aside,
        rows=left.train.rows, unlabelled=left.train.unlabelled, leaked=verdict.dropped,
        workbook=workbook,
    )  # fmt: skip


def _short(message: str, source: str) -> str:
    """A message that names the file without where it is."""
    return message.replace(url_secrets.public(source), file_formats.name_of(source))


def _expected(data: DataConfig) -> str:
    """Which columns a file must have, for whoever writes one."""
    texts, labels = (", ".join(map(repr, names)) for names in (data.texts_in, data.labels_in))
    columns = "columns" if len(data.texts_in) > 1 else "a column"
    return f"Expected: {columns} {texts} with the texts, and {labels} with the labels."


def _of_leak(finding: Finding) -> bool:
    return finding.name == "leak" and refuses(finding)


def labels_together(accepted: Collection[str], place: str, config: Config) -> tuple[str, ...]:
    """The labels of a run on the deployment's own training data and files of these labels.

    Raises:
        DataError: if that training data cannot be read now.
    """
    known = dict.fromkeys(accepted, 1)
    if beside := others(place, config):
        whole = config.data.model_copy(update={"train": beside, "sample": None})
        dataset = ingestion.ingest(whole, Path(config.tracking.workdir), part_of_train=True)
        known |= dict.fromkeys(filter(None, dataset.classes), 2)
    return tuple(sorted(label_spellings.spellings(known).values()))


def learned(unknown: Collection[str], labels: Collection[str], place: str, config: Config) -> bool:
    """Whether any of the labels that nobody knew has become known; see `judged`."""
    still, _ = _unknown(unknown, labels, place, config)
    return len(still) < len(unknown)


def state_of_labels(labels: Collection[str], place: str, config: Config) -> str:
    """What changes when more labels may be known; empty if that cannot be told."""
    try:
        files = [*training_files.expand(others(place, config)), config.data.test]
    except DataError:
        return ""
    signs = [(file, fsspec_files.signature(file)) for file in files]
    if not all(sign for _, sign in signs):
        return ""
    return hashlib.sha256(f"{signs} {labels}".encode()).hexdigest()[:16]


def others(place: str, config: Config) -> tuple[str, ...]:
    """What `data.train` names beside a watched place."""
    train = config.data.train
    own = (train,) if isinstance(train, str) else train
    return tuple(entry for entry in own if entry.rstrip("/") != place.rstrip("/"))


def _unknown(
    labels: Collection[str], before: Collection[str], place: str, config: Config
) -> tuple[list[str], list[str]]:
    """Those of the labels of a file that nobody knows, and the labels that somebody does.

    These are what `validation.labels` names; or else those of the test set, of the training data
    and of files that were accepted before. The training data, which may be large, is only asked if
    the others do not know all of them.

    Args:
        labels: Of the file.
        before: Known ones, if `validation.labels` names none.
        place: The watched place.
        config: That of the deployment.

    Raises:
        DataError: if the training data cannot be read now.
    """
    data = config.data
    if data.label_names:  # the config names them
        return [], list(data.label_names)
    named = config.validation.labels
    known = {label for label in (named or before) if label}
    unknown = label_spellings.unknown(labels, known)
    beside = others(place, config)
    if unknown and beside and named is None:
        whole = data.model_copy(update={"train": beside, "sample": None})
        dataset = ingestion.ingest(whole, Path(config.tracking.workdir), part_of_train=True)
        known |= {*dataset.classes, *dataset.test.labels}
        unknown = label_spellings.unknown(labels, known)
    return unknown, sorted(known - {"", label_sets.NONE})


def _of_unknown(unknown: list[str], known: list[str], dataset: Dataset) -> Finding:
    """That a file has labels that nobody knows, with their rows."""
    rows: list[int] = []
    for part in datasets.parts(dataset.train, ["row", "label"]):
        has = part["label"].map(
            lambda text: (
                not set(unknown).isdisjoint(
                    label_sets.split(text) if dataset.multilabel else [text]
                )
            )
        )
        rows += part["row"][has].tolist()
    return Finding(
        split="train", name="known_labels", severity="error", passed=False, count=len(rows),
        message=f"{count(len(rows), 'row')} with the label {guessed(unknown, known)}; known are "
        f"{quoted(known)}. Correct them; or, if the label is a new one, add rows of it to the "
        "training data that data.train names, or name every label in validation.labels.",
        rows=tuple(rows[:_ROWS]), where=", ".join(map(str, rows[:_ROWS])),
    )  # fmt: skip


def _fault(source: str, data: DataConfig) -> str:
    """Why a file cannot be read as labelled text, by itself; empty if that is not its fault."""
    try:
        files = training_files.expand(source)
        frames = training_files.parts(files, data, row_columns.named(data))
        for _ in ingestion.Labelled(frames, files, data):
            pass
    except DataError as error:
        return "" if _of_the_way(error) else str(error)
    return ""


def _of_the_way(error: DataError) -> bool:
    """Whether what failed is what lies between a file and us: a network, a disk, a permission.

    What the system refuses has a number; what a decoder does not understand has none.
    """
    return failure_explanations.of_network(error) or any(
        isinstance(cause, PermissionError | FileNotFoundError)
        or (isinstance(cause, OSError) and cause.errno)
        for cause in failure_explanations.causes(error)
    )
