"""The baseline that every challenger must beat: NBSVM, a linear model that trains in seconds.

Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification",
ACL: each n-gram counts once a text and weighs as much as naive Bayes' log-count ratio says, and
a linear model is trained on that. As in Mesnil et al. 2015 (arXiv:1412.5335) the n-grams are one
to three words long and the linear model is a logistic regression, which yields probabilities.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from incumbent.data.label_arrays import truth_of
from incumbent.errors import StageError
from incumbent.predictor import NBSVM as ARRAYS
from incumbent.predictor import WORD, WORDS, Linear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.floating[Any]]

N_WORDS = (1, 3)
"""Lengths of the n-grams, in words."""
MIN_TEXTS = 2
"""N-grams that stand in fewer texts are left out, unless that leaves none."""
ALPHA = 1.0
"""Smoothing of the counts, as in the paper."""
C = 3.0
"""Inverse strength of the L2 penalty, in scikit-learn's sense."""
BETA = 0.5
"""Interpolation between equal weights (0: naive Bayes alone) and the fitted ones (1).

C and beta were chosen by four-fold cross-validation, split by film, on the training part of the
embedded reviews, and on 5,000 held-out IMDB training reviews. The paper's beta of 0.25 gains
0.2 points on the short texts and loses as much on the long.
"""


class NBSVM:
    """Logistic regression on word n-grams, each scaled by its naive Bayes log-count ratio.

    Two classes make one model, more make one model for each class against the rest, whose
    probabilities are normalized to sum to 1. Labels of which a row may have any make one model
    each, whose probabilities stand as they are.

    Attributes:
        classes_: The labels in sorted order, which is that of the columns of probabilities.
    """

    classes_: tuple[str, ...]

    def fit(
        self,
        texts: Sequence[str],
        labels: list[str],
        seed: int,
        label_names: Sequence[str] = (),
        weights: Mapping[str, float] | None = None,
    ) -> NBSVM:
        """Fit on texts (n,) and their labels (n,); the seed orders the solver's steps.

        With `label_names`, sorted, the labels are sets of these. `weights` say how much the rows
        of a class count, or those with a label; 1 where none is said.

        Raises:
            StageError: if there are fewer than two classes, no words, or a label that all rows
                have or none.
        """
        self.classes_ = tuple(label_names) or tuple(sorted(set(labels)))
        self._sets = bool(label_names)
        if len(self.classes_) < 2:
            raise StageError(
                f"The training rows have {len(self.classes_)} class {list(self.classes_)}; "
                "a baseline needs at least two."
            )
        truth = truth_of(labels, self.classes_, multilabel=self._sets)
        own = truth if self._sets else truth[:, None] == np.arange(len(self.classes_))
        for name, has in zip(self.classes_, own.T, strict=True):
            if has.all() or not has.any():
                raise StageError(
                    f"{'All' if has.any() else 'None'} of the {len(has)} training rows have the "
                    f"label {name!r}; a baseline needs some with it and some without."
                )
        self._vectorizer, grams = _count(texts)
        told = own[:, 1:] if self._one_model else own
        each = np.array([(weights or {}).get(name, 1.0) for name in self.classes_])
        # Of classes a row counts the same in each model; of labels it counts for itself in each.
        counts = (
            np.where(own, each, 1.0) if self._sets else np.tile(own @ each, (told.shape[1], 1)).T
        )
        models = [_fit_one(grams, *pair, seed) for pair in zip(told.T, counts.T, strict=True)]
        self._weights = np.stack([weights for weights, _ in models], axis=1)
        self._biases = np.array([bias for _, bias in models])
        return self

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Probabilities (n, n_classes), columns as in `classes_`."""
        from scipy.special import expit

        own: FloatArray = expit(self._vectorizer.transform(texts) @ self._weights + self._biases)
        if self._one_model:
            return np.hstack([1 - own, own])
        if self._sets:
            return own
        # Where every model is certain of the rest, no class is likelier than another.
        own = np.maximum(own, np.finfo(float).tiny)
        own /= own.sum(axis=1, keepdims=True)
        return own

    def save(self, folder: Path) -> None:
        """Write it as `incumbent.predictor.Nbsvm` reads it.

        Raises:
            StageError: if it knows more words than there are numbers for them.
        """
        columns = self._vectorizer.vocabulary_
        # An n-gram stands in no more texts than its words do: all of them are known.
        words = sorted(gram for gram in columns if " " not in gram)
        if len(words) >= 2**Linear.BITS:
            raise StageError(
                f"NBSVM learned {len(words):,} words; fewer than {2**Linear.BITS:,} can be "
                "served. Train on fewer rows, or set training.model to transformer."
            )
        numbers = {word: number for number, word in enumerate(words, 1)}
        keys = np.zeros(len(columns), np.int64)
        for gram, column in columns.items():
            key = 0
            for word in gram.split(" "):
                key = (key << Linear.BITS) | numbers[word]
            keys[column] = key
        order = np.argsort(keys)
        np.savez(
            folder / ARRAYS,
            keys=keys[order],
            weights=self._weights[order].astype(np.float32),
            bias=self._biases.astype(np.float32),
        )
        (folder / WORDS).write_text(json.dumps(numbers), encoding="utf-8")

    @property
    def _one_model(self) -> bool:
        return len(self.classes_) == 2 and not self._sets


def _count(texts: Sequence[str]) -> tuple[Any, Any]:
    """The fitted vectorizer, and which n-grams stand in which text: sparse (n, n_grams)."""
    from sklearn.feature_extraction.text import CountVectorizer

    for min_df in (MIN_TEXTS, 1):
        vectorizer = CountVectorizer(
            ngram_range=N_WORDS, binary=True, token_pattern=WORD, min_df=min_df, dtype=np.float32
        )
        # scikit-learn's way of saying that no n-gram is left.
        with contextlib.suppress(ValueError):
            return vectorizer, vectorizer.fit_transform(texts)
    raise StageError(f"There is not one word in the {len(texts)} training texts.")


def _fit_one(
    grams: Any, positive: NDArray[np.bool_], counts: FloatArray, seed: int
) -> tuple[FloatArray, float]:
    """Weights (n_grams,) and bias of one class against the rest, where rows (n,) count so much."""
    from sklearn.linear_model import LogisticRegression

    ratio = _log_count_ratio(grams, positive)
    # The dual solver is the quick one for more n-grams than texts.
    model = LogisticRegression(
        C=C, solver="liblinear", dual=True, max_iter=1000, random_state=seed
    ).fit(grams.multiply(ratio).tocsr(), positive, sample_weight=counts)
    fitted = model.coef_[0]
    # Equation 5 of the paper: w' = (1 - beta) * mean |w| + beta * w.
    weights = (1 - BETA) * np.abs(fitted).mean() + BETA * fitted
    return ratio * weights, float(model.intercept_[0])


def _log_count_ratio(grams: Any, positive: NDArray[np.bool_]) -> FloatArray:
    """How much likelier each n-gram is in the class than in the rest, in nats (n_grams,).

    Section 2.1 of the paper: r = log((p / |p|) / (q / |q|)), p and q being smoothed counts.
    """
    p = ALPHA + np.asarray(grams[positive].sum(axis=0)).ravel()
    q = ALPHA + np.asarray(grams[~positive].sum(axis=0)).ravel()
    ratio: FloatArray = np.log(p / p.sum()) - np.log(q / q.sum())
    return ratio.astype(np.float32)
