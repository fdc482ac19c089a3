"""What a small start lacks to reach its next step: rows of a class, and rows of the test set."""

from __future__ import annotations

from math import ceil, log2
from typing import TYPE_CHECKING

from incumbent import label_sets
from incumbent.decision import error_budget
from incumbent.validation.check_base import count, listed

if TYPE_CHECKING:
    from incumbent.config import PromotionConfig
    from incumbent.data.datasets import Dataset

STEPS = (8, 16, 32, 64)
"""Training rows a class: see docs/corrections.md for what they gave."""

_FINE = 0.05  # a gain that a test set can prove, from which on nothing is said of it


def sentences(dataset: Dataset, rules: PromotionConfig) -> list[str]:
    """What is missing, where rows are few; none if they are not."""
    found = [_of_train(dataset)] if dataset.train_known else []
    if rules.policy == "superiority":
        found.append(_of_test(dataset.test.rows, rules))
    return list(filter(None, found))


def _of_train(dataset: Dataset) -> str:
    named = {k: v for k, v in dataset.train.labels.items() if k in dataset.classes}
    named = {k: v for k, v in named.items() if not (dataset.multilabel and k == label_sets.NONE)}
    least = min(named.values(), default=STEPS[-1])
    step = next((step for step in STEPS if step > least), None)
    if step is None:
        return ""
    missing = [f"{step - rows:,} more of {name!r}" for name, rows in named.items() if rows < step]
    what = "label" if dataset.multilabel else "class"
    return (
        f"the smallest {what} has {count(least, 'training row')}; with {listed(missing)} each has "
        f"{step}, the next step ({', '.join(map(str, STEPS))} rows a {what})"
    )


def _of_test(rows: int, rules: PromotionConfig) -> str:
    fewest = fewest_won(rules)
    if not rows or fewest / rows <= _FINE:
        return ""

    def points(of: int) -> str:
        return f"{100 * fewest / of:.0f} points"

    if fewest > rows:
        return (
            f"with {count(rows, 'test row')} no challenger can prove itself by right answers "
            f"alone: that takes {fewest} or more that only it has right. With "
            f"{2 * fewest - rows:,} more rows a gain of {points(2 * fewest)} can be seen"
        )
    by_loss = ", or less by its probabilities" if rules.metric == "log_loss" else ""
    return (
        f"with {count(rows, 'test row')} a challenger takes the title by a gain of {points(rows)} "
        f"at the least ({fewest} rows that only it has right{by_loss}); with {rows:,} more, of "
        f"{points(2 * rows)}"
    )


def fewest_won(rules: PromotionConfig) -> int:
    """The fewest rows that must be won, and none lost, to prove a gain in a reign's first contest.

    By the exact McNemar test their p-value is 2 to the power of minus that number.
    """
    allowed = error_budget.allow([], 1, error_budget.EVEN, rules.alpha, rules.half_life)
    return ceil(-log2(allowed.level))
