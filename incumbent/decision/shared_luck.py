"""What two contests against one champion share: how their mean improvements correlate."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pandas as pd

from incumbent.decision import proof_and_ruling
from incumbent.decision.evidence import Evidence, Role


def improvement(evidence: Evidence) -> pd.Series[float]:
    """The improvement on each compared row as its case measures it, by its place in the test set.

    The place is the same whatever file the rows were read from; their numbers are not. Where rows
    come in groups, it is the sum of each group's, by the group's number.
    """
    better = proof_and_ruling.improvement(
        evidence.scored(Role.CHALLENGER), evidence.scored(Role.CHAMPION), evidence.case.promotion
    )
    if evidence.groups is not None:
        return pd.Series(better, name="groups").groupby(evidence.groups).sum()
    return pd.Series(better, np.flatnonzero(evidence.unseen), name="rows")


def correlation(ours: pd.Series[float], theirs: pd.Series[float]) -> float:
    """How the means of two improvements correlate; 0 where that cannot be told.

    Two means over rows of which they share some correlate as the rows they share do, less the
    share of the others.
    """
    both = ours.index.intersection(theirs.index)
    if len(both) < 2 or ours.name != theirs.name:  # a row's number is not a group's
        return 0.0
    a, b = (side.loc[both].to_numpy() for side in (ours, theirs))
    if not a.std() or not b.std():
        return 0.0
    rho = float(np.corrcoef(a, b)[0, 1])
    return rho * len(both) / sqrt(len(ours) * len(theirs))
