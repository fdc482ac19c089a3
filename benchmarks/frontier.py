"""What may be asked of the accuracy beside the probabilities, and what each asking costs.

    python benchmarks/frontier.py [--years N]

The worlds are those of `benchmarks/promotion.py`, in which incumbent's own functions decide row by
row. Here only sums over rows are kept of each year, so that hundreds take minutes, and any rule can
be tried on the same ones: the test of the log loss is normal, and the accuracy's by the asking.
`docs/decisions/0025-probabilities-and-accuracy.md` has the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, expit, logit

from benchmarks import promotion
from benchmarks.promotion import WORLDS, Scenario
from incumbent.decision import error_budget
from incumbent.decision.error_budget import PastContest
from incumbent.evaluation.calibrated_loss import DOUBT

FloatArray = NDArray[np.float64]
Asking = Callable[[float, float, float], bool]
"""From the accuracy's gain and the log loss's, in standard errors, and the p-value of McNemar's
exact test, to whether that is enough of the accuracy."""
ASKINGS: dict[str, Asking] = {
    "no lower": lambda accuracy, _, __: accuracy >= 0,
    "`z` of 1": lambda accuracy, _, __: accuracy >= 1,
    "`z` of 1.3": lambda accuracy, _, __: accuracy >= 1.3,
    "`z` of 1.3, and 0.3 of the log loss's": lambda accuracy, loss, _: (
        accuracy >= max(1.3, 0.3 * loss)
    ),
    "McNemar at 7 %": lambda _, __, p: p <= 0.07,
    "McNemar at 5 %": lambda _, __, p: p <= 0.05,
    "McNemar at 3 %": lambda _, __, p: p <= 0.03,
}
RATCHET = 0.01
FIGURES = {
    "better probabilities, worse by 0.5 points, 5,000 rows, 52 weeks": "worse takes it",
    "all equal, 5,000 rows, 52 weeks": "equal takes it",
    promotion.SCATTERED: "gain, of >=",
    "better by 2 points, 1,000 rows, 2 tries": "better by 2 points, 1,000 rows",
    "better by 3 points, 1,000 rows, 2 tries": "better by 3 points, 1,000 rows",
}


class Sums(NamedTuple):
    """A year's models (n,): their losses and right answers, summed, and the sums of products."""

    accuracy: FloatArray
    losses: FloatArray
    products: FloatArray
    right: FloatArray
    both: FloatArray


def sums(seed: int, scenario: Scenario) -> Sums:
    """Draw a year, and sum over its rows."""
    rng = np.random.default_rng([seed, scenario.rows])
    accuracy = scenario.accuracies(rng, scenario.world.accuracy)
    drawn = scenario.world.draw(rng, scenario.rows, accuracy)
    if scenario.bent:
        drawn = scenario.bent(drawn, rng)
    margins = np.where(drawn.truth, 1, -1) * logit(np.clip(drawn.probability, 1e-12, 1 - 1e-12))
    sharpness = np.ones((len(margins), 1))
    for _ in range(6):  # Newton's method for the temperature of each
        wrong = expit(-sharpness * margins)
        slope = (wrong * margins).sum(axis=1, keepdims=True)
        bend = (wrong * (1 - wrong) * margins**2).sum(axis=1, keepdims=True)
        sharpness = np.clip(sharpness + slope / bend, sharpness / 2, sharpness * 2)
    losses = -np.log((1 - DOUBT) * expit(sharpness * margins) + DOUBT / 2)
    right = drawn.right().astype(np.float64)
    return Sums(accuracy, losses.sum(axis=1), losses @ losses.T, right.sum(axis=1), right @ right.T)


def year(found: Sums, rows: int, asking: Asking) -> list[int]:
    """The champion after each contest, the first one's first."""
    champion, held = 0, [0]
    past: list[PastContest] = []
    against: list[tuple[PastContest, int]] = []
    best = found.right[0]
    for week in range(1, len(found.right)):
        shared = [(c, _correlation(found, rows, champion, week, other)) for c, other in against]
        loading = error_budget.loading_of(shared)
        allowance = error_budget.allow(past, champion, loading, 0.1, 13)
        z = (found.losses[champion] - found.losses[week]) / sqrt(
            _products(found, champion, week, week)
        )
        gained = int(found.right[week] - found.both[week, champion])
        lost = int(found.right[champion] - found.both[week, champion])
        accuracy = float((gained - lost) / sqrt(max(gained + lost, 1)))
        enough = asking(accuracy, z, float(bdtrc(gained - 1, gained + lost, 0.5)))
        won = z >= allowance.critical and enough and found.right[week] >= best - RATCHET * rows
        contest = PastContest(
            champion=champion, critical=allowance.critical, loading=loading, passed=bool(won)
        )
        past.append(contest)
        against.append((contest, week))
        if won:
            champion, against = week, []
            best = max(best, found.right[week])
        held.append(champion)
    return held


def _products(found: Sums, champion: int, one: int, other: int) -> float:
    """The sum over rows of the product of two models' gains over the champion."""
    p = found.products
    return float(p[champion, champion] - p[champion, other] - p[one, champion] + p[one, other])


def _correlation(found: Sums, rows: int, champion: int, one: int, other: int) -> float:
    """How two models' gains over the champion correlate, row by row."""
    gain = found.losses[champion] - found.losses

    def covariance(a: int, b: int) -> float:
        return _products(found, champion, a, b) - float(gain[a] * gain[b]) / rows

    return covariance(one, other) / sqrt(covariance(one, one) * covariance(other, other))


def figure(world: str, years: int) -> dict[str, str]:
    """A world's figure for each asking, in percent with its standard error."""
    scenario, told = WORLDS[world], {}
    drawn = [sums(seed, scenario) for seed in range(years)]
    peers = np.array([_of_peer(one) for one in drawn])
    for name, asking in ASKINGS.items():
        ends = np.array([one.accuracy[year(one, scenario.rows, asking)] for one in drawn])
        if scenario.scatter:
            gains = ends[:, -1] - ends[:, 0]
            value = gains.mean() / peers.mean()
            error = float(np.std(gains - value * peers)) / sqrt(years) / peers.mean()
        else:
            value = (np.ptp(ends, axis=1) > 0).mean()
            error = sqrt(value * (1 - value) / years)
        told[name] = f"{value:.1%} ± {error:.1%}"
    return told


def _of_peer(found: Sums) -> float:
    """The gain of the rule `>=` on the same rows."""
    champion = 0
    for week in range(1, len(found.right)):
        champion = week if found.right[week] >= found.right[champion] else champion
    return float(found.accuracy[champion] - found.accuracy[0])


def main() -> None:
    """Print the table in markdown."""
    parser = argparse.ArgumentParser(description="What may be asked of the accuracy.")
    parser.add_argument("--years", type=int, default=600, help="years of each world (600)")
    years = parser.parse_args().years
    columns = {title: figure(world, years) for world, title in FIGURES.items()}
    print("| the accuracy must be | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name in ASKINGS:
        print(f"| {name} | " + " | ".join(told[name] for told in columns.values()) + " |")


if __name__ == "__main__":
    main()
