"""The benchmarks as people read them: a table, and docs/performance.md with a picture."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT

PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "images" / "performance.png"
_HEAD = ("what", "against", "incumbent", "peer", "ratio", "target", "met", "spread")
_VECTORS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_vnni": "VNNI", "amx_int8": "AMX"}
"""What decides how quick float32 and int8 are, by the flags of /proc/cpuinfo."""

Rows = Sequence[dict[str, Any]]


def table(rows: Rows) -> str:
    """The rows as a markdown table."""
    lines = [_joined(_HEAD), _joined(["---"] * len(_HEAD))]
    return "\n".join([*lines, *map(line, rows)])


def line(row: dict[str, Any]) -> str:
    """One row of that table."""
    unit = row["unit"]
    alone = row["ours"] is None
    target = row["target"]
    return _joined(
        (
            row["name"],
            "" if alone else row["peer"],
            f"{row['ratio']:.3g} {unit}".strip() if alone else f"{row['ours']:.3g} {unit}",
            "" if alone else f"{row['theirs']:.3g} {unit}",
            "" if alone else f"{row['ratio']:.2f} ×",
            "" if target is None else f"{'≤' if row['at_most'] else '≥'} {target:g}",
            "" if target is None else ("yes" if row["met"] else f"no, {missed(row)}"),
            f"{row['spread']:.0%}",
        )
    )


def missed(row: dict[str, Any]) -> str:
    """By how much a row misses its target, as a share of it."""
    share = row["ratio"] / row["target"] - 1
    return f"by {abs(share):.0%}"


def machine() -> str:
    """This machine in one sentence: what counts for speed, and nothing that names it."""
    about = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    cpu = re.search(r"model name\s*:\s*(.+)", about)
    vectors = [name for flag, name in _VECTORS.items() if re.search(rf"\b{flag}\b", about)]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores of {cpu[1] if cpu else platform.machine()} "
        f"({', '.join(vectors) or 'no vectors known'}), {memory:.0f} GiB of memory, no GPU, "
        f"{platform.system()}, Python {platform.python_version()}"
    )


def write(rows: Rows) -> None:
    """Write the page, keeping what stands under its last heading, and draw the picture."""
    drawn = draw(rows, PICTURE)
    why = PAGE.read_text(encoding="utf-8").partition("\n## Why\n")[2] if PAGE.is_file() else ""
    PAGE.write_text(page(rows, machine(), drawn, why), encoding="utf-8")


def page(rows: Rows, where: str, drawn: bool, why: str) -> str:
    """The page as text; `why` is what people wrote about the rows, kept from the last time."""
    notes = [f"- {row['name']}, {row['peer']}: {row['note']}" for row in rows if row["note"]]
    picture = "![Cost against size](images/performance.png)\n\n" if drawn else ""
    return (
        "# Performance\n\n"
        "Written by `make bench ARGS=--docs`. Each contender runs in turn on the same rows, with "
        "the same weights;\nthe ratio is the median of the pairs' ratios, its spread the largest "
        "less the smallest over the median.\n\n"
        f"Measured on {where}.\n\n{table(rows)}\n\n{picture}"
        "What each was measured on:\n\n" + "\n".join(notes) + f"\n\n## Why\n{why}"
    )


def draw(rows: Rows, path: Path) -> bool:
    """Draw the rows that were measured at several sizes, if there are any, into a PNG file."""
    from incumbent.evaluation.plots import COLOURS, canvas, save

    grown = [row for row in rows if row["sizes"]]
    if not grown:
        return False
    figure, axes = canvas(
        "Cost against size", "reviews", "seconds, or GiB of memory", size=(8.0, 4.5)
    )
    for colour, row in zip(COLOURS, grown, strict=False):
        sizes, costs = zip(*row["sizes"], strict=True)
        axes.loglog(sizes, costs, "o-", color=colour, label=row["name"])
    axes.legend(frameon=False, fontsize=9)
    save(figure, path)
    return True


def _joined(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
