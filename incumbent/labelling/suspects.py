"""Labels that the data itself contradicts: confident learning (Northcutt et al. 2021, JAIR 70).

A row is suspect if a classifier that was not trained on it gives its label less than others of
that label get, and another one more. Cleanlab counts such rows; those with the least probability of
their own label are named, the least probable first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from incumbent.labelling.out_of_fold import FOLDS

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Suspects:
    """Rows whose label is probably wrong, the most certain first."""

    rows: NDArray[np.int64]
    """Positions (m,) of all rows that may be suspect, the `found` ones before the others."""
    suggested: NDArray[np.int64]
    """The likeliest class (m,) but for the one that each of them has."""
    sure: NDArray[np.floating[Any]]
    """Probability (m,) that the label is another, from 0 to 1."""
    found: int
    """How many are suspect by confident learning."""


def find(truth: NDArray[np.int64], probabilities: NDArray[np.floating[Any]]) -> Suspects:
    """Order rows by how certainly their label is wrong.

    Rows of classes that have fewer than `FOLDS` are left out: nothing speaks for their label.

    Args:
        truth: The class (n,) that each row is labelled with.
        probabilities: Of the classes (n, n_classes), out of fold.
    """
    counts = np.bincount(truth, minlength=probabilities.shape[1])
    known = np.flatnonzero(counts[truth] >= FOLDS)
    own = probabilities[known, truth[known]].astype(float)
    others = probabilities[known].astype(float)
    others[np.arange(len(known)), truth[known]] = -1.0
    suggested = others.argmax(axis=1)
    order = np.argsort(own, kind="stable")
    return Suspects(
        known[order], suggested[order], 1 - own[order], _count(truth, probabilities, known)
    )


def _count(
    truth: NDArray[np.int64], probabilities: NDArray[np.floating[Any]], known: NDArray[np.int64]
) -> int:
    """How many labels are wrong, by the confident joint of those classes that are known."""
    from cleanlab.count import num_label_issues

    classes = np.unique(truth[known])
    if len(classes) < 2:
        return 0
    own = probabilities[np.ix_(known, classes)].astype(float)
    own /= own.sum(axis=1, keepdims=True)
    return int(num_label_issues(np.searchsorted(classes, truth[known]), own))
