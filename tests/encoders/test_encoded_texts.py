from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from incumbent.data import canonical_text, datasets
from incumbent.encoders import encoded_texts
from incumbent.encoders.encoded_texts import batches, hold_out, pad, width


@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=400),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 9),
)
def test_every_row_is_in_exactly_one_batch(lengths: list[int], batch_size: int, seed: int) -> None:
    array = np.array(lengths)
    for generator in (None, np.random.default_rng(seed)):
        found = list(batches(array, batch_size, generator))
        assert sorted(np.concatenate(found)) == list(range(len(lengths)))
        assert len(found) == -(-len(lengths) // batch_size)
        assert max(map(len, found)) <= batch_size


def test_batches_for_evaluation_keep_the_order() -> None:
    found = np.concatenate(list(batches(np.array([5, 1, 9, 2]), 3, None)))
    assert list(found) == [0, 1, 2, 3]


def test_training_batches_hold_like_lengths_and_differ_between_epochs() -> None:
    lengths = np.random.default_rng(0).integers(5, 80, 3200)
    generator = np.random.default_rng(1)
    first, second = (list(batches(lengths, 32, generator)) for _ in range(2))
    padded = sum(len(rows) * lengths[rows].max() for rows in first)
    assert padded < 1.1 * lengths.sum()
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))
    again = list(batches(lengths, 32, np.random.default_rng(1)))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_padding_is_masked_and_few_widths_occur() -> None:
    ids = [np.arange(1, n + 1, dtype=np.int32) for n in (3, 9, 5)]
    tokens, mask = pad(ids, np.array([0, 1]), pad_id=7, limit=64)
    assert tokens.shape == mask.shape == (2, 16)
    assert list(tokens[0, :5]) == [1, 2, 3, 7, 7]
    assert list(mask.sum(axis=1)) == [3, 9]


@given(longest=st.integers(1, 512), limit=st.integers(8, 512))
def test_widths_are_few_and_hold_the_longest_row(longest: int, limit: int) -> None:
    found = width(longest, limit)
    assert longest <= found < longest + 16
    assert found <= max(limit, longest)
    assert len({width(n, 512) for n in range(1, 513)}) == 36


@given(
    labels=st.lists(st.integers(0, 3), min_size=2, max_size=200),
    fraction=st.floats(0.01, 0.49),
    seed=st.integers(0, 5),
)
def test_held_out_rows_are_apart_and_no_class_is_used_up(
    labels: list[int], fraction: float, seed: int
) -> None:
    array = np.array(labels)
    training, validation = hold_out(array, fraction, seed)
    assert sorted([*training, *validation]) == list(range(len(labels)))
    assert len(validation) >= 1
    counts = {label: labels.count(label) for label in set(labels)}
    if any(round(count * fraction) for count in counts.values()):
        assert set(array[training]) == set(labels)


def test_held_out_rows_are_stratified_and_seeded() -> None:
    labels = np.array([0] * 900 + [1] * 100)
    training, validation = hold_out(labels, 0.1, seed=3)
    assert list(np.bincount(labels[validation])) == [90, 10]
    assert np.array_equal(training, hold_out(labels, 0.1, seed=3)[0])
    assert not np.array_equal(training, hold_out(labels, 0.1, seed=4)[0])


def test_the_same_data_is_not_tokenized_again(tmp_path: Path) -> None:
    frame = canonical_text.canonical(
        pd.DataFrame(
            {
                "text": ["good", "bad film"] * 5,
                "label": ["pos", "neg"] * 5,
                "row": range(2, 12),
                "found": "text",
            }
        )
    )
    dataset = datasets.save([frame], [frame], ("a.xlsx", "b.xlsx"), tmp_path / "data")
    calls = 0

    def tokenize(texts):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        ids = [np.arange(len(text.split()), dtype=np.int32) for text in texts]
        return list(texts), ids, np.array([len(row) for row in ids])

    first = encoded_texts.encode(dataset, tokenize, "words", 1, tmp_path)
    again = encoded_texts.encode(dataset, tokenize, "words", 1, tmp_path)
    assert calls == 2  # train and test, once each
    assert again.cached
    assert again.key == first.key
    assert again.train.lengths.truncated == 5
    assert encoded_texts.encode(dataset, tokenize, "other", 1, tmp_path).key != first.key
    texts, ids, labels = encoded_texts.load(again.train)
    assert texts[:2] == ["good", "bad film"]
    assert [list(row) for row in ids[:2]] == [[0], [0, 1]]
    assert list(labels[:2]) == [1, 0]


def test_a_cache_that_moved_is_still_a_cache(tmp_path: Path) -> None:
    frame = canonical_text.canonical(
        pd.DataFrame({"text": ["good"], "label": ["pos"], "row": [2], "found": ["text"]})
    )
    dataset = datasets.save([frame], [frame], ("a.xlsx", "b.xlsx"), tmp_path / "data")

    def tokenize(texts):  # type: ignore[no-untyped-def]
        return list(texts), [np.ones(1, np.int32)] * len(texts), np.ones(len(texts), np.int64)

    encoded_texts.encode(dataset, tokenize, "words", 8, tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    moved = encoded_texts.encode(dataset, tokenize, "words", 8, tmp_path / "after")
    assert moved.cached
    assert encoded_texts.load(moved.train)[0] == ["good"]


@given(
    sets=st.lists(st.integers(0, 15), min_size=2, max_size=120),
    fraction=st.floats(0.01, 0.49),
    seed=st.integers(0, 5),
)
def test_no_label_is_used_up_by_the_held_out_rows(
    sets: list[int], fraction: float, seed: int
) -> None:
    truth = np.array([[n >> bit & 1 for bit in range(4)] for n in sets], dtype=bool)
    training, validation = hold_out(truth, fraction, seed)
    assert sorted([*training, *validation]) == list(range(len(sets)))
    assert len(validation) >= 1
    if len(sets) * fraction > 1:
        some = truth.any(axis=0), (~truth).any(axis=0)
        assert (truth[training].any(axis=0) | ~some[0]).all() or len(validation) == 1
        assert ((~truth[training]).any(axis=0) | ~some[1]).all() or len(validation) == 1


def test_sets_are_held_out_by_their_share() -> None:
    truth = np.repeat([[True, False], [True, True], [False, False]], [500, 300, 200], axis=0)
    _, validation = hold_out(truth, 0.1, seed=3)
    assert truth[validation].sum(axis=0).tolist() == [80, 30]
    assert len(validation) == 100


def test_sets_of_labels_are_kept_with_the_tokens(tmp_path: Path) -> None:
    frame = canonical_text.canonical(
        pd.DataFrame(
            {"text": ["a", "b", "c"], "label": ["x|y", "none", "y"], "row": 1, "found": "text"}
        )
    )
    dataset = datasets.save([frame], [frame], ("a.xlsx", "b.xlsx"), tmp_path / "data", ("x", "y"))

    def tokenize(texts):  # type: ignore[no-untyped-def]
        return list(texts), [np.ones(1, np.int32)] * len(texts), np.ones(len(texts), np.int64)

    encoded = encoded_texts.encode(dataset, tokenize, "words", 8, tmp_path)
    assert encoded.multilabel
    assert encoded.classes == ("x", "y")
    truth = encoded_texts.load(encoded.train)[2]
    assert truth.dtype == bool
    assert truth.tolist() == [[True, True], [False, False], [False, True]]
    assert encoded_texts.encode(
        dataset, tokenize, "words", 8, tmp_path
    ).multilabel  # from the cache
