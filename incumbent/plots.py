"""What a classifier's evidence looks like: PNG files, for two classes or for a hundred.

Matplotlib's objects are used directly, on the Agg canvas: nothing global, nothing to close.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from incumbent.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    IntArray = NDArray[np.integer[Any]]
    FloatArray = NDArray[np.floating[Any]]

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f3c8d")
"""Okabe and Ito 2008, "Color Universal Design", without black and yellow; two darker tones."""
DPI = 144
MOST_ANNOTATED = 20
"""Classes up to which the cells of a confusion matrix carry their counts."""
MOST_NAMED = 40
"""Classes up to which its axes name every class."""
LONGEST_NAME = 18
"""Characters of a class name that are shown."""


def draw(
    truth: IntArray,
    probabilities: FloatArray,
    classes: Sequence[str],
    folder: Path,
    bins: int,
) -> dict[str, Path]:
    """Draw all plots of probabilities (n, n_classes) against true class indices (n,).

    Returns:
        The PNG files, by name: confusion_matrix, roc, precision_recall and reliability.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "confusion_matrix": confusion_matrix(truth, probabilities, classes),
        "roc": roc(truth, probabilities, classes),
        "precision_recall": precision_recall(truth, probabilities, classes),
        "reliability": reliability(truth, probabilities, bins),
    }
    return {name: _save(figure, folder / f"{name}.png") for name, figure in figures.items()}


def confusion_matrix(truth: IntArray, probabilities: FloatArray, classes: Sequence[str]) -> Figure:
    """Rows by true and predicted class, shaded by the share of the true class."""
    k = len(classes)
    predicted = probabilities.argmax(axis=1)
    counts = np.bincount(truth * k + predicted, minlength=k * k).reshape(k, k)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(3.6 + 0.45 * k, 4.8, 10))
    figure, axes = _canvas("Confusion matrix", "predicted", "true", size=(side + 1.2, side))
    axes.grid(visible=False)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
    bar.set_label("share of the true class", color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, colors=INK)
    if k <= MOST_NAMED:
        names = [_short(name) for name in classes]
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


def roc(truth: IntArray, probabilities: FloatArray, classes: Sequence[str]) -> Figure:
    """Receiver operating characteristic: each class, or their averages when there are many."""
    from sklearn.metrics import roc_auc_score, roc_curve

    def points(own: IntArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        x, y, _ = roc_curve(own, scores)
        return x, y

    figure, axes = _canvas("ROC curve", "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 4)), linewidth=1)
    _draw_curves(axes, points, np.interp, roc_auc_score, truth, probabilities, classes)
    _finish_curves(axes, "area under the curve", "lower right")
    return figure


def precision_recall(truth: IntArray, probabilities: FloatArray, classes: Sequence[str]) -> Figure:
    """Precision against recall: each class, or their averages when there are many."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    def points(own: IntArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        precision, recall, _ = precision_recall_curve(own, scores)
        return recall[::-1], precision[::-1]

    def step(grid: FloatArray, recall: FloatArray, precision: FloatArray) -> FloatArray:
        # Precision does not change linearly with recall (Davis and Goadrich 2006, ICML).
        return precision[np.searchsorted(recall, grid)]

    figure, axes = _canvas("Precision and recall", "recall", "precision")
    _draw_curves(axes, points, step, average_precision_score, truth, probabilities, classes)
    _finish_curves(axes, "average precision", "lower left")
    return figure


def reliability(truth: IntArray, probabilities: FloatArray, bins: int) -> Figure:
    """Accuracy (with Wilson's 95 % interval) against confidence, over the rows in each bin."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
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
    error = float(counts[filled] @ np.abs(values - means)) / len(truth)

    figure = _figure((5.6, 5.4))
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    _style(axes, f"Reliability (expected calibration error {error:.3f})", "", "accuracy")
    _style(below, "", "confidence (probability of the predicted class)", "rows")
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
    figure, axes = _canvas("Learning-rate finder", "learning rate", "loss", size=(6.4, 4.2))
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
    return _save(figure, path)


def _draw_curves(
    axes: Axes,
    points: Callable[[IntArray, FloatArray], tuple[FloatArray, FloatArray]],
    interpolate: Callable[[FloatArray, FloatArray, FloatArray], FloatArray],
    area: Callable[[IntArray, FloatArray], float],
    truth: IntArray,
    probabilities: FloatArray,
    classes: Sequence[str],
) -> None:
    """One labelled curve a class; beyond `COLOURS`, faint ones under micro and macro averages.

    With two classes only the second is drawn; a class without rows, or without others, is not.
    """
    labels = [1] if len(classes) == 2 else list(range(len(classes)))
    own = truth[:, None] == np.arange(len(classes))
    shown = [label for label in labels if 0 < np.count_nonzero(own[:, label]) < len(truth)]
    if not shown:
        axes.text(0.5, 0.5, "all rows are of one class", ha="center", color=MUTED)
        return
    many = len(shown) > len(COLOURS)
    curves = [points(own[:, label], probabilities[:, label]) for label in shown]
    areas = [area(own[:, label], probabilities[:, label]) for label in shown]
    for index, (label, (x, y)) in enumerate(zip(shown, curves, strict=True)):
        if many:
            axes.plot(x, y, color=MUTED, linewidth=0.6, alpha=0.3)
        else:
            name = f"{areas[index]:.3f}  {_short(classes[label])}"
            axes.plot(x, y, color=COLOURS[index], linewidth=1.8, label=name)
    if many:
        flat, scores = own[:, shown].ravel(), probabilities[:, shown].ravel()
        grid = np.linspace(0, 1, 501)
        macro = np.mean([interpolate(grid, x, y) for x, y in curves], axis=0)
        micro = f"{area(flat, scores):.3f}  micro average"
        axes.plot(*points(flat, scores), color=COLOURS[0], linewidth=2, label=micro)
        label_macro = f"{np.mean(areas):.3f}  macro average of {len(shown)} classes"
        axes.plot(grid, macro, color=COLOURS[1], linewidth=2, label=label_macro)


def _finish_curves(
    axes: Axes, legend_title: str, place: Literal["lower right", "lower left"]
) -> None:
    """Equal scales from 0 to 1, and a legend if there are curves."""
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.02)
    axes.set_aspect("equal")
    lines, labels = axes.get_legend_handles_labels()
    if lines:
        legend = axes.legend(
            lines, labels, loc=place, title=legend_title, framealpha=0.9, edgecolor="none",
            labelcolor=INK, fontsize=9, title_fontsize=9, alignment="left",
        )  # fmt: skip
        legend.get_title().set_color(MUTED)


def _figure(size: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    return figure


def _canvas(
    title: str, x: str, y: str, size: tuple[float, float] = (5.6, 5.4)
) -> tuple[Figure, Axes]:
    """A figure (inches) with one styled pair of axes."""
    figure = _figure(size)
    axes = figure.subplots()
    _style(axes, title, x, y)
    return figure, axes


def _style(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", color=INK, fontsize=12, fontweight="bold", pad=10)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(which="both", colors=INK, length=0)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def _short(name: str) -> str:
    """A class name as Matplotlib may show it: not too long, and no mathematics."""
    shown = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
    return shown.replace("$", r"\$")


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, format="png")
    return path
