"""Confidence intervals: Wilson's for a proportion, the bootstrap for everything else."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    IntArray = NDArray[np.integer[Any]]
    FloatArray = NDArray[np.floating[Any]]

WEIGHTS_AT_ONCE = 4_000_000
"""Bootstrap weights held in memory at a time (32 MB of float64)."""


class Estimate(BaseModel, frozen=True):
    """A number and its confidence interval."""

    value: float
    low: float
    high: float


def wilson(successes: int, n: int, confidence: float) -> Estimate:
    """A proportion with its score interval.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA
    22: never outside 0 to 1, and of positive width even when every row is right.
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = successes / n
    centre = p + z**2 / (2 * n)
    spread = z * float(np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)))
    scale = 1 + z**2 / n
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return Estimate(value=p, low=min(max(low, 0.0), p), high=max(min(high, 1.0), p))


def resamples(strata: IntArray, n_resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each row is drawn in bootstrap resamples, some resamples at a time.

    Rows are drawn with replacement within each stratum (n,), so that none vanishes from a
    resample (Davison and Hinkley 1997, section 3.2).

    Yields:
        Counts (n, some), in blocks that come to `n_resamples` columns together.
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    at_once = max(1, WEIGHTS_AT_ONCE // len(strata))
    for start in range(0, n_resamples, at_once):
        size = min(at_once, n_resamples - start)
        weights = np.empty((len(strata), size))
        for rows in members:
            # One count for each cell of (row, resample): a draw of row r in resample j is r, j.
            cells = rng.integers(0, len(rows), (len(rows), size)) * size + np.arange(size)
            counts = np.bincount(cells.ravel(), minlength=cells.size)
            weights[rows] = counts.reshape(cells.shape)
        yield weights


def percentile(observed: FloatArray, resampled: FloatArray, confidence: float) -> Estimate:
    """Efron's percentile interval (Efron and Tibshirani 1993, chapter 13)."""
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value=float(observed[0]), low=float(low), high=float(high))


def reversed_percentile(observed: FloatArray, resampled: FloatArray, confidence: float) -> Estimate:
    """The basic bootstrap interval (Davison and Hinkley 1997, section 5.2), for biased metrics.

    Noise in a bin can only raise the calibration error, and resampling adds noise to noise: a
    percentile interval lies too high. In a simulation of well-calibrated models (2,500 rows,
    15 bins) it held the true error in 0 to 33 % of samples, the reversed one in 73 to 90 %.
    The interval is kept at 0 or above and made to hold the estimate.
    """
    value = float(observed[0])
    quantiles = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    high, low = (max(0.0, 2 * value - float(q)) for q in quantiles)
    return Estimate(value=value, low=min(low, value), high=max(high, value))
