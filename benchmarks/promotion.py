"""Who takes the title in a year of retrainings, by incumbent's rules and by others'.

    python benchmarks/promotion.py [--years N] [--world NAME] [--json] [--figure FILE]

Simulated, because only there the true accuracy of every model is known: see `benchmarks/world.py`.
incumbent's rule is the ruling, the ledger's reign and the budget that the flow calls
(`benchmarks/rules.py`). `--json` prints a list of findings: `world`, `rule`, `figure`, its `value`
with an interval of 95 % (`low`, `high`), and the `target` with whether it is `met`, or null.
`docs/promotion.md` explains the tables.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from numpy.typing import NDArray

from benchmarks import class_loss, rules
from benchmarks.world import Drawn, World
from incumbent.config import PromotionConfig
from incumbent.evaluation.wilson_and_bootstrap import wilson

WEEKS, NIGHTS = 52, 365
SCATTER = 0.006  # of the challengers' true accuracies, one standard deviation
WORSE = 0.005  # a loss of accuracy that counts
OURS, PEER = "incumbent (default)", ">= on the same rows"
# What warns and decides nothing; a year is simulated in half the time without it.
_QUIET = {
    f"on_{gate}": "off" for gate in ("one_answer", "calibration", "negative_flips", "slice_loss")
}
RULES: dict[str, rules.Year] = {
    "always the latest": rules.latest,
    "accuracy of 80 % or more": rules.threshold(0.80),
    "no more than 1 point below, same rows": rules.tolerance(0.01),
    ">= stored score, rows drawn anew": rules.stored,
    PEER: rules.same_rows,
    "McNemar at 0.05 every week": rules.weekly_mcnemar(0.05),
    "incumbent, metric: accuracy": rules.Incumbent(
        PromotionConfig.model_validate(_QUIET | {"metric": "accuracy"})
    ),
    "incumbent, policy: non_inferiority": rules.Incumbent(
        PromotionConfig.model_validate(_QUIET | {"policy": "non_inferiority"})
    ),
    OURS: rules.Incumbent(PromotionConfig.model_validate(_QUIET)),
}
NIGHTLY = "incumbent, half_life: 90"
RULES[NIGHTLY] = rules.Incumbent(PromotionConfig.model_validate(_QUIET | {"half_life": 90}))


def _overconfident(drawn: Drawn, rng: np.random.Generator) -> Drawn:
    """The first champion is three times as sure, in log odds, on a third of the rows."""
    return drawn.overconfident(0, rng.random(len(drawn.truth)) < 1 / 3, 3.0)


@dataclass(frozen=True)
class Scenario:
    """A year: the true accuracies of its challengers less the first champion's (fractions).

    `group` and `alike` are as `World.draw` has them; `bent` changes what was drawn.
    """

    mean: float
    scatter: float
    weeks: int
    rows: int
    world: World = field(default_factory=World)
    group: int = 1
    alike: float = 0.0
    bent: Callable[[Drawn, np.random.Generator], Drawn] | None = None

    def accuracies(self, rng: np.random.Generator, start: float) -> NDArray[np.float64]:
        """True accuracies (1 + weeks,), the first champion's first."""
        gains = self.mean + self.scatter * rng.standard_normal(self.weeks)
        return start + np.concatenate([[0.0], gains])


SCATTERED = "scattered by 0.6 points, 5,000 rows, 52 weeks"
EASY = World(accuracy=0.98, disagreement=0.015, sigma=40.0)
WORLDS: dict[str, Scenario] = {
    SCATTERED: Scenario(0.0, SCATTER, WEEKS, 5000),
    "all equal, 5,000 rows, 52 weeks": Scenario(0.0, 0.0, WEEKS, 5000),
    "all worse by 0.5 points, 5,000 rows, 52 weeks": Scenario(-WORSE, 0.0, WEEKS, 5000),
    "better by 2 points, 5,000 rows, 2 tries": Scenario(0.02, 0.0, 2, 5000),
    "better by 1 point, 5,000 rows, 2 tries": Scenario(0.01, 0.0, 2, 5000),
    "better by 3 points, 1,000 rows, 2 tries": Scenario(0.03, 0.0, 2, 1000),
    "better by 2 points, 1,000 rows, 2 tries": Scenario(0.02, 0.0, 2, 1000),
    "better by 1 point, 25,000 rows, 2 tries": Scenario(0.01, 0.0, 2, 25000),
    "all equal, 1,000 rows, 365 nights": Scenario(0.0, 0.0, NIGHTS, 1000),
    "better probabilities, worse by 0.5 points, 5,000 rows, 52 weeks": Scenario(
        -WORSE, 0.0, WEEKS, 5000, bent=_overconfident
    ),
    "all equal, 2,000 rows in groups of 10, 52 weeks": Scenario(
        0.0, 0.0, WEEKS, 2000, group=10, alike=0.9
    ),
    "all equal, accuracy of 98 %, 300 rows, 52 weeks": Scenario(0.0, 0.0, WEEKS, 300, world=EASY),
}
HARD = tuple(WORLDS)[-4:]
"""Worlds that are for incumbent and its peer alone."""
CLASS = "a class of 120 loses 30 points, 4,000 rows"
TARGETS: dict[tuple[str, str], tuple[str, float]] = {
    (SCATTERED, "a worse model takes the title"): ("at most", 0.05),
    (SCATTERED, "no worse than at the start"): ("at least", 0.95),
    (SCATTERED, "gain, as a share of that of >="): ("at least", 0.90),
    ("all worse by 0.5 points, 5,000 rows, 52 weeks", "takes the title"): ("at most", 0.05),
    ("all equal, 5,000 rows, 52 weeks", "takes the title"): ("at most", 0.10),
    ("better by 2 points, 5,000 rows, 2 tries", "takes the title"): ("at least", 0.90),
    ("all equal, 1,000 rows, 365 nights", "takes the title"): ("at most", 0.10),
    ("better probabilities, worse by 0.5 points, 5,000 rows, 52 weeks", "takes the title"): (
        "at most", 0.05,
    ),
    ("all equal, 2,000 rows in groups of 10, 52 weeks", "takes the title"): ("at most", 0.10),
    ("all equal, accuracy of 98 %, 300 rows, 52 weeks", "takes the title"): ("at most", 0.10),
    (CLASS, "is noticed"): ("at least", 1.0),
}  # fmt: skip
"""Of incumbent with its defaults (of 365 nights with `half_life: 90`): a figure of a world."""


