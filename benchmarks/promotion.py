"""Who takes the title in a year of weekly retrainings, by incumbent's rules and by others'.

    python benchmarks/promotion.py [--years N] [--json] [--figure FILE]

Simulated, because only there the true accuracy of every model is known: see `benchmarks/world.py`.
`docs/promotion.md` explains the table that it prints.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from numpy.typing import NDArray

from benchmarks import rules
from benchmarks.world import World
from incumbent.config import PromotionConfig

WEEKS = 52
SCATTER = 0.006  # of the challengers' true accuracies, one standard deviation
WORSE = 0.005  # a loss of accuracy that counts
RULES: dict[str, rules.Year] = {
    "always the latest": rules.latest,
    "accuracy of 80 % or more": rules.threshold(0.80),
    "no more than 1 point below, same rows": rules.tolerance(0.01),
    ">= stored score, rows drawn anew": rules.stored,
    ">= on the same rows": rules.same_rows,
    "McNemar at 0.05 every week": rules.weekly_mcnemar(0.05),
    "incumbent, metric: accuracy": rules.Incumbent(PromotionConfig(metric="accuracy")),
    "incumbent, policy: non_inferiority": rules.Incumbent(
        PromotionConfig(policy="non_inferiority")
    ),
    "incumbent (default)": rules.Incumbent(),
}
OURS, PEER = "incumbent (default)", ">= on the same rows"


@dataclass(frozen=True)
class Scenario:
    """A year: the true accuracies of its challengers less the first champion's (fractions)."""

    mean: float
    scatter: float
    weeks: int
    rows: int

    def accuracies(self, rng: np.random.Generator, start: float) -> NDArray[np.float64]:
        """True accuracies (1 + weeks,), the first champion's first."""
        gains = self.mean + self.scatter * rng.standard_normal(self.weeks)
        return start + np.concatenate([[0.0], gains])


def year(seed: int, scenario: Scenario, world: World, names: tuple[str, ...]) -> dict[str, Any]:
    """One year under each rule: the true accuracies of whoever was champion, week by week."""
    rng = np.random.default_rng([seed, scenario.rows])
    truth = scenario.accuracies(rng, world.accuracy)
    drawn = world.draw(rng, scenario.rows, truth)
    redrawn = rng.binomial(scenario.rows, truth) / scenario.rows
    found = {}
    for name in names:
        held = [0, *RULES[name](drawn, redrawn)]
        path = truth[held] - world.accuracy
        steps = np.diff(path)[np.diff(held) != 0]
        found[name] = {
            "took": len(steps) > 0,
            "worse": bool((steps <= -WORSE + 1e-12).any()),
            "gain": float(path[-1]),
            "below": bool(path[-1] < -1e-12),
        }
    return found


