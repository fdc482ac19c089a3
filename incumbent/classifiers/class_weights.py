"""How much the rows of each class count in training, where classes are of uneven size."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np

from incumbent.data import label_spellings
from incumbent.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from incumbent.config import TrainingConfig


def check(training: TrainingConfig, classes: Sequence[str]) -> None:
    """See that `training.class_weights` names labels that there are.

    Raises:
        ConfigError: if it names others; the nearest label is named.
    """
    if not isinstance(training.class_weights, dict):
        return
    for name in label_spellings.unknown(training.class_weights, classes):
        near = difflib.get_close_matches(name, classes, n=1, cutoff=0.5)
        hint = (
            f"did you mean {near[0]!r}?" if near
            else f"labels are {', '.join(map(repr, classes[:20]))}"
        )  # fmt: skip
        raise ConfigError(
            f"training.class_weights names {name!r}, and no training row has that label: {hint}"
        )


def of(
    training: TrainingConfig, classes: Sequence[str], truth: NDArray[Any]
) -> NDArray[np.float32] | None:
    """The weights of classes (k,) in training on rows of this truth; None if all rows count alike.

    Args:
        training: What the config says.
        classes: The classes.
        truth: Of the rows that are trained on: int (n,), or bool (n, k) for sets of labels.

    Returns:
        Of classes, what a row of each counts; of labels, what a row with it counts, where one
        without it counts 1. `balanced` is scikit-learn's n / (k n_class) over the k classes that
        have rows; of labels it is the ratio of the two weights that this gives rows with and
        without the label, n_without / n_with. One that no row has, or each, weighs 1.
    """
    if training.class_weights == "none":
        return None
    if isinstance(training.class_weights, dict):
        by_key = {label_spellings.key(k): v for k, v in training.class_weights.items()}
        given = [by_key.get(label_spellings.key(name), 1.0) for name in classes]
        return np.array(given, np.float32)
    if truth.ndim == 2:
        having = truth.sum(axis=0)
        lacking = len(truth) - having
    else:
        having = np.bincount(truth, minlength=len(classes))
        lacking = np.full(len(classes), len(truth) / max((having > 0).sum(), 1))
    told = (having > 0) & (lacking > 0)
    return np.where(told, lacking / np.maximum(having, 1), 1).astype(np.float32)


def of_rows(weights: NDArray[np.float32] | None, truth: NDArray[Any]) -> NDArray[np.float32]:
    """What each row counts (n,), or for sets of labels, each row for each label (n, k)."""
    if weights is None:
        return np.ones(truth.shape, np.float32)
    return np.where(truth, weights, 1) if truth.ndim == 2 else weights[truth]
