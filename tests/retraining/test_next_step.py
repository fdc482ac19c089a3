"""What a small start is told it lacks: the numbers are those of the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from incumbent.config import PromotionConfig
from incumbent.data.datasets import Dataset, Split
from incumbent.decision import error_budget
from incumbent.evaluation import paired_tests
from incumbent.retraining import next_step


def of(train: dict[str, int], test: int, names: tuple[str, ...] = ()) -> Dataset:
    def split(rows: int, labels: dict[str, int]) -> Split:
        return Split(path=Path("x"), source="x", rows=rows, digest="d", labels=labels)

    return Dataset(
        train=split(sum(train.values()), train), test=split(test, {}), digest="d",
        label_names=names,
    )  # fmt: skip


def test_eight_rows_a_class_and_what_makes_sixteen() -> None:
    of_train, of_test = next_step.sentences(
        of({"late": 12, "refund": 8, "rude": 40}, 16), PromotionConfig()
    )
    assert of_train == (
        "the smallest class has 8 training rows; with 4 more of 'late', 8 more of 'refund' each "
        "has 16, the next step (8, 16, 32, 64 rows a class)"
    )
    assert of_test == (
        "with 16 test rows a challenger takes the title by a gain of 50 points at the least (8 "
        "rows that only it has right, or less by its probabilities); with 16 more, of 25 points"
    )


def test_few_test_rows_prove_nothing() -> None:
    (of_test,) = next_step.sentences(of({"a": 64, "b": 64}, 6), PromotionConfig())
    assert "with 6 test rows no challenger can prove itself" in of_test
    assert "With 10 more rows a gain of 50 points can be seen" in of_test


def test_nothing_is_said_where_rows_are_enough() -> None:
    assert next_step.sentences(of({"a": 64, "b": 70}, 160), PromotionConfig()) == []
    rules = PromotionConfig(policy="non_inferiority")
    assert next_step.sentences(of({"a": 64, "b": 70}, 16), rules) == []


def test_of_labels_each_is_counted_but_not_none() -> None:
    (said,) = next_step.sentences(
        of({"late": 20, "wet": 33, "none": 3}, 500, ("late", "wet")), PromotionConfig()
    )
    assert said.startswith("the smallest label has 20 training rows; with 12 more of 'late' each")


@pytest.mark.parametrize("half_life", [1, 13, 90])
def test_so_many_rows_won_are_proof_and_one_less_is_none(half_life: float) -> None:
    import numpy as np

    rules = PromotionConfig(half_life=half_life)
    level = error_budget.allow([], 1, error_budget.EVEN, rules.alpha, half_life).level
    fewest = next_step.fewest_won(rules)
    for won, proof in ((fewest, True), (fewest - 1, False)):
        challenger, champion = np.ones(50, bool), np.ones(50, bool)
        champion[:won] = False
        assert (paired_tests.mcnemar(challenger, champion).p_value <= level) is proof
