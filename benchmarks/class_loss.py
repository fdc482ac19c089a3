"""A class that is lost: four of five classes gain, and the fifth, of 120 rows, loses 30 points."""

from __future__ import annotations

import numpy as np

from incumbent.config import EvaluationConfig, PromotionConfig
from incumbent.decision import evidence, proof_and_ruling
from incumbent.decision.evidence import Case, Contender, Evidence, Reign

ROWS, RARE, CLASSES = 4000, 120, 5
LOSS, GAIN = 0.30, 0.028


def noticed(seed: int) -> bool:
    """Whether the decision about such a challenger blocks or warns."""
    ruling = proof_and_ruling.decide(_drawn(np.random.default_rng(seed)))
    return any(gate.name == "slice_loss" and not gate.passed for gate in ruling.gates)


def _drawn(rng: np.random.Generator) -> Evidence:
    """The champion is right on 85 % of each class; each row is as hard for both models."""
    rare = np.arange(ROWS) < RARE
    truth = np.where(rare, 0, 1 + np.arange(ROWS) % (CLASSES - 1))
    hard = rng.random(ROWS)
    theirs = hard < 0.85
    # Of the rows that one model has right, some are lost to the other, and as many gained.
    ours = hard + rng.normal(0, 0.05, ROWS) < np.where(rare, 0.85 - LOSS, 0.85 + GAIN)
    case = Case(
        model_name="simulated",
        classes=tuple("abcde"),
        challenger=Contender(version=2, run_id=None, train_digest=""),
        champion=Contender(version=1, run_id=None, train_digest=""),
        baseline_accuracy=None,
        reign=Reign(number=1, test_digest="frozen"),
        promotion=PromotionConfig(),
        evaluation=EvaluationConfig(),
    )
    return evidence.assemble(
        case, rows=np.arange(ROWS), truth=truth, challenger=_sure(truth, ours),
        champion=_sure(truth, theirs), seen=np.full(ROWS, ""), slices=[],
    )  # fmt: skip


def _sure(truth: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Probabilities (n, n_classes) of a model that says 0.8 of what it answers."""
    said = np.eye(CLASSES)[np.where(right, truth, (truth + 1) % CLASSES)]
    return said * 0.8 + (1 - said) * 0.2 / (CLASSES - 1)
