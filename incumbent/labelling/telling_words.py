"""The words of a text that speak for another label than the one it has.

They are those that stand in more rows of the one label than of the other, by the log ratio of
their shares in units of its standard error (Monroe et al. 2008, "Fightin' Words", section 3.5), so
that rare words do not come first. The row itself has no say.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from incumbent.predictor import WORD

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORDS = (1, 2)  # lengths of n-grams
_LEAST_ROWS = 2  # that an n-gram stands in
_MOST = 3  # that are named
_LEAST_SCORE = 0.5  # standard errors: less speaks for nothing


def words_for(
    texts: Sequence[str],
    truth: NDArray[np.int64],
    rows: NDArray[np.int64],
    suggested: NDArray[np.int64],
    classes: int,
) -> list[list[str]]:
    """Up to three n-grams for each of some rows (m,), the most telling first.

    Args:
        texts: All texts (n,).
        truth: The class (n,) of each.
        rows: Positions (m,) of those that are asked about.
        suggested: The class (m,) that they may have instead.
        classes: How many there are.
    """
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(
        ngram_range=_WORDS, binary=True, token_pattern=WORD, min_df=_LEAST_ROWS, dtype=np.int32
    )
    grams: Any = None
    with contextlib.suppress(ValueError):  # scikit-learn's way of saying that no n-gram is left
        grams = vectorizer.fit_transform(texts)
    if grams is None:
        return [[] for _ in rows]
    names = vectorizer.get_feature_names_out()
    ones, places = np.ones(len(truth), np.int32), np.arange(len(truth))
    counts = csr_matrix((ones, (truth, places)), shape=(classes, len(truth))) @ grams
    sizes = np.bincount(truth, minlength=classes)
    found = []
    for row, other in zip(rows, suggested, strict=True):
        columns = grams[row].indices
        own = truth[row]
        here = np.asarray(counts[own, columns].todense()).ravel() - 1
        there = np.asarray(counts[other, columns].todense()).ravel()
        ratio = np.log((there + 1) / (sizes[other] + 2)) - np.log((here + 1) / (sizes[own] + 1))
        score = ratio / np.sqrt(1 / (there + 1) + 1 / (here + 1))
        order = [at for at in np.argsort(-score, kind="stable") if score[at] >= _LEAST_SCORE]
        found.append(_apart([str(names[columns[at]]) for at in order]))
    return found


def _apart(names: list[str]) -> list[str]:
    """The first few of them that share no word."""
    chosen: list[str] = []
    taken: set[str] = set()
    for name in names:
        if not taken & set(name.split()):
            chosen.append(name)
            taken |= set(name.split())
        if len(chosen) == _MOST:
            break
    return chosen
