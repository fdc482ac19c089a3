"""The style of all pictures: colours, axes, size, and how they are saved.

Matplotlib's objects are used directly, on the Agg canvas: nothing global, nothing to close.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f3c8d")
"""Okabe and Ito 2008, "Color Universal Design", without black and yellow; two darker tones."""
DPI = 144
LONGEST_NAME = 18
"""Characters of a class name that are shown."""


def canvas(
    title: str, x: str, y: str, size: tuple[float, float] = (5.6, 5.4)
) -> tuple[Figure, Axes]:
    """A figure (inches) with one styled pair of axes."""
    figure = figure_of(size)
    axes = figure.subplots()
    style(axes, title, x, y)
    return figure, axes


def figure_of(size: tuple[float, float]) -> Figure:
    """An empty figure (inches)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DPI, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    return figure


def style(axes: Axes, title: str, x: str, y: str) -> None:
    """Give axes a title, names, and a quiet look."""
    axes.set_title(title, loc="left", color=INK, fontsize=12, fontweight="bold", pad=10)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(which="both", colors=INK, length=0)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)


def short(name: str) -> str:
    """A class name as Matplotlib may show it: not too long, and no mathematics."""
    shown = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
    return shown.replace("$", r"\$")


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as a PNG file."""
    figure.savefig(path, format="png")
    return path
