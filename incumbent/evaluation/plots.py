"""The plots of an evaluation as PNG files: confusion, calibration, curves, label counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from incumbent.evaluation.figure_style import (
    COLOURS,
    INK,
    MUTED,
    canvas,
    figure_of,
    save,
    short,
    style,
)
from incumbent.evaluation.roc_curves import precision_recall, roc
from incumbent.evaluation.scored_predictions import Scored
from incumbent.evaluation.wilson_and_bootstrap import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    BoolArray = NDArray[np.bool_]
    IntArray = NDArray[np.integer[Any]]
    FloatArray = NDArray[np.floating[Any]]

MOST_ANNOTATED = 20
"""Classes up to which the cells of a confusion matrix carry their counts."""
MOST_NAMED = 40
"""Classes up to which its axes name every class."""


def draw(
    truth: NDArray[Any],
    probabilities: FloatArray,
    classes: Sequence[str],
    folder: Path,
    bins: int,
    threshold: float | FloatArray = 0.5,
) -> dict[str, Path]:
    """Draw all plots of probabilities (n, n_classes) against the truth, int (n,) or bool (n, k).

    Of several labels, `threshold` is the probability from which one is predicted.

    Returns:
        The PNG files, by name: confusion_matrix (of sets of labels, which are not confused with
        one another one for one: labels), roc, precision_recall and reliability.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first = (
        {"confusion_matrix": confusion_matrix(truth, probabilities, classes)}
        if truth.ndim == 1
        else {"labels": label_counts(truth, probabilities, classes, threshold)}
    )
    figures = first | {
        "roc": roc(truth, probabilities, classes),
        "precision_recall": precision_recall(truth, probabilities, classes),
        "reliability": reliability(truth, probabilities, bins, threshold),
    }
    return {name: save(figure, folder / f"{name}.png") for name, figure in figures.items()}


def confusion_matrix(truth: IntArray, probabilities: FloatArray, classes: Sequence[str]) -> Figure:
    """Rows by true and predicted class, shaded by the share of the true class."""
    k = len(classes)
    predicted = probabilities.argmax(axis=1)
    counts = np.bincount(truth * k + predicted, minlength=k * k).reshape(k, k)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(3.6 + 0.45 * k, 4.8, 10))
    figure, axes = canvas("Confusion matrix", "predicted", "true", size=(side + 1.2, side))
    axes.grid(visible=False)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
    bar.set_label("share of the true class", color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, colors=INK)
    if k <= MOST_NAMED:
        names = [short(name) for name in classes]
        turned = k > 3 or max(map(len, names)) > 10
        axes.set_xticks(range(k), names, rotation=90 if turned else 0)
        axes.set_yticks(range(k), names)
    else:
        axes.set_xlabel("predicted (class number)")
        axes.set_ylabel("true (class number)")
    if k <= MOST_ANNOTATED:
        size = float(np.clip(15 - 0.45 * k, 7, 13))
        for (row, column), count in np.ndenumerate(counts):
            shade = "white" if shares[row, column] > 0.5 else INK
            share = f"\n{shares[row, column]:.1%}" if k <= 5 else ""
            axes.text(
                column, row, f"{count:,}{share}", ha="center", va="center", color=shade, size=size
            )
    return figure


def label_counts(
    truth: BoolArray,
    probabilities: FloatArray,
    classes: Sequence[str],
    threshold: float | FloatArray = 0.5,
) -> Figure:
    """Rows with each label, by whether it is predicted, and rows where it is predicted wrongly."""
    predicted = Scored(truth, probabilities, threshold).predicted
    parts = {
        "found": (truth & predicted, COLOURS[0], 0.85),
        "missed": (truth & ~predicted, COLOURS[0], 0.3),
        "predicted wrongly": (~truth & predicted, COLOURS[1], 0.85),
    }
    k = len(classes)
    height = float(np.clip(1.6 + 0.4 * k, 4, 10))
    figure, axes = canvas("Labels", "rows", "", size=(6.4, height))
    axes.grid(visible=False, axis="y")
    left = np.zeros(k)
    for name, (rows, colour, alpha) in parts.items():
        counts = rows.sum(axis=0)
        axes.barh(range(k), counts, left=left, height=0.7, color=colour, alpha=alpha, label=name)
        left += counts
    named = k <= MOST_NAMED
    axes.set_yticks(range(k) if named else [], [short(name) for name in classes] if named else [])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, labelcolor=INK)
    return figure


