from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from incumbent.evaluation import label_thresholds


def rows(n: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rare labels (n, k), and probabilities that are unsure of them, as those of a linear head."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-3, 1.7, (n, k))
    p = 1 / (1 + np.exp(-logits))
    return rng.random((n, k)) < p, p


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(f1_score(truth, predicted, average="macro", zero_division=0))


@pytest.mark.parametrize("seed", range(5))
def test_they_find_rare_labels_that_half_misses(seed: int) -> None:
    thresholds = label_thresholds.fit(*rows(80, 30, seed))
    truth, p = rows(4000, 30, 100 + seed)
    assert macro_f1(truth, p >= thresholds) > macro_f1(truth, p >= 0.5) + 0.02


def test_of_one_label_with_many_rows_no_threshold_is_better() -> None:
    truth, p = rows(3000, 1, 0)
    found = f1_score(truth, p >= label_thresholds.fit(truth, p))
    best = max(f1_score(truth, p >= threshold) for threshold in np.linspace(0.02, 0.9, 200))
    assert found >= best - 0.001


def test_few_rows_leave_a_label_near_the_threshold_of_all() -> None:
    truth, p = rows(400, 12, 3)
    truth[:, 0] = False
    truth[0, 0], p[0, 0] = True, 0.9  # alone, it would ask for the middle of 0.9 and the next
    truth[:, 1] = False
    thresholds = label_thresholds.fit(truth, p)
    common = thresholds[1]  # that of a label without any row
    assert abs(thresholds[0] - common) < 0.1
    assert common < 0.5


def test_cases_of_one_probability_are_predicted_together() -> None:
    truth = np.arange(100)[:, None] < 10  # the first ten rows: alone they would be all right
    assert label_thresholds.fit(truth, np.full((100, 1), 0.3)) == pytest.approx(0.15)
    higher = np.where(np.arange(100) < 50, 0.4, 0.3)[:, None]
    assert label_thresholds.fit(truth, higher) == pytest.approx(0.35)


@pytest.mark.parametrize("n", [1, 19])
def test_few_rows_or_none_with_a_label_tell_nothing(n: int) -> None:
    truth, p = rows(n, 4, 0)
    truth[0, 0] = True
    assert (label_thresholds.fit(truth, p) == 0.5).all()
    truth, p = rows(100, 4, 0)
    assert (label_thresholds.fit(np.zeros_like(truth), p) == 0.5).all()
