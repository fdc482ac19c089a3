"""Cases for the title made of arrays: what two models make of the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from incumbent.config import EvaluationConfig, PromotionConfig
from incumbent.decision import evidence
from incumbent.decision.error_budget import EVEN
from incumbent.decision.evidence import Case, Contender, Evidence, Reign
from incumbent.evaluation.slices import Slice

CHALLENGER = Contender(version=2, run_id="2", train_digest="new")
CHAMPION = Contender(version=1, run_id="1", train_digest="old")
QUICK = EvaluationConfig(bootstrap_samples=100)


def build(
    truth: ArrayLike,
    challenger: NDArray[np.float64],
    champion: NDArray[np.float64] | None = None,
    /,
    *,
    rules: Mapping[str, Any] | None = None,
    seen: Sequence[str] | None = None,
    parts: Mapping[str, ArrayLike] | None = None,
    groups: NDArray[np.int64] | None = None,
    **known: Any,
) -> Evidence:
    """A case on rows (n,) with probabilities (n, n_classes); `rules` and `known` as they differ."""
    n, k = challenger.shape
    about = {
        "model_name": "reviews",
        "classes": tuple("abcdefgh"[:k]),
        "challenger": CHALLENGER,
        "champion": None if champion is None else CHAMPION,
        "baseline_accuracy": 0.5,
        "reign": Reign(number=1, test_digest="frozen"),
        "loading": EVEN,
        "promotion": PromotionConfig(**(rules or {})),
        "evaluation": QUICK,
    }
    return evidence.assemble(
        Case(**(about | known)),
        rows=np.arange(n),
        truth=np.asarray(truth),
        challenger=challenger,
        champion=champion,
        seen=np.array([""] * n if seen is None else seen),
        slices=[Slice(name, np.asarray(mask)) for name, mask in (parts or {}).items()],
        groups=groups,
    )


def sure(truth: ArrayLike, right: ArrayLike, by: ArrayLike = 0.8, k: int = 2) -> NDArray[Any]:
    """Probabilities (n, k) of a model that is right on these rows, and so sure of what it says."""
    truth, right = np.asarray(truth), np.asarray(right)
    said = np.eye(k)[np.where(right, truth, (truth + 1) % k)]
    by = np.broadcast_to(by, truth.shape)[:, None]
    return said * by + (1 - said) * (1 - by) / (k - 1)


def counted(
    both: int, gained: int, lost: int, neither: int, by: Sequence[float] = (0.8, 0.8), **known: Any
) -> Evidence:
    """A case by how many rows both models, the challenger or the champion alone, or none has right.

    `by` is how sure the challenger and the champion are.
    """
    ours = np.repeat([True, True, False, False], [both, gained, lost, neither])
    theirs = np.repeat([True, False, True, False], [both, gained, lost, neither])
    truth = np.arange(len(ours)) % 2
    return build(truth, sure(truth, ours, by[0]), sure(truth, theirs, by[1]), **known)


def alone(right: int, n: int = 100, by: float = 0.8, **known: Any) -> Evidence:
    """A case without a champion, of which so many rows are right."""
    truth = np.arange(n) % 2
    return build(truth, sure(truth, np.arange(n) < right, by), **known)


def tagged(
    rng: np.random.Generator, n: int, signals: Sequence[float] = (1.6, 1.5), k: int = 3
) -> tuple[NDArray[np.bool_], list[NDArray[np.float64]]]:
    """True labels (n, k), any of them, and probabilities (n, k) of models that err alike."""
    truth = rng.random((n, k)) < np.linspace(0.2, 0.5, k)
    shared = rng.normal(size=(n, k))
    logits = [shared + rng.normal(0, 0.6, (n, k)) + s * (2 * truth - 1) for s in signals]
    return truth, [1 / (1 + np.exp(-x)) for x in logits]


def drawn(
    rng: np.random.Generator, n: int, signals: Sequence[float] = (1.6, 1.5), k: int = 2
) -> tuple[NDArray[np.int64], list[NDArray[np.float64]]]:
    """True classes (n,) and the probabilities (n, k) of models that err alike, by their signal."""
    truth = rng.integers(0, k, n)
    shared = rng.normal(size=(n, k))
    odds = [
        np.exp(shared + rng.normal(0, 0.6, (n, k)) + signal * np.eye(k)[truth])
        for signal in signals
    ]
    return truth, [o / o.sum(axis=1, keepdims=True) for o in odds]
