from __future__ import annotations

from typing import Any

import numpy as np

from incumbent.labelling import row_choice

Array = np.ndarray[Any, Any]
NONE = np.zeros((0, 32))


def unit(rows: int, seed: int = 0) -> Array:
    vectors = np.random.default_rng(seed).normal(size=(rows, 32))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def two_classes(sure: Array) -> Array:
    return np.stack([sure, 1 - sure], axis=1)


def test_a_tenth_is_drawn_at_random_and_the_others_are_the_unsure_ones() -> None:
    sure = np.full(1000, 0.99)
    sure[:100] = 0.55
    chosen = row_choice.choose(two_classes(sure), unit(1000), NONE, 80)
    assert len(set(chosen.rows.tolist())) == 80
    assert chosen.at_random.sum() == 8
    assert (chosen.rows[~chosen.at_random] < 100).all()
    assert (chosen.rows[chosen.at_random] >= 100).any()


def test_near_copies_are_never_chosen_twice_nor_those_of_known_rows() -> None:
    vectors, known = unit(100), unit(10, seed=1)
    shaken = np.vstack([vectors, vectors, known]) + 0.005 * unit(210, seed=2)
    pool = shaken / np.linalg.norm(shaken, axis=1, keepdims=True)
    chosen = row_choice.choose(two_classes(np.full(210, 0.5)), pool, known, 210)
    assert len(chosen.rows) == 100  # as no more of them differ
    assert len({row % 100 for row in chosen.rows.tolist()}) == 100
    assert (chosen.rows < 200).all()


def test_the_rows_come_from_all_clusters() -> None:
    """Of a dense cloud and a few rows elsewhere, all unsure, the few are not crowded out."""
    cloud = unit(1)[0] + 0.12 * unit(200, seed=3)
    pool = np.vstack([cloud / np.linalg.norm(cloud, axis=1, keepdims=True), unit(10, seed=4)])
    sure = np.full(210, 0.5)
    sure[200:] = 0.51  # a little surer: by margin alone they come last
    found = row_choice._by_turns([*range(210)], pool, 168)
    assert {*range(200, 210)} <= {*found}
    chosen = row_choice.choose(two_classes(sure), pool, NONE, 180, seed=0)
    assert (chosen.rows >= 200).any()


def test_the_same_seed_chooses_the_same_rows() -> None:
    probabilities = two_classes(np.random.default_rng(5).uniform(size=300))
    first, again, other = (
        row_choice.choose(probabilities, unit(300), NONE, 50, seed).rows.tolist()
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_a_pool_smaller_than_what_is_asked_for_is_taken_whole() -> None:
    chosen = row_choice.choose(two_classes(np.full(7, 0.7)), unit(7), NONE, 50)
    assert sorted(chosen.rows.tolist()) == list(range(7))
    assert chosen.at_random.sum() == 1


def test_known_rows_are_compared_in_parts(monkeypatch: Any) -> None:
    monkeypatch.setattr(row_choice, "_AT_ONCE", 7)
    known, others = unit(30), unit(20, seed=6)
    near = row_choice._near_any(np.vstack([others, known]), known)
    assert near.tolist() == [False] * 20 + [True] * 30
