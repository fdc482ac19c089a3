"""ROC and precision-recall curves, of each class or label, or averaged when there are many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from incumbent.evaluation.figure_style import COLOURS, INK, MUTED, canvas, short
from incumbent.evaluation.metric_formulas import ranked
from incumbent.evaluation.scored_predictions import Scored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    BoolArray = NDArray[np.bool_]
    FloatArray = NDArray[np.floating[Any]]


def roc(truth: NDArray[Any], probabilities: FloatArray, classes: Sequence[str]) -> Figure:
    """Receiver operating characteristic: each class, or their averages when there are many."""
    from sklearn.metrics import roc_auc_score, roc_curve

    def points(own: BoolArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        x, y, _ = roc_curve(own, scores)
        return x, y

    figure, axes = canvas("ROC curve", "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 4)), linewidth=1)
    _draw_curves(axes, points, np.interp, roc_auc_score, truth, probabilities, classes)
    _finish_curves(axes, "area under the curve", "lower right")
    return figure


def precision_recall(
    truth: NDArray[Any], probabilities: FloatArray, classes: Sequence[str]
) -> Figure:
    """Precision against recall: each class, or their averages when there are many."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    def points(own: BoolArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
        precision, recall, _ = precision_recall_curve(own, scores)
        return recall[::-1], precision[::-1]

    def step(grid: FloatArray, recall: FloatArray, precision: FloatArray) -> FloatArray:
        # Precision does not change linearly with recall (Davis and Goadrich 2006, ICML).
        return precision[np.searchsorted(recall, grid)]

    figure, axes = canvas("Precision and recall", "recall", "precision")
    _draw_curves(axes, points, step, average_precision_score, truth, probabilities, classes)
    _finish_curves(axes, "average precision", "lower left")
    return figure


def _draw_curves(
    axes: Axes,
    points: Callable[[BoolArray, FloatArray], tuple[FloatArray, FloatArray]],
    interpolate: Callable[[FloatArray, FloatArray, FloatArray], FloatArray],
    area: Callable[[BoolArray, FloatArray], float],
    truth: NDArray[Any],
    probabilities: FloatArray,
    classes: Sequence[str],
) -> None:
    """One labelled curve a class; beyond `COLOURS`, faint ones under micro and macro averages.

    With two classes only the second is drawn; a class without rows, or without others, is not.
    """
    scored = Scored(truth, probabilities)
    own, shown = scored.labels, ranked(scored)
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
            name = f"{areas[index]:.3f}  {short(classes[label])}"
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
