"""The pictures of a sweep: which keys mattered, and which values went with which loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from incumbent.evaluation.figure_style import COLOURS, GRID, INK, canvas, save, short
from incumbent.sweeps.search_space import Choices, Range, SearchSpace, numbers_of
from incumbent.sweeps.shared_study import Trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEAST = 2  # trials, for one to differ from another
_TICKS = 5  # of an axis of numbers


def draw(
    trials: Sequence[Trial], importances: Mapping[str, float], space: SearchSpace, folder: Path
) -> dict[str, Path]:
    """Draw what can be drawn of trials that were trained to their end.

    Returns:
        The PNG files, by name: sweep_parallel_coordinates and sweep_importances.
    """
    if len(trials) < _LEAST:
        return {}
    figures = {"sweep_parallel_coordinates": parallel_coordinates(trials, space)}
    if importances:
        figures["sweep_importances"] = importance_bars(importances)
    folder.mkdir(parents=True, exist_ok=True)
    return {name: save(figure, folder / f"{name}.png") for name, figure in figures.items()}


def importance_bars(importances: Mapping[str, float]) -> Figure:
    """A bar for each key, the most important on top."""
    ordered = sorted(importances.items(), key=lambda item: item[1])
    height = float(np.clip(1.6 + 0.4 * len(ordered), 2.6, 10))
    figure, axes = canvas("Importance", "share (PED-ANOVA)", "", size=(6.4, height))
    axes.grid(visible=False, axis="y")
    axes.barh(range(len(ordered)), [share for _, share in ordered], color=COLOURS[0], height=0.6)
    axes.set_yticks(range(len(ordered)), [key for key, _ in ordered])
    axes.set_xlim(0, 1)
    return figure


def parallel_coordinates(trials: Sequence[Trial], space: SearchSpace) -> Figure:
    """A line for each trial across one axis a key, to its loss; the best one stands out."""
    keys = list(space.parts)
    width = float(np.clip(2.2 + 1.7 * len(keys), 5.6, 16))
    figure, axes = canvas("Trials", "", "", size=(width, 4.8))
    axes.grid(visible=False)
    axes.set_yticks([])
    losses = np.array([trial.loss for trial in trials])
    low, high = float(losses.min()), float(losses.max())
    room = (high - low) or 1.0
    scales = [
        (_Scale.of(key, space.parts[key]), [trial.values[key] for trial in trials]) for key in keys
    ]
    columns = [[scale.height(value) for value in values] for scale, values in scales]
    columns.append([(loss - low) / room for loss in losses])
    lines = np.array(columns).T  # (trials, axes)
    best = int(losses.argmin())
    for index in np.argsort(-losses):
        ours = index == best
        axes.plot(
            lines[index], color=COLOURS[1] if ours else COLOURS[0],
            alpha=1.0 if ours else 0.15 + 0.6 * (1 - lines[index, -1]),
            linewidth=2.4 if ours else 1.2, zorder=3 if ours else 2,
        )  # fmt: skip
    ends = [(height, f"{low + height * room:.4f}") for height in (0.0, 1.0)]
    for place, ticks in enumerate([*(scale.ticks() for scale, _ in scales), ends]):
        axes.axvline(place, color=GRID, linewidth=1.2, zorder=1)
        for height, text in ticks:
            axes.annotate(
                text, (place, height), xytext=(4, 0), textcoords="offset points", va="center",
                color=INK, fontsize=8, zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.6},
            )  # fmt: skip
    names = [key.replace(".", ".\n") for key in keys]
    axes.set_xticks(range(len(keys) + 1), [*names, "held-out\nlog loss"])
    axes.set_xlim(-0.2, len(keys) + 0.5)
    axes.set_ylim(-0.06, 1.06)
    return figure


class _Scale:
    """Where on an axis, from 0 to 1, a value of a key stands."""

    def __init__(
        self, ends: Sequence[Any], values: Sequence[Any] | None, log: bool, whole: bool
    ) -> None:
        self._values, self._log, self._whole = values, log, whole
        self._low, self._high = (math.log(end) if log else end for end in ends)

    @classmethod
    def of(cls, key: str, part: Range | Choices) -> _Scale:
        if isinstance(part, Choices):
            return cls((0, len(part.choices) - 1), part.choices, log=False, whole=False)
        return cls((part.low, part.high), None, part.log, float not in numbers_of(key))

    def height(self, value: Any) -> float:
        if self._values is not None:
            value = self._values.index(value)
        place = math.log(value) if self._log else value
        room = self._high - self._low
        return float((place - self._low) / room) if room else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        if self._values is not None:
            return [(self.height(value), short(str(value))) for value in self._values]
        places = np.linspace(self._low, self._high, _TICKS if self._high > self._low else 1)
        numbers = [math.exp(place) if self._log else float(place) for place in places]
        if self._whole:
            numbers = sorted({float(round(number)) for number in numbers})
        return [(self.height(number), f"{number:.3g}") for number in numbers]
