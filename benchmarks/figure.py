"""The picture of `benchmarks/promotion.py`: what each rule lets in, against what it gains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from incumbent.evaluation.figure_style import COLOURS, INK, MUTED, canvas, save


def draw(found: dict[str, Any], path: Path) -> Path:
    """Draw each rule's mean true gain after a year against how often an equal model got in."""
    title = f"A year of weekly retrainings, {found['years']:,} times over"
    figure, axes = canvas(
        title, "an equal model takes the title (share of years)",
        "true accuracy gained in the year (points)", size=(10.5, 5.2),
    )  # fmt: skip
    for index, (name, row) in enumerate(found["rules"].items()):
        ours = name.startswith("incumbent")
        bad = row["worse_takes_title"]
        label = f"{chr(ord('A') + index)}  {name}: a worse one in {bad:.0%} of years"
        x, y = row["equal_takes_title"], row["gain_after_a_year"]
        colour = COLOURS[0] if ours else COLOURS[1]
        axes.plot([x], [y], "o" if ours else "s", color=colour, markersize=9, label=label)
        axes.annotate(chr(ord("A") + index), (x, y), (7, 5), textcoords="offset points", color=INK)
    axes.axvline(0.10, color=MUTED, linestyle=":", linewidth=1)
    axes.annotate("target", (0.10, axes.get_ylim()[0]), (4, 6), textcoords="offset points",
                  color=MUTED, fontsize=9)  # fmt: skip
    axes.set_xlim(-0.03, 1.06)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.legend(
        frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=1
    )
    return save(figure, path)
