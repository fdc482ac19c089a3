"""A world of classifiers whose true accuracy is known, because it follows from a formula.

Each row has a hidden strength `t ~ N(0, sigma^2)`, and its label is 1 with probability `Phi(t)`: no
model can be right always. A model sees `t + a u + e`: `u ~ N(0, s^2)` is the misunderstanding that
models of one kind share, `a` how much of it this one still has (better models have less), and
`e ~ N(0, r^2)` is its own, new with every training. Its probabilities are the exact posterior, so
it is calibrated. With S the variance of what it sees,

- accuracy = 1/2 + arcsin(sigma^2 / sqrt((sigma^2 + 1) S)) / pi        (Sheppard 1899)
- two models disagree in a share arccos(correlation of what they see) / pi of the rows.

So a world is set by the accuracy and the disagreement that are wanted, and sigma.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr

from incumbent.evaluation.scored_predictions import Scored

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Models of some accuracy (fraction), any two of which disagree on a share of the rows."""

    accuracy: float = 0.85
    disagreement: float = 0.10
    sigma: float = 4.0

    def seen(self, accuracy: FloatArray) -> FloatArray:
        """The variance of what models of these accuracies see."""
        correlation = np.sin(np.pi * (accuracy - 0.5))
        variance: FloatArray = self.sigma**4 / (correlation**2 * (self.sigma**2 + 1))
        return variance

    def draw(
        self, rng: np.random.Generator, rows: int, accuracies: FloatArray, group: int = 1,
        alike: float = 0.0,
    ) -> Drawn:  # fmt: skip
        """A test set of so many rows, and models (n,) of these true accuracies on it.

        `own` noise is set by the disagreement of two models of the world's accuracy. Rows come in
        groups of so many, and are alike in a share of what they are and of what models make of
        them, as the texts of one film or customer are. Each row by itself is as without groups.
        """
        base = float(self.seen(np.array(self.accuracy)))
        own = (1 - np.cos(np.pi * self.disagreement)) * base
        shared = base - self.sigma**2 - own
        seen = self.seen(accuracies)
        amount = np.sqrt((seen - self.sigma**2 - own) / shared)
        groups = np.arange(rows) // group

        def normal(*shape: int) -> FloatArray:
            """Standard normals (*shape, rows), alike within groups."""
            own_part = rng.standard_normal((*shape, rows), dtype=np.float32)
            if group == 1:
                return own_part
            common = rng.standard_normal((*shape, groups[-1] + 1), dtype=np.float32)
            mixed = np.sqrt(1 - alike) * own_part + np.sqrt(alike) * common[..., groups]
            return np.asarray(mixed)

        t = self.sigma * normal()
        truth = rng.random(rows) < ndtr(t)
        u = np.sqrt(shared) * normal()
        noise = normal(len(accuracies))
        score = t + amount[:, None] * u + np.sqrt(own) * noise
        share = self.sigma**2 / seen
        spread = np.sqrt(1 + self.sigma**2 * (1 - share))
        found = ndtr(score * (share / spread)[:, None])
        return Drawn(truth, found, groups if group > 1 else None)


@dataclass(frozen=True)
class Drawn:
    """Truth (rows,) and each model's probability of label 1 (n_models, rows).

    `groups` (rows,) are those that rows come in, if they do.
    """

    truth: NDArray[np.bool_]
    probability: FloatArray
    groups: NDArray[np.int64] | None = None

    def overconfident(self, model: int, rows: NDArray[np.bool_], by: float) -> Drawn:
        """One model so many times as sure, in log odds, on some rows; its answers stay."""
        probability = self.probability.copy()
        p = np.clip(probability[model, rows], 1e-12, 1 - 1e-12)
        probability[model, rows] = expit(by * logit(p))
        return replace(self, probability=probability)

    def right(self) -> NDArray[np.bool_]:
        """Which rows each model has right (n_models, rows)."""
        found: NDArray[np.bool_] = (self.probability > 0.5) == self.truth
        return found

    def scored(self, model: int) -> Scored:
        """One model's predictions as incumbent sees them."""
        p = self.probability[model]
        return Scored(self.truth.astype(np.int64), np.stack([1 - p, p], axis=1))
