"""Whether `incumbent labels` finds what it should, on labels that are known.

    python -m benchmarks.labels --data /data --docs

The embedded reviews are always at hand; `--data DIR` adds `DIR/intents/banking77/train.csv` and
`test.csv` (Casanueva et al. 2020, CC BY 4.0). First some labels are flipped to others at random,
and the suspects that `incumbent labels suspects` would write are compared with them. Then labels
are bought 400 at a time, those that `incumbent labels next` chooses or random ones, and counted
until the test accuracy is that of 2,000 random ones. The classifier is a logistic regression on the
frozen encoder's vectors, with an NBSVM where suspects of few classes are looked for.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.harness import ROOT
from incumbent.config import TrackingConfig
from incumbent.data import embedded_reviews
from incumbent.encoders import pretrained_weights
from incumbent.encoders.frozen_encoder import FrozenEncoder
from incumbent.evaluation.figure_style import COLOURS, MUTED, figure_of, save, style
from incumbent.labelling import out_of_fold, row_choice, suspects
from incumbent.labelling.quick_classifier import QuickClassifier
from incumbent.runtime.atomic_files import write_atomically

PAGE = ROOT / "docs" / "labels.md"
PICTURE = ROOT / "docs" / "images" / "labels.png"
_SHARES = (0.05, 0.10)
_FIRST = (100, 250, 500)
_CORRECTED = 500  # suspects whose label is put right
_BATCH, _MOST = 400, 2_000  # labels
_RESAMPLES = 2_000
_METHODS = ("incumbent labels next", "random")


@dataclass(frozen=True)
class Rows:
    """A data set: texts, their vectors, and classes as numbers, of train and test."""

    name: str
    texts: list[str]
    vectors: NDArray[Any]
    truth: NDArray[np.int64]
    test_texts: list[str]
    test_vectors: NDArray[Any]
    test_truth: NDArray[np.int64]

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.truth.max()) + 1

    def accuracy(self, labels: NDArray[np.int64], rows: NDArray[np.int64], *, words: bool) -> float:
        """On the test set, of the quick classifier that is trained on these labels (n,)."""
        model = self.trained(labels, rows, words=words)
        found = model.probabilities(self.test_texts, self.test_vectors).argmax(axis=1)
        return float((found == self.test_truth).mean())

    def trained(
        self, labels: NDArray[np.int64], rows: NDArray[np.int64], *, words: bool
    ) -> QuickClassifier:
        """The quick classifier, trained on these labels (n,) of some rows (m,)."""
        texts = [self.texts[row] for row in rows]
        model = QuickClassifier(words=words)
        return model.fit(texts, self.vectors[rows], labels[rows], self.classes)


def main() -> None:
    """Measure what was asked for, and write it into the docs if that was asked too."""
    asked = argparse.ArgumentParser(prog="python -m benchmarks.labels", description=__doc__)
    asked.add_argument("--data", type=Path, help="folder with intents/banking77")
    asked.add_argument("--only", default="", help="sets whose name has this in it")
    asked.add_argument("--flips", type=int, default=1, help="seeds of flipped labels")
    asked.add_argument("--seeds", type=int, default=10, help="seeds of the labels to buy")
    asked.add_argument("--workdir", type=Path, default=Path(TrackingConfig().workdir))
    asked.add_argument("--docs", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    options = asked.parse_args()
    precision, recovery, saved = _TABLES
    curves = {}
    for rows in _sets(options.data, options.workdir, options.only):
        for share in _SHARES:
            found = [
                Flipped(**_kept(options.workdir, f"{rows.name} {share} {seed}",
                                lambda r=rows, p=share, s=seed: asdict(_flipped(r, p, s))))
                for seed in range(options.flips)
            ]  # fmt: skip
            precision += _precision_lines(rows.name, share, found)
            recovery += _recovery_line(rows.name, share, found)
            print(precision[-1], recovery[-1], sep="\n", flush=True)
        curves[rows.name] = _curves(rows, options.seeds, options.workdir)
        saved += _saved_line(rows.name, curves[rows.name])
        print(saved[-1], flush=True)
    print("\n".join(["", *precision, "", *recovery, "", *saved]))
    if options.docs:
        _draw(curves, PICTURE)
        saved += ["", f"![Test accuracy by the number of labels](images/{PICTURE.name})"]
        text = PAGE.read_text(encoding="utf-8")
        for name, lines in zip(("precision", "recovery", "saved"), _TABLES, strict=True):
            between = rf"(?s)(<!-- {name} -->\n).*?(\n<!-- end -->)"
            text = re.sub(between, lambda m, lines=lines: m[1] + "\n".join(lines) + m[2], text)
        PAGE.write_text(text, encoding="utf-8")


_TABLES: tuple[list[str], list[str], list[str]] = (
    ["| data | flipped | order | first 100 | first 250 | first 500 |", "|---|---|---|---|---|---|"],
    ["| data | flipped | clean labels | flipped | 500 suspects corrected | won back |",
     "|---|---|---|---|---|---|"],
    ["| data | accuracy of 2,000 random labels | labels that reach it | interval (95 %) |",
     "|---|---|---|---|"],
)  # fmt: skip


def _sets(folder: Path | None, workdir: Path, only: str) -> Iterator[Rows]:
    paths = embedded_reviews.write(workdir / "reviews")
    frames = [pd.read_excel(path, engine="calamine") for path in paths]
    columns = embedded_reviews.TEXT_COLUMN, embedded_reviews.LABEL_COLUMN
    sets = [("Embedded reviews", 64, frames, columns)]
    if folder:
        files = [folder / "intents" / "banking77" / f"{side}.csv" for side in ("train", "test")]
        sets.append(("Banking77", 32, [*map(pd.read_csv, files)], ("text", "category")))
    for name, length, (train, test), (text, label) in sets:
        if only not in name:
            continue
        encoder = FrozenEncoder(pretrained_weights.BUNDLED, length, workdir)
        texts = [frame[text].astype(str).tolist() for frame in (train, test)]
        classes = sorted(set(train[label]))
        truth = [pd.Categorical(f[label], classes).codes.astype(np.int64) for f in (train, test)]
        vectors = [encoder.vectors(one) for one in texts]
        yield Rows(name, texts[0], vectors[0], truth[0], texts[1], vectors[1], truth[1])


@dataclass(frozen=True)
class Flipped:
    """Of one draw: the precision of each order, and accuracies before and after."""

    ours: list[float]
    loss: list[float]
    clean: float
    flipped: float
    corrected: float


def _flipped(rows: Rows, share: float, seed: int) -> Flipped:
    """Flip a share of the labels, and look for them."""
    random = np.random.default_rng(seed)
    everything = np.arange(len(rows.truth))
    drawn = random.choice(everything, round(share * len(everything)), replace=False)
    labels = rows.truth.copy()
    labels[drawn] += random.integers(1, rows.classes, len(drawn))
    labels %= rows.classes
    wrong = labels != rows.truth
    held_out = out_of_fold.probabilities(rows.texts, rows.vectors, labels, rows.classes)
    ours = suspects.find(labels, held_out.astype(np.float32)).rows
    seen = rows.trained(labels, everything, words=True).probabilities(rows.texts, rows.vectors)
    loss = np.argsort(seen[everything, labels], kind="stable")
    corrected = labels.copy()
    corrected[ours[:_CORRECTED]] = rows.truth[ours[:_CORRECTED]]
    return Flipped(
        *([float(wrong[order[:first]].mean()) for first in _FIRST] for order in (ours, loss)),
        *(rows.accuracy(one, everything, words=True) for one in (rows.truth, labels, corrected)),
    )


def _precision_lines(name: str, share: float, found: list[Flipped]) -> list[str]:
    lines = []
    for order, key in (("suspects", "ours"), ("highest training loss first", "loss")):
        means = np.mean([getattr(one, key) for one in found], axis=0)
        lines.append(_line(name, f"{share:.0%}", order, *(f"{mean:.1%}" for mean in means)))
    chance = [f"{share:.1%}"] * len(_FIRST)
    return [_line(name, f"{share:.0%}", "chance", *chance), *reversed(lines)]


def _recovery_line(name: str, share: float, found: list[Flipped]) -> list[str]:
    clean, flipped, corrected = (
        float(np.mean([getattr(one, key) for one in found]))
        for key in ("clean", "flipped", "corrected")
    )
    cost = clean - flipped
    won = f"{(corrected - flipped) / cost:.0%} of {100 * cost:.1f} points" if cost > 0 else "–"
    return [_line(name, f"{share:.0%}", *(f"{a:.2%}" for a in (clean, flipped, corrected)), won)]


def _curves(rows: Rows, seeds: int, workdir: Path) -> NDArray[Any]:
    """Test accuracies (2, seeds, steps) of labels that are chosen, and of random ones."""

    def bought(seed: int, *, chosen: bool) -> list[float]:
        key = f"{rows.name} {'chosen' if chosen else 'random'} {seed}"
        found: list[float] = _kept(workdir, key, lambda: _bought(rows, seed, chosen=chosen))
        return found

    every = [[bought(seed, chosen=chosen) for seed in range(seeds)] for chosen in (True, False)]
    return np.array(every)


def _kept(workdir: Path, key: str, make: Callable[[], Any]) -> Any:
    """What was measured before, or is now: a run that was ended goes on where it was."""
    folder = workdir / "benchmarks" / "labels"
    file = folder / f"{key}.json"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(make()))
    return json.loads(file.read_text(encoding="utf-8"))


def _bought(rows: Rows, seed: int, *, chosen: bool) -> list[float]:
    random = np.random.default_rng(seed)
    labelled = random.choice(len(rows.truth), _BATCH, replace=False)
    found = []
    while True:
        model = rows.trained(rows.truth, labelled, words=False)
        answers = model.probabilities(rows.test_texts, rows.test_vectors).argmax(axis=1)
        found.append(float((answers == rows.test_truth).mean()))
        if len(labelled) >= _MOST:
            return found
        pool = np.setdiff1d(np.arange(len(rows.truth)), labelled)
        if chosen:
            probabilities = model.probabilities([""] * len(pool), rows.vectors[pool])
            more = row_choice.choose(
                probabilities, rows.vectors[pool], rows.vectors[labelled], _BATCH,
                seed=int(random.integers(2**31)),
            ).rows  # fmt: skip
        else:
            more = random.choice(len(pool), _BATCH, replace=False)
        labelled = np.concatenate([labelled, pool[more]])


def _needed(curves: NDArray[Any]) -> float:
    """Labels at which the mean of the chosen reaches what random ones have at the most."""
    steps = np.arange(1, curves.shape[2] + 1) * _BATCH
    mean, target = curves[0].mean(axis=0), curves[1, :, -1].mean()
    over = np.flatnonzero(mean >= target)
    if not len(over):
        return float("inf")
    at = over[0]
    if at == 0:
        return float(steps[0])
    part = (target - mean[at - 1]) / (mean[at] - mean[at - 1])
    return float(steps[at - 1] + part * _BATCH)


def _interval(curves: NDArray[Any]) -> tuple[float, float]:
    """Of `_needed`, by resampling the seeds."""
    random = np.random.default_rng(0)
    seeds = curves.shape[1]
    found = [_needed(curves[:, random.integers(seeds, size=seeds)]) for _ in range(_RESAMPLES)]
    low, high = np.quantile(found, [0.025, 0.975], method="nearest")
    return float(low), float(high)


def _saved_line(name: str, curves: NDArray[Any]) -> list[str]:
    def shown(labels: float) -> str:
        return f"{labels:,.0f}" if labels < float("inf") else f"more than {_MOST:,}"

    low, high = _interval(curves)
    target = curves[1, :, -1].mean()
    return [_line(name, f"{target:.2%}", shown(_needed(curves)), f"{shown(low)} to {shown(high)}")]


def _draw(found: dict[str, NDArray[Any]], path: Path) -> None:
    """Draw the mean accuracies, with the range of the middle 80 % of the seeds."""
    figure = figure_of((5.4 * len(found), 4.6))
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for axes, (name, curves) in zip(panels, found.items(), strict=True):
        style(axes, name, "labels", "test accuracy")
        steps = np.arange(1, curves.shape[2] + 1) * _BATCH
        for method, colour, own in zip(_METHODS, COLOURS, curves, strict=False):
            low, high = np.quantile(own, [0.1, 0.9], axis=0)
            axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
            axes.plot(steps, own.mean(axis=0), color=colour, marker="o", ms=4, label=method)
        target = curves[1, :, -1].mean()
        axes.axhline(target, color=MUTED, linestyle=":", linewidth=1)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.legend(frameon=False, fontsize=9, loc="lower right")
    save(figure, path)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