def simulate(
    scenario: Scenario, years: int, pool: ProcessPoolExecutor, names: tuple[str, ...], seed: int
) -> dict[str, dict[str, float]]:
    """Shares and means over many years, by rule."""
    one = partial(year, scenario=scenario, world=World(), names=names)
    results = list(pool.map(one, range(seed, seed + years), chunksize=max(1, years // 64)))
    return {
        name: {
            key: float(np.mean([result[name][key] for result in results]))
            for key in ("took", "worse", "gain", "below")
        }
        for name in names
    }


def run(years: int) -> dict[str, Any]:
    """All scenarios; shares are fractions, gains points."""
    every = tuple(RULES)
    found: dict[str, Any] = {"years": years, "rules": {}}
    with ProcessPoolExecutor() as pool:

        def go(name: str, mean: float, scatter: float, weeks: int, rows: int) -> dict[str, Any]:
            size = years if rows <= 5000 else max(1, years // 5)
            scenario = Scenario(mean, scatter, weeks, rows)
            print(f"{name}, {rows:,} rows ...", file=sys.stderr)
            return simulate(scenario, size, pool, every, seed=hash_of(name))

        scattered = go("scattered by 0.6 points", 0.0, SCATTER, WEEKS, 5000)
        equal = go("all equal", 0.0, 0.0, WEEKS, 5000)
        worse = go("all worse by 0.5 points", -WORSE, 0.0, WEEKS, 5000)
        better = {
            f"{gain}_{rows}": go(f"better by {gain} points, 2 tries", gain / 100, 0.0, 2, rows)
            for gain in (1, 2)
            for rows in (1000, 5000, 25000)
        }
        sizes = {
            rows: go("scattered by 0.6 points", 0.0, SCATTER, WEEKS, rows) for rows in (1000, 25000)
        }
    sizes[5000] = scattered
    for name in every:
        found["rules"][name] = {
            "worse_takes_title": max(scattered[name]["worse"], worse[name]["worse"]),
            "worse_takes_title_scattered": scattered[name]["worse"],
            "worse_takes_title_all_worse": worse[name]["worse"],
            "equal_takes_title": equal[name]["took"],
            "gain_after_a_year": 100 * scattered[name]["gain"],
            "below_start": scattered[name]["below"],
            "better_takes_title": {key: rates[name]["took"] for key, rates in better.items()},
            "gain_by_rows": {str(rows): 100 * sizes[rows][name]["gain"] for rows in sorted(sizes)},
        }
    ours, peer = found["rules"][OURS], found["rules"][PEER]
    share = ours["gain_after_a_year"] / peer["gain_after_a_year"]
    found["targets"] = [
        target("a truly worse model takes the title", ours["worse_takes_title"], 0.05, "at most"),
        target("an equal model takes the title", ours["equal_takes_title"], 0.10, "at most"),
        target(
            "a model better by 2 points takes it within two tries",
            ours["better_takes_title"]["2_5000"], 0.90, "at least",
        ),
        target("no worse than at the start of the year", 1 - ours["below_start"], 0.95, "at least"),
        target("mean gain, as a share of `>=` on the same rows", share, 0.90, "at least"),
    ]  # fmt: skip
    return found


def target(name: str, value: float, bound: float, side: str) -> dict[str, Any]:
    """A figure, what was wanted of it, and whether it is so."""
    met = value <= bound if side == "at most" else value >= bound
    return {"name": name, "value": value, "target": bound, "side": side, "met": met}


def hash_of(name: str) -> int:
    """A seed from a name, the same in every process."""
    return zlib.crc32(name.encode()) % 2**31


def table(found: dict[str, Any]) -> str:
    """The results in markdown."""
    lines = [
        "| rule | a worse model takes the title | an equal one does | better by 1 point does, "
        "1,000 / 5,000 / 25,000 rows | better by 2 points does | true gain after a year | below "
        "the start |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in found["rules"].items():
        better = row["better_takes_title"]
        one, two = (
            " / ".join(f"{better[f'{gain}_{rows}']:.0%}" for rows in (1000, 5000, 25000))
            for gain in (1, 2)
        )
        lines.append(
            f"| {name} | {row['worse_takes_title']:.1%} | {row['equal_takes_title']:.1%} | {one} "
            f"| {two} | {row['gain_after_a_year']:+.2f} points | {row['below_start']:.1%} |"
        )
    lines += ["", "| target | wanted | found | met |", "|---|---|---|---|"]
    for goal in found["targets"]:
        met = "yes" if goal["met"] else "NO"
        lines.append(
            f"| {goal['name']} | {goal['side']} {goal['target']:.0%} | {goal['value']:.1%} "
            f"| {met} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table, or one JSON document; ends with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description="A year of retrainings, by many rules.")
    parser.add_argument("--years", type=int, default=200, help="years to simulate (200)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--figure", type=Path, help="draw the trade-off into this PNG file")
    options = parser.parse_args()
    found = run(options.years)
    print(json.dumps(found, indent=2) if options.json else table(found))
    if options.figure:
        from benchmarks import figure

        figure.draw(found, options.figure)
    sys.exit(0 if all(goal["met"] for goal in found["targets"]) else 1)


if __name__ == "__main__":
    main()
