"""Plot the champions' accuracy over time, with every challenger that did not win."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from incumbent.evaluation.figure_style import COLOURS, GRID, MUTED, canvas, save, short
from incumbent.evaluation.wilson_and_bootstrap import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from incumbent.title.ledger import Entry

_OUT = ("kept", "rejected", "waiting")
_MARGIN = 0.05  # of the time shown, at either end
_HALF_A_DAY = 0.5  # the margin around a single moment: Matplotlib counts in days
_HALO = 2.5  # points of white around a label, which may lie over dots and lines


def draw(entries: Sequence[Entry], path: Path, name: str) -> Path:
    """Draw the ledger of a model into a PNG file.

    A line is the champion's accuracy, the band around it the interval that it was promoted with;
    it begins anew with each reign, as accuracies on different test sets do not compare. Dots are
    challengers that were kept out.
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
    from matplotlib.ticker import PercentFormatter

    title = f"{short(name)}: accuracy on the frozen test set"
    figure, axes = canvas(title, "", "accuracy", size=(9, 4.5))
    if not entries:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no decisions yet", color=MUTED, ha="center", va="center")
        return save(figure, path)
    moments = [datetime.fromisoformat(entry.time) for entry in entries]
    times: list[float] = [date2num(moment) for moment in moments]  # type: ignore[no-untyped-call]
    margin = _MARGIN * (times[-1] - times[0]) or _HALF_A_DAY
    axes.set_xlim(times[0] - margin, times[-1] + margin)
    _champions(axes, entries, [*times, times[-1] + margin])
    _challengers(axes, entries, times)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, labelcolor=MUTED)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    return save(figure, path)


def _champions(axes: Axes, entries: Sequence[Entry], times: Sequence[float]) -> None:
    """The line of the champions; `times` has one more at its end, up to which the last is drawn."""
    known, level = _measured(entries), 0.0
    renewed = [time for entry, time in zip(entries, times, strict=False) if entry.new_reign]
    for index, time in enumerate(renewed):
        axes.axvline(
            time, color=COLOURS[1], linewidth=1.2, linestyle="--", zorder=1,
            label="" if index else "a new reign: another test set",
        )  # fmt: skip
    spans = zip(entries, times, times[1:], strict=False)
    for (champion, reign), stretch in groupby(spans, lambda s: (s[0].champion, s[0].reign)):
        spent = list(stretch)
        (entry, start, _), end = spent[0], spent[-1][2]
        if champion is None:
            continue
        held = known.get((champion, reign))
        label = f"v{champion}" + (" (back)" if entry.decision == "rolled back" else "")
        _mark(axes, start, held, label, above=held is not None and held.value >= level)
        if held is not None:
            axes.fill_between([start, end], held.low, held.high, color=COLOURS[0], alpha=0.15, lw=0)
            axes.plot([start, end], [held.value] * 2, color=COLOURS[0], linewidth=2)
            level = held.value


def _mark(axes: Axes, time: float, held: Estimate | None, label: str, above: bool) -> None:
    """Where a champion begins; lower than the one before it, its name is below the line."""
    from matplotlib.patheffects import withStroke

    axes.axvline(time, color=GRID, linewidth=1, zorder=0)
    if held is None:  # never measured on this test set
        axes.annotate(
            label, (time, 0), (6, 6), xycoords=("data", "axes fraction"),
            textcoords="offset points", color=COLOURS[0], fontsize=9,
        )  # fmt: skip
        return
    axes.errorbar(
        [time], [held.value], [[held.value - held.low], [held.high - held.value]],
        color=COLOURS[0], fmt="o", capsize=3,
    )  # fmt: skip
    axes.annotate(
        label, (time, held.value), (6, 6 if above else -6), textcoords="offset points",
        color=COLOURS[0], fontsize=9, va="bottom" if above else "top",
        path_effects=[withStroke(linewidth=_HALO, foreground="white")],
    )  # fmt: skip


def _challengers(axes: Axes, entries: Sequence[Entry], times: Sequence[float]) -> None:
    approved = {entry.version for entry in entries if entry.decision == "approved"}
    out = [
        (time, entry.accuracy["value"])
        for time, entry in zip(times, entries, strict=True)
        if entry.decision in _OUT and entry.version not in approved and entry.accuracy
    ]
    if out:
        axes.plot(
            *zip(*out, strict=True), "o", color=MUTED, markersize=4,
            label="challengers that did not take the title",
        )  # fmt: skip


def _measured(entries: Sequence[Entry]) -> Mapping[tuple[int, int], Estimate]:
    """The accuracy of each version on the test set of each reign that it was measured on.

    Of a champion that was scored on a later one only the value is known.
    """
    found: dict[tuple[int, int], Estimate] = {}
    for entry in entries:
        value = entry.champion_accuracy
        if value is not None and entry.previous_champion is not None:
            again = Estimate(value=value, low=value, high=value)
            found.setdefault((entry.previous_champion, entry.reign), again)
        if entry.accuracy:
            found[entry.version, entry.reign] = Estimate(**entry.accuracy)
    return found
