"""The picture of `benchmarks/promotion.py`: what each rule lets in, against what it gains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from incumbent.evaluation.figure_style import COLOURS, INK, MUTED, canvas, save


def draw(found: list[dict[str, Any]], years: int, path: Path) -> Path:
    """Draw each rule's mean true gain after a year against how often an equal model got in."""
    title = f"A year of weekly retrainings, {years:,} times over"
    value = {(r["world"], r["rule"], r["figure"]): r["value"] for r in found}
    scattered = "scattered by 0.6 points, 5,000 rows, 52 weeks"
    equal = "all equal, 5,000 rows, 52 weeks"
    gain = "gain after a year, points"
    names = [r["rule"] for r in found if (r["world"], r["figure"]) == (scattered, gain)]
    figure, axes = canvas(
        title, "an equal model takes the title (share of years)",
        "true accuracy gained in the year (points)", size=(10.5, 5.2),
    )  # fmt: skip
    for index, name in enumerate(names):
        ours = name.startswith("incumbent")
        bad = value[scattered, name, "a worse model takes the title"]
        label = f"{chr(ord('A') + index)}  {name}: a worse one in {bad:.0%} of years"
        x, y = value[equal, name, "takes the title"], value[scattered, name, gain]
        colour = COLOURS[0] if ours else COLOURS[1]
        axes.plot([x], [y], "o" if ours else "s", color=colour, markersize=9, label=label)
        axes.annotate(chr(ord("A") + index), (x, y), (7, 5), textcoords="offset points", color=INK)
    axes.axvline(0.10, color=MUTED, linestyle=":", linewidth=1)
    axes.annotate("target", (0.10, axes.get_ylim()[0]), (4, 6), textcoords="offset points",
                  color=MUTED, fontsize=9)  # fmt: skip
    axes.set_xlim(-0.03, 1.06)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.legend(
        frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=1
    )
    return save(figure, path)