def year(seed: int, scenario: Scenario, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """One year under each rule: who was champion, by the true accuracies."""
    rng = np.random.default_rng([seed, scenario.rows])
    world = scenario.world
    truth = scenario.accuracies(rng, world.accuracy)
    drawn = world.draw(rng, scenario.rows, truth, scenario.group, scenario.alike)
    redrawn = rng.binomial(scenario.rows, truth) / scenario.rows
    if scenario.bent:
        drawn = scenario.bent(drawn, rng)
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


def findings(world: str, years: int, pool: ProcessPoolExecutor) -> Iterator[dict[str, Any]]:
    """What became of a world under each rule, figure by figure."""
    if world == CLASS:
        noticed = list(pool.map(class_loss.noticed, range(years)))
        yield _share(world, OURS, "is noticed", noticed)
        return
    scenario = WORLDS[world]
    names = tuple(name for name in RULES if name != NIGHTLY)
    if world in HARD:
        names = (PEER, NIGHTLY if scenario.weeks == NIGHTS else OURS)
    one = partial(year, scenario=scenario, names=names)
    seeds = range(hash_of(world), hash_of(world) + years)
    results = list(pool.map(one, seeds, chunksize=max(1, years // 32)))
    for name in names:
        mine = [result[name] for result in results]
        yield _share(world, name, "takes the title", [row["took"] for row in mine])
        if scenario.scatter:
            yield _share(world, name, "a worse model takes the title", [r["worse"] for r in mine])
            yield _share(world, name, "no worse than at the start", [not r["below"] for r in mine])
            gains = np.array([row["gain"] for row in mine])
            peers = np.array([result[PEER]["gain"] for result in results])
            yield _mean(world, name, "gain after a year, points", 100 * gains, np.ones(years))
            yield _mean(world, name, "gain, as a share of that of >=", gains, peers)


def _share(world: str, rule: str, figure: str, said: list[bool]) -> dict[str, Any]:
    found = wilson(sum(said), len(said), 0.95)
    return _finding(world, rule, figure, found.value, found.low, found.high)


def _mean(
    world: str, rule: str, figure: str, over: NDArray[np.float64], under: NDArray[np.float64]
) -> dict[str, Any]:
    """The ratio of two means over the same years, with its bootstrap interval."""
    draws = np.random.default_rng(0).integers(0, len(over), (2000, len(over)))
    ratios = over[draws].mean(axis=1) / under[draws].mean(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return _finding(world, rule, figure, over.mean() / under.mean(), low, high)


def _finding(
    world: str, rule: str, figure: str, value: float, low: float, high: float
) -> dict[str, Any]:
    side, target = TARGETS.get((world, figure), ("", None))
    if rule not in (OURS, NIGHTLY):
        target = None
    met = None if target is None else (value <= target if side == "at most" else value >= target)
    return {
        "world": world, "rule": rule, "figure": figure, "value": float(value), "low": float(low),
        "high": float(high), "target": target, "met": None if met is None else bool(met),
    }  # fmt: skip


def hash_of(name: str) -> int:
    """A seed from a name, the same in every process."""
    return zlib.crc32(name.encode()) % 2**31


def tables(found: list[dict[str, Any]]) -> str:
    """The results in markdown: all targets, then all figures."""
    lines = ["| world | figure | wanted | found (95 % interval) | met |", "|---|---|---|---|---|"]
    for row in found:
        if row["target"] is not None:
            side = TARGETS[row["world"], row["figure"]][0]
            lines.append(
                f"| {row['world']} | {row['figure']} | {side} {row['target']:.0%} "
                f"| {_shown(row)} | {'yes' if row['met'] else 'NO'} |"
            )
    lines += ["", "| world | rule | figure | found (95 % interval) |", "|---|---|---|---|"]
    lines += [
        f"| {row['world']} | {row['rule']} | {row['figure']} | {_shown(row)} |" for row in found
    ]
    return "\n".join(lines)


def _shown(row: dict[str, Any]) -> str:
    kind = "+.2f" if "points" in row["figure"] else ".1%"
    value, low, high = (format(row[key], kind) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def main() -> None:
    """Print the tables, or one JSON document; ends with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description="A year of retrainings, by many rules.")
    parser.add_argument("--years", type=int, default=200, help="years to simulate (200)")
    parser.add_argument("--world", default="", help="only the worlds whose name has this in it")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--figure", type=Path, help="draw the trade-off into this PNG file")
    options = parser.parse_args()
    chosen = [world for world in (*WORLDS, CLASS) if options.world in world]
    found: list[dict[str, Any]] = []
    with ProcessPoolExecutor() as pool:
        for world in chosen:
            print(f"{world} ...", file=sys.stderr)
            found += findings(world, options.years, pool)
    print(json.dumps(found, indent=2) if options.json else tables(found))
    if options.figure:
        from benchmarks import figure

        figure.draw(found, options.years, options.figure)
    sys.exit(0 if all(row["met"] is not False for row in found) else 1)


if __name__ == "__main__":
    main()
