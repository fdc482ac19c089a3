"""What each model costs and gives, on the same rows: `make models`.

The embedded reviews are always at hand. `--data DIR` adds intent sets, as their authors publish
them: `DIR/banking77/train.csv` and `test.csv` (Casanueva et al. 2020, CC BY 4.0), and
`DIR/nlupp-banking/fold0.json` to `fold19.json` (Casanueva et al. 2022, CC BY 4.0), folds 0 to 15 to
train on and 16 to 19 to test on, with those labels that 20 and 5 rows of them have.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import ROOT
from benchmarks.performance import machine
from incumbent.classifiers import catalogue, choice
from incumbent.config import (
    DataConfig,
    EvaluationConfig,
    PreprocessingConfig,
    ServingConfig,
    TrainingConfig,
)  # fmt: skip
from incumbent.data import canonical_text, datasets, ingestion
from incumbent.data.datasets import Dataset
from incumbent.data.label_arrays import truth_of
from incumbent.encoders import encoded_texts, pretrained_weights
from incumbent.encoders.frozen_encoder import FrozenEncoder
from incumbent.evaluation import evaluation_summary
from incumbent.predictor import Predictor

PAGE = ROOT / "docs" / "models.md"
MODELS = ("nbsvm", "features", "transformer")
_HEAD = ("data", "rows", "model", "right", "interval", "macro F1", "training", "size", "a text")
_REVIEWS = (64, 200, 600, 2000, None)
_LENGTH = {"reviews": 64, "intents": 32}  # tokens
_NBSVM_RATE = 0.01  # what configuration.md says it wants
_NBSVM_EPOCHS = 10
_FOLDS, _TEST_FOLDS = range(16), range(16, 20)
_LEAST, _LEAST_TESTED = 20, 5  # rows of a label


@dataclass(frozen=True)
class Given:
    """One data set: its name and length (tokens), and how it is made in a folder."""

    name: str
    length: int
    make: Callable[[Path], Dataset]


def main() -> None:
    """Measure what was asked for, line by line."""
    asked = argparse.ArgumentParser(prog="make models", description=__doc__)
    asked.add_argument("--data", type=Path, help="folder of intent sets")
    asked.add_argument("--only", default="", help="sets whose name has this in it")
    asked.add_argument("--models", default=",".join(MODELS), help="of " + ", ".join(MODELS))
    asked.add_argument("--seeds", type=int, default=1, help="trainings of each; the mean is shown")
    asked.add_argument("--docs", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    options = asked.parse_args()
    lines = [_joined(_HEAD), _joined(("---",) * len(_HEAD))]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory(prefix="incumbent-models-") as scratch:
        for given in _sets(options.data):
            if options.only in given.name:
                for model in options.models.split(","):
                    lines.append(_measured(given, model, options.seeds, Path(scratch)))
                    print(lines[-1], flush=True)
    if options.docs:
        _write(lines)


def _sets(folder: Path | None) -> Iterator[Given]:
    for rows in _REVIEWS:
        config = DataConfig(sample=rows)
        name = f"embedded reviews, {rows or 'all'}"

        def reviews(scratch: Path, config: DataConfig = config) -> Dataset:
            # Of the test rows all, however few there are to train on.
            train = datasets.load(ingestion.ingest(config, scratch).train)
            test = datasets.load(ingestion.ingest(DataConfig(), scratch).test)
            return datasets.save([train], [test], ("train", "test"), scratch / "datasets")

        yield Given(name, _LENGTH["reviews"], reviews)
    if folder is None:
        return
    yield Given("Banking77", _LENGTH["intents"], lambda scratch: _banking(folder, scratch))
    yield Given(
        "Banking77, 8 rows a class", _LENGTH["intents"],
        lambda scratch: _banking(folder, scratch, 8),
    )  # fmt: skip
    yield Given("NLU++ banking", _LENGTH["intents"], lambda scratch: _several(folder, scratch))


def _banking(folder: Path, scratch: Path, a_class: int | None = None) -> Dataset:
    train, test = (pd.read_csv(folder / "banking77" / f"{s}.csv") for s in ("train", "test"))
    if a_class:
        train = train.groupby("category").sample(a_class, random_state=0)
    return _saved(*(f.rename(columns={"category": "label"}) for f in (train, test)), scratch)


def _several(folder: Path, scratch: Path) -> Dataset:
    def read(folds: range) -> tuple[list[str], list[set[str]]]:
        files = [folder / "nlupp-banking" / f"fold{fold}.json" for fold in folds]
        rows = [row for file in files for row in json.loads(file.read_text("utf-8"))]
        return [row["text"] for row in rows], [set(row.get("intents", ())) for row in rows]

    (texts, said), (test_texts, test_said) = read(_FOLDS), read(_TEST_FOLDS)
    names = [
        name
        for name in sorted(set().union(*said))
        if sum(name in row for row in said) >= _LEAST
        and sum(name in row for row in test_said) >= _LEAST_TESTED
    ]

    def frame(texts: list[str], said: list[set[str]]) -> pd.DataFrame:
        labels = ["|".join(n for n in names if n in row) or "none" for row in said]
        return pd.DataFrame({"text": texts, "label": labels})

    return _saved(frame(texts, said), frame(test_texts, test_said), scratch, tuple(names))


def _saved(
    train: pd.DataFrame, test: pd.DataFrame, scratch: Path, names: tuple[str, ...] = ()
) -> Dataset:
    splits = [
        canonical_text.canonical(
            frame.reset_index(drop=True).assign(row=range(len(frame)), found="text")
        )
        for frame in (train, test)
    ]
    return datasets.save(splits[:1], splits[1:], ("train", "test"), scratch / "datasets", names)


def _measured(given: Given, model: str, seeds: int, scratch: Path) -> str:
    """A line of the table; the interval, the size and the time are those of the last seed."""
    from incumbent.training import fitting

    data = given.make(scratch)
    test = datasets.load(data.test)
    preprocessing = PreprocessingConfig(max_length=given.length)
    right, f1, seconds = [], [], []
    for seed in range(1, seeds + 1):
        own: dict[str, Any] = {"model": model, "seed": seed}
        if model == "nbsvm":
            own |= {"learning_rate": _NBSVM_RATE, "epochs": _NBSVM_EPOCHS}
        training, _ = choice.chosen(TrainingConfig.model_validate(own), data)
        classifier = catalogue.create(
            training, preprocessing, data.classes, scratch, multilabel=data.multilabel
        )
        encoded = encoded_texts.encode(
            data, classifier.tokenize, classifier.recipe, given.length, scratch
        )
        _as_the_first_time(model, given.length, scratch)
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            start = time.perf_counter()
            trained = fitting.fit(
                classifier, encoded, Path(folder) / "predictor", "text", ServingConfig(),
                lambda _: None, lambda _: None,
            )  # fmt: skip
            seconds.append(time.perf_counter() - start)
            served = trained.served.folder
            size = sum(file.stat().st_size for file in served.iterdir())
            predictor = Predictor().load(served)
            start = time.perf_counter()
            p = predictor.probabilities(test["text"].tolist())
            each = (time.perf_counter() - start) / len(test)
        truth = truth_of(test["label"], data.classes, multilabel=data.multilabel)
        found = evaluation_summary.evaluate(
            truth, p, data.classes, EvaluationConfig(), predictor.thresholds
        )
        right.append(found.accuracy.value)
        f1.append(found.macro_f1.value)
    interval = f"{100 * found.accuracy.low:.1f} to {100 * found.accuracy.high:.1f} %"
    auto = choice.chosen(TrainingConfig(), data)[0].model == model
    return _joined((
        given.name, f"{data.train.rows:,} / {data.test.rows:,}",
        f"**{model}**" if auto else model, f"{100 * np.mean(right):.1f} %", interval,
        f"{np.mean(f1):.3f}", f"{np.mean(seconds):.0f} s", f"{size / 1e6:.0f} MB",
        f"{1000 * each:.1f} ms",
    ))  # fmt: skip


def _as_the_first_time(model: str, length: int, scratch: Path) -> None:
    """Have the weights converted, which is done once, and no text embedded, as new rows are not."""
    if model == "features":
        for kept in scratch.glob("encoders/*/vectors-*"):
            shutil.rmtree(kept)
        FrozenEncoder(pretrained_weights.BUNDLED, length, scratch).vectors(["a text"])


def _joined(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _write(lines: list[str]) -> None:
    """Put the table into the page, between its marks."""
    mark = "<!-- models -->"
    before, _, after = PAGE.read_text(encoding="utf-8").split(mark)
    table = "\n".join([machine(), "", *lines])
    PAGE.write_text(f"{before}{mark}\n{table}\n{mark}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
