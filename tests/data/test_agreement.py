"""Krippendorff's alpha against the worked examples of Krippendorff 2011, and who differs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from incumbent.data import agreement

# Parts A, B and C of the paper: what each observer says of each unit, and the alpha there.
EXAMPLES = {
    "binary, two observers": (["0100000010", "1110010000"], 0.095),
    "nominal, two observers": (["aabbdcccedda", "babbbccceddd"], 0.692),
    "nominal, four observers, missing": (
        ["123321412...", "1233224125.3", ".3332342251.", "12332441251."],
        0.743,
    ),
}


def codes(said: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Units, people and values of what observers say, `.` being missing."""
    found = [
        (unit, person, ord(value))
        for person, values in enumerate(said)
        for unit, value in enumerate(values)
        if value != "."
    ]
    units, people, values = np.array(found).T
    return units, people, values - values.min()


@pytest.mark.parametrize("example", EXAMPLES)
def test_alpha_is_that_of_the_paper(example: str) -> None:
    said, alpha = EXAMPLES[example]
    units, _, values = codes(said)
    assert agreement.krippendorff_alpha(units, values) == pytest.approx(alpha, abs=5e-4)


def test_alpha_is_what_its_definition_says() -> None:
    """1 - D_o / D_e, by all pairs of values: of a unit, and of all units together."""
    generator = np.random.default_rng(1)
    units = np.repeat(np.arange(40), generator.integers(1, 6, 40))
    values = np.where(generator.random(len(units)) < 0.6, units % 4, generator.integers(0, 4))
    groups = [values[units == unit] for unit in range(40)]
    pairable = [group for group in groups if len(group) > 1]
    n = sum(map(len, pairable))
    observed = sum(
        sum(a != b for a, b in itertools.permutations(group, 2)) / (len(group) - 1)
        for group in pairable
    )
    together = np.concatenate(pairable)
    expected = sum(a != b for a, b in itertools.permutations(together.tolist(), 2)) / (n - 1)
    found = agreement.krippendorff_alpha(units, values)
    assert found == pytest.approx(1 - observed / expected)


def test_nothing_can_be_told_where_labels_do_not_vary_or_nobody_meets() -> None:
    one, two = np.zeros(2, np.int64), np.arange(2)
    assert agreement.krippendorff_alpha(one, one) is None
    assert agreement.krippendorff_alpha(two, two) is None
    assert agreement.krippendorff_alpha(one[:0], one[:0]) is None
    found = agreement.measured(two, two, two, ["ann", "bob"], ["x", "y"])
    assert found is not None
    assert (found.people, found.rows, found.alpha, found.pairs) == (2, 0, None, ())
    assert agreement.measured(two, two, two, [], ["x", "y"]) is None


def test_the_interval_holds_alpha_and_narrows_with_more_units() -> None:
    said, alpha = EXAMPLES["nominal, four observers, missing"]
    widths = []
    for times in (1, 25):
        units, people, values = codes([row * times for row in said])
        found = agreement.measured(units, people, values, "ABCD", list("12345"))
        assert found is not None
        assert found.alpha == pytest.approx(alpha, abs=0.02)
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.alpha < found.high
        widths.append(found.high - found.low)
    assert widths[1] == pytest.approx(widths[0] / 5, rel=0.3)


def test_who_differs_from_whom_on_what(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ["xxxxyy", "xyyxyz", "..xxyy"]
    units, people, values = codes(said)
    # Each part of the rows by itself comes to the same.
    for at_once in (50_000, 2):
        monkeypatch.setattr(agreement, "_AT_ONCE", at_once)
        found = agreement.measured(units, people, values, ["ann", "bob", "cy"], _names(values))
        assert found is not None
        assert [(p.one, p.other, p.rows, p.alike, p.confused) for p in found.pairs] == [
            ("ann", "bob", 6, 3, ("x", "y", 2)),
            ("bob", "cy", 4, 2, ("z", "y", 1)),
            ("ann", "cy", 4, 4, None),
        ]


def _names(values: np.ndarray) -> list[str]:
    """The names of codes, of which the least is `.` plus one or more."""
    return [chr(code + ord("x")) for code in range(values.max() + 1)]


def test_of_sets_each_label_has_an_alpha() -> None:
    sets = ["none", "late", "late|wet", "wet"]
    one, other = [0, 1, 2, 3, 1, 0], [0, 1, 2, 2, 1, 3]
    units = np.tile(np.arange(6), 2)
    people = np.repeat([0, 1], 6)
    labels = np.array(one + other)
    found = agreement.measured(units, people, labels, ["ann", "bob"], sets, sets=True)
    assert found is not None
    assert found.rows == 6
    for name, having in (("late", (1, 2)), ("wet", (2, 3))):
        expected = agreement.krippendorff_alpha(units, np.isin(labels, having).astype(np.int64))
        assert found.by_label[name] == pytest.approx(expected)
    assert found.alpha == agreement.krippendorff_alpha(units, labels)
    assert found.pairs[0].confused in (("wet", "late|wet", 1), ("none", "wet", 1))