def reliability(
    truth: NDArray[Any],
    probabilities: FloatArray,
    bins: int,
    threshold: float | FloatArray = 0.5,
) -> Figure:
    """Accuracy (with Wilson's 95 % interval) against confidence, over the cases in each bin.

    A case is a row or, where a row may have several labels, a row and label: see `Scored`.
    """
    scored = Scored(truth, probabilities, threshold)
    confidence, right = scored.confidence, scored.right_cases
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    filled = np.flatnonzero(counts)
    means = np.bincount(bin_of, confidence, bins)[filled] / counts[filled]
    hits = np.bincount(bin_of, right, bins)[filled].astype(int)
    accuracy = [wilson(int(h), int(n), 0.95) for h, n in zip(hits, counts[filled], strict=True)]
    values = np.array([estimate.value for estimate in accuracy])
    whiskers = [
        [estimate.value - estimate.low for estimate in accuracy],
        [estimate.high - estimate.value for estimate in accuracy],
    ]
    error = float(counts[filled] @ np.abs(values - means)) / len(right)

    figure = figure_of((5.6, 5.4))
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    style(axes, f"Reliability (expected calibration error {error:.3f})", "", "accuracy")
    said, counted = ("class", "rows") if truth.ndim == 1 else ("answer", "rows × labels")
    style(below, "", f"confidence (probability of the predicted {said})", counted)
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 4)), linewidth=1, label="ideal")
    axes.errorbar(
        means, values, whiskers, fmt="o-", color=COLOURS[0], ecolor=COLOURS[0], elinewidth=1,
        capsize=2.5, markersize=5, linewidth=1.5, label="this model",
    )  # fmt: skip
    lines, labels = axes.get_legend_handles_labels()
    axes.legend(lines, labels, loc="best", frameon=False, labelcolor=INK)
    edges = np.arange(bins) / bins
    below.bar(edges, counts, width=0.92 / bins, align="edge", color=COLOURS[0], alpha=0.55)
    below.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    below.locator_params(axis="y", nbins=3, prune="lower")
    axes.set_xlim(edges[filled[0]], 1.01)
    axes.set_ylim(min(float(edges[filled[0]]), *(e.low for e in accuracy)) - 0.02, 1.02)
    figure.align_ylabels()
    return figure


def learning_rates(
    rates: Sequence[float], losses: Sequence[float], chosen: float, path: Path
) -> Path:
    """Draw the learning-rate finder's losses (nats) over its rates, the chosen one marked."""
    figure, axes = canvas("Learning-rate finder", "learning rate", "loss", size=(6.4, 4.2))
    axes.set_xscale("log")
    axes.tick_params(which="both", length=0)
    axes.plot(rates, losses, color=COLOURS[0], linewidth=1.8)
    axes.axvline(chosen, color=COLOURS[1], linestyle=(0, (4, 3)), linewidth=1.2)
    known = np.isfinite(losses)
    if known.any():
        finite = np.asarray(losses, dtype=float)[known]
        at_chosen = float(np.interp(np.log(chosen), np.log(rates)[known], finite))
        axes.plot([chosen], [at_chosen], "o", color=COLOURS[1], markersize=8)
        # The end of a search diverges by design; it must not flatten the rest.
        low, start = float(finite.min()), float(finite[: max(1, finite.size // 4)].max())
        top = max(start, at_chosen) + (max(start, at_chosen) - low) * 0.6
        axes.set_ylim(low - (top - low) * 0.08, max(top, low + 1e-6))
    axes.annotate(
        f"chosen: {chosen:.2g}", (chosen, 0.96), xycoords=("data", "axes fraction"),
        xytext=(-7, 0), textcoords="offset points", ha="right", va="top", color=COLOURS[1],
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    return save(figure, path)
