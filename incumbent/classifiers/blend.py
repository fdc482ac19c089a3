"""A transformer and an NBSVM, averaged in log-odds: their mistakes differ."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from incumbent.classifiers.classifier_base import Rows
from incumbent.classifiers.transformer import TransformerClassifier
from incumbent.data.label_arrays import names_of
from incumbent.encoders.encoded_texts import Ids, recipe
from incumbent.evaluation.calibrated_loss import calibrated_losses
from incumbent.evaluation.nbsvm_baseline import NBSVM
from incumbent.evaluation.scored_predictions import Scored
from incumbent.predictor import NBSVM as ARRAYS
from incumbent.predictor import SETTINGS, WORDS, Blend, add_settings, pooled, sigmoid, softmax

# What the transformer may weigh. Fitted on 500 rows or 1,000, a weight varies by about a step.
_WEIGHTS = [step / 20 for step in range(21)]


class BlendClassifier(TransformerClassifier):
    """`blend`: the transformer is trained and saved by ktrain, NBSVM is that of the baseline."""

    @property
    def recipe(self) -> str:
        """The transformer's; the texts that are kept are whole."""
        return recipe(texts="whole", transformer=super().recipe)

    def tokenize(self, texts: Sequence[str]) -> tuple[list[str], Ids, NDArray[np.int64]]:
        """The transformer's ids and lengths, and the whole texts, which NBSVM reads."""
        _, ids, lengths = super().tokenize(texts)
        return list(texts), ids, lengths

    def supplement(
        self, served: Path, saved: Path, train: Rows, validation: Rows
    ) -> dict[str, float]:
        """Train NBSVM, and weigh it against the transformer in the precision that is served.

        Int8 has been judged before, on the transformer alone: NBSVM remembers its training rows,
        and would outvote on them what int8 gets wrong.
        """
        labels = names_of(train.labels, self.classes)
        sets = self.classes if self.multilabel else ()
        weights = self.class_weights(train.labels)
        weigh = {} if weights is None else dict(zip(self.classes, weights.tolist(), strict=True))
        NBSVM().fit(train.texts, labels, self.training.seed, sets, weigh).save(served)
        for name in (ARRAYS, WORDS):  # ktrain's predictor does not mind what else is there
            shutil.copyfile(served / name, saved / name)
        settings = json.loads((served / SETTINGS).read_text(encoding="utf-8"))
        parts = Blend(served, settings | {"blend_weight": 1.0}).parts(validation.texts)
        weight = fit_weight(*parts, validation.labels)
        add_settings(served, blend_weight=weight)
        shutil.copyfile(served / SETTINGS, saved / SETTINGS)
        accuracies = {
            f"{name}_validation_accuracy": float(_scored(*parts, validation.labels, w).right.mean())
            for name, w in (("transformer", 1.0), ("nbsvm", 0.0), ("blend", weight))
        }
        return {"blend_weight": weight, **accuracies}


def fit_weight(one: NDArray[np.float32], other: NDArray[np.float32], truth: NDArray[Any]) -> float:
    """The weight of the first of two models, by their logits (n, k) on rows that neither has seen.

    It is that of the least log loss after temperature scaling, so that which of the two is louder
    does not count; in doubt, that nearest to a half (Wolpert 1992, stacked generalization, with
    one parameter). The truth is int (n,) or bool (n, k).
    """

    def loss(weight: float) -> tuple[float, float]:
        losses = calibrated_losses(_scored(one, other, truth, weight))
        return round(float(losses.mean()), 6), abs(weight - 0.5)

    return min(_WEIGHTS, key=loss)


def _scored(
    one: NDArray[np.float32], other: NDArray[np.float32], truth: NDArray[Any], weight: float
) -> Scored:
    probabilities = (sigmoid if truth.ndim == 2 else softmax)(pooled(one, other, weight))
    return Scored(truth, probabilities)
