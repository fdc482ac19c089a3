"""Each gate passes, blocks, warns or is off, and says so in plain words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from incumbent.decision import gates
from incumbent.decision.evidence import Evidence, Reign, Role, Tally
from incumbent.decision.gates import Gate
from incumbent.decision.proof_and_ruling import decide
from tests.evaluation.cases import CHALLENGER, CHAMPION, alone, build, counted, sure

Build = Callable[..., Evidence]
HALVES = {"first": np.arange(100) < 50, "last": np.arange(100) >= 50, "few": np.arange(100) < 29}


def looked_at(evidence: Evidence) -> dict[str, Gate]:
    found = gates.fitness(evidence)
    if evidence.has_champion:
        found += gates.comparison(evidence)
    assert len({gate.name for gate in found}) == len(found)
    return {gate.name: gate for gate in found}


def calibrated(right: int) -> Build:
    """Of 100 rows some right, all at a confidence of 80 %."""
    return lambda **known: alone(right, **known)


def sliced(right: int) -> Build:
    """The first rows are right: a slice of them, one of the rest and one of too few."""
    return lambda **known: alone(right, parts=HALVES, **known)


def behaved(**failures: int) -> Build:
    """Of 20 cases of each behaviour test some fail."""
    tallies = {name: Tally(cases=20, failures=n) for name, n in failures.items()}
    about = CHALLENGER.model_copy(update={"behaviour": tallies})
    return lambda **known: alone(80, challenger=about, **known)


def reigned(best: float) -> Build:
    """Two models of 80 %, in a reign whose best champion had this accuracy on their rows."""
    reign = Reign(number=1, test_digest="frozen", lead=best - 0.8)
    return lambda **known: counted(70, 10, 10, 10, reign=reign, **known)


def flipped(lost: int) -> Build:
    return lambda **known: counted(70, 10, lost, 20 - lost, **known)


def measured(**ours: Any) -> Build:
    """A challenger of so many seconds a row or megabytes, and a champion of 0.01 and 100."""
    champion = CHAMPION.model_copy(update={"seconds_per_row": 0.01, "megabytes": 100.0})
    about = CHALLENGER.model_copy(update=ours)
    return lambda **known: counted(70, 10, 10, 10, challenger=about, champion=champion, **known)


def seeded(*accuracies: float) -> Build:
    """Seeds of a challenger to a champion of 80 %, itself the first."""
    right = round(1000 * accuracies[0])

    def case(rules: dict[str, Any], **known: Any) -> Evidence:
        kinds = right - 100, 100, 900 - right, 100
        return counted(
            *kinds, seed_accuracies=accuracies, rules={"seeds": 3} | rules, **known
        )  # fmt: skip

    return case


def constant(**known: Any) -> Evidence:
    """The first class for all rows."""
    return build(np.arange(100) % 2, np.tile([0.7, 0.3], (100, 1)), **known)


def lost_class(**known: Any) -> Evidence:
    """Of 120 rows of a class 36 are lost; of 3,880 others 2.8 % are gained."""
    truth = np.r_[np.zeros(120, int), np.ones(3880, int)]
    theirs = np.r_[np.arange(120) < 102, np.arange(3880) < 3298]
    ours = np.r_[np.arange(120) < 66, np.arange(3880) < 3298 + 109]
    return build(truth, sure(truth, ours), sure(truth, theirs), **known)


GATES: dict[str, tuple[Build, str, Build, str]] = {
    "one_answer": (
        calibrated(60),
        "2 different answers among 100 test rows",
        constant,
        "it answers 'a' for all 100 test rows, though their labels differ: it may have learned "
        "nothing (more rows, more epochs or another model may help)",
    ),
    "min_accuracy": (
        calibrated(60),
        "its accuracy of 60.00% is at least the required 60.00%",
        calibrated(59),
        "its accuracy of 59.00% is below the required 60.00%",
    ),
    "baseline": (
        lambda **known: alone(76, baseline_accuracy=0.75, **known),
        "its gain over the baseline (75.00%) is +1.00 points, above the required +0.00",
        lambda **known: alone(75, baseline_accuracy=0.75, **known),
        "its gain over the baseline (75.00%) is +0.00 points, not above the required +0.00",
    ),
    "slices": (
        sliced(75),
        "its accuracy is at least 50.00% on every slice, the lowest on last (50.00% of 50 rows)",
        sliced(74),
        "its accuracy is below 50.00% on 1 of 2 slices: last (48.00% of 50 rows)",
    ),
    "calibration": (
        calibrated(71),
        "its expected calibration error is 0.090, at most 0.100",
        calibrated(65),
        "its expected calibration error is 0.150, above 0.100",
    ),
    "behaviour": (
        behaved(negation=5, typos=1),
        "in no behaviour test does it fail more than 25.00% of the cases; it does worst in "
        "negation (5 of 20)",
        behaved(negation=6, typos=1, names=9),
        "it fails more than 25.00% of the cases in 2 of 3 behaviour tests: names (9 of 20), "
        "negation (6 of 20)",
    ),
    "ratchet": (
        reigned(0.81),
        "its accuracy of 80.00% is not more than 1.00 points below 81.00%, the best of any "
        "champion of this reign",
        reigned(0.82),
        "its accuracy of 80.00% is more than 1.00 points below 82.00%, the best of any champion "
        "of this reign",
    ),
    "seeds": (
        seeded(0.82, 0.83, 0.84),
        "over 3 seeds its mean gain is +3.00 points, above their standard deviation of 1.00",
        seeded(0.78, 0.80, 0.83),
        "over 3 seeds its mean gain is +0.33 points, not above their standard deviation of 2.52",
    ),
    "slice_loss": (
        lambda **known: counted(350, 20, 20, 10, **known),
        "on none of 2 classes and slices is it shown to lose more than 2.00 points",
        lost_class,
        "it is shown to lose more than 2.00 points against the champion on 1 of 2 classes and "
        "slices: class: a (85.00% to 55.00% of 120 rows)",
    ),
    "negative_flips": (
        flipped(5),
        "of 100 rows it breaks 5 that the champion has right (5.00%), at most 5.00%",
        flipped(6),
        "of 100 rows it breaks 6 that the champion has right (6.00%), more than 5.00%",
    ),
    "latency": (
        measured(seconds_per_row=0.015),
        "it takes 15 ms a row, the champion 10 ms: 1.50 times as long, at most 1.50",
        measured(seconds_per_row=0.016),
        "it takes 16 ms a row, the champion 10 ms: 1.60 times as long, more than 1.50",
    ),
    "size": (
        measured(megabytes=150.0),
        "its files take 150.0 MB, the champion's 100.0 MB: 1.50 times as much, at most 1.50",
        measured(megabytes=1510.0),
        "its files take 1,510.0 MB, the champion's 100.0 MB: 15.10 times as much, more than 1.50",
    ),
}
EACH = pytest.mark.parametrize("name", GATES)


@EACH
@pytest.mark.parametrize("action", ["block", "warn"])
def test_a_gate_that_is_passed_says_by_how_much(name: str, action: str) -> None:
    passing, said, _, _ = GATES[name]
    gate = looked_at(passing(rules={f"on_{name}": action}))[name]
    assert (gate.passed, gate.verdict, gate.blocks) == (True, "passed", False)
    assert gate.action == action
    assert gate.message == said


@EACH
@pytest.mark.parametrize(("action", "verdict"), [("block", "blocked"), ("warn", "warned")])
def test_a_gate_that_is_not_passed_blocks_or_warns(name: str, action: str, verdict: str) -> None:
    _, _, failing, said = GATES[name]
    gate = looked_at(failing(rules={f"on_{name}": action}))[name]
    assert (gate.passed, gate.verdict, gate.blocks) == (False, verdict, action == "block")
    assert gate.message == said


@EACH
def test_a_gate_that_is_off_is_not_looked_at(name: str) -> None:
    passing, _, failing, _ = GATES[name]
    for case in (passing, failing):
        found = looked_at(case(rules={f"on_{name}": "off"}))
        assert name not in found
        assert "round_trip" in found


def test_every_gate_has_its_case() -> None:
    tallies = {"negation": Tally(cases=1, failures=0)}
    evidence = measured(megabytes=1.0, seconds_per_row=1.0, behaviour=tallies)(
        rules={"seeds": 3}, parts={"all": np.ones(100, bool)}, seed_accuracies=(0.8, 0.9),
        reign=Reign(number=1, test_digest="", lead=0.01),
    )  # fmt: skip
    assert set(looked_at(evidence)) == set(GATES) | {"round_trip"}


def test_a_model_that_answers_otherwise_than_it_was_measured_is_blocked_always() -> None:
    gate = looked_at(alone(80, round_trip="it answers other probabilities on 3 of 100 rows"))[
        "round_trip"
    ]
    assert gate.verdict == "blocked"
    assert gate.message == "it answers other probabilities on 3 of 100 rows"
    assert looked_at(alone(80))["round_trip"].verdict == "passed"


def test_what_is_not_known_is_not_looked_at() -> None:
    assert set(looked_at(counted(70, 10, 10, 10))) == {
        "round_trip", "one_answer", "min_accuracy", "baseline", "calibration", "negative_flips",
        "ratchet", "slice_loss",
    }  # fmt: skip
    untried = {"negation": Tally(cases=0, failures=0)}
    about = CHALLENGER.model_copy(update={"behaviour": untried})
    assert "behaviour" not in looked_at(alone(80, challenger=about))
    # Seconds of one model alone compare with nothing.
    ours = CHALLENGER.model_copy(update={"seconds_per_row": 1.0, "megabytes": 1.0})
    assert not {"latency", "size"} & set(looked_at(counted(70, 10, 10, 10, challenger=ours)))
    # One seed has no spread.
    assert "seeds" not in looked_at(seeded(0.9)(rules={}))
    assert "seeds" not in looked_at(seeded(0.9, 0.9)(rules={"seeds": 1}))


def test_slices_of_few_rows_are_not_looked_at() -> None:
    few = {"few": np.arange(100) < 29}
    assert "slices" not in looked_at(alone(0, parts=few))
    enough = {"enough": np.arange(100) < 30}
    assert looked_at(alone(0, parts=enough))["slices"].verdict == "warned"


def test_of_many_weak_slices_the_weakest_are_named() -> None:
    truth = np.zeros(400, int)
    right = np.concatenate([np.arange(50) < 2 * i for i in range(8)])  # 0, 4, ... 28 %
    parts = {f"part {i}": np.arange(400) // 50 == i for i in (3, 7, 0, 5, 1, 2, 6, 4)}
    gate = looked_at(build(truth, sure(truth, right), parts=parts))["slices"]
    assert gate.value == 0
    assert gate.message == (
        "its accuracy is below 50.00% on 8 of 8 slices: part 0 (0.00% of 50 rows), part 1 (4.00% "
        "of 50 rows), part 2 (8.00% of 50 rows), part 3 (12.00% of 50 rows), part 4 (16.00% of 50 "
        "rows) and 3 more"
    )


@pytest.mark.parametrize("best", [k / 300 for k in range(152, 300, 7)])
def test_just_at_the_margin_is_not_below_it(best: float) -> None:
    # Accuracies are fractions of rows, which decimal margins meet only but for rounding.
    right = round(best * 300)
    for lost, passed in ((3, True), (4, False)):
        reign = Reign(number=1, test_digest="", lead=best - (right - lost) / 300)
        gate = looked_at(counted(right - lost, 0, 0, 300 - right + lost, reign=reign))["ratchet"]
        assert gate.passed == passed


@pytest.mark.parametrize("baseline", [k / 100 for k in range(50, 95)])
def test_just_the_required_gain_is_not_above_it(baseline: float) -> None:
    rules = {"min_gain_over_baseline": 0.01}
    for more, passed in ((1, False), (2, True)):
        right = round(100 * baseline) + more
        evidence = alone(right, baseline_accuracy=baseline, rules=rules)
        assert looked_at(evidence)["baseline"].passed == passed


@pytest.mark.parametrize("spread", range(10))
def test_a_gain_of_just_the_spread_of_the_seeds_is_not_above_it(spread: int) -> None:
    # Of 80, 81 and 82 % mean gain and standard deviation are both a point.
    for more, passed in ((0, False), (0.001, True)):
        accuracies = [(80 + spread * i) / 100 + more for i in range(3)]
        assert looked_at(seeded(*accuracies)(rules={}))["seeds"].passed == passed


def test_fitness_is_judged_on_rows_that_the_challenger_has_not_trained_on() -> None:
    # The first 40 rows are right, all of them, and they were seen; of the others four in five are.
    seen = ["challenger"] * 20 + ["both"] * 20 + [""] * 60
    right = np.arange(100) % 5 > 0
    truth = np.zeros(100, int)
    parts = {"all": np.ones(100, bool)}
    both = sure(truth, (np.arange(100) < 40) | right)
    found = looked_at(build(truth, both, both, seen=seen, parts=parts))
    assert found["min_accuracy"].value == pytest.approx(0.8)
    assert "(80.00% of 60 rows)" in found["slices"].message
    assert found["calibration"].value == pytest.approx(0, abs=1e-12)
    # The baseline was measured on all rows.
    assert found["baseline"].value == pytest.approx(0.88 - 0.5)


def test_rows_that_the_champion_alone_has_trained_on_count_for_fitness() -> None:
    evidence = counted(40, 20, 10, 30, seen=["champion"] * 50 + [""] * 50)
    found = looked_at(evidence)
    assert found["min_accuracy"].value == pytest.approx(0.6)
    # They do not for the comparison, where the last 10 that were broken are.
    assert found["negative_flips"].message.startswith("of 50 rows it breaks 10 ")


def test_a_model_that_has_trained_on_the_whole_test_set_is_not_fit() -> None:
    found = looked_at(alone(100, seen=["challenger"] * 100, parts={"all": np.ones(100, bool)}))
    assert set(found) == {"round_trip", "one_answer", "min_accuracy", "baseline"}
    assert found["min_accuracy"].verdict == "blocked"
    assert found["min_accuracy"].message == (
        "all 100 test rows are in its training data, or nearly: how it does on others is not known"
    )


def test_broken_rows_are_those_that_only_the_champion_has_right() -> None:
    evidence = counted(3, 2, 4, 1, seen=[""] * 9 + ["both"])
    assert np.flatnonzero(gates.broken(evidence)).tolist() == [5, 6, 7, 8]


def test_training_rows_that_are_unknown_are_warned_of() -> None:
    evidence = counted(70, 10, 10, 10)
    assert "training_rows" not in looked_at(evidence)
    assert evidence.case.champion is not None
    unknown = evidence.case.champion.model_copy(update={"fingerprints": False})
    made = evidence.case.model_copy(update={"champion": unknown})
    gate = looked_at(type(evidence)(made, evidence.rows))["training_rows"]
    assert gate.verdict == "warned"
    assert "unknown" in gate.message


def test_training_rows_of_its_own_that_are_unknown_are_warned_of() -> None:
    unknown = CHALLENGER.model_copy(update={"fingerprints": False})
    evidence = alone(80, challenger=unknown, baseline_accuracy=None)
    found = looked_at(evidence)
    assert found["own_training_rows"].verdict == "warned"
    assert "its training rows are unknown" in found["own_training_rows"].message
    assert "baseline" not in found
    ruling = decide(evidence)
    assert ruling.decision == "promoted"
    assert "Warnings: its training rows are unknown" in ruling.reason
    assert "own_training_rows" not in looked_at(alone(80))


def test_the_ratchet_holds_in_the_first_contest_of_a_reign() -> None:
    gate = looked_at(counted(60, 5, 25, 10))["ratchet"]  # 65 % against the champion's 85 %
    assert gate.verdict == "blocked"
    assert "85.00%" in gate.message


def half_seen(**known: Any) -> Evidence:
    """3,000 rows, of which the champion has seen 1,200: right on 99 % there, 85 % elsewhere.

    The challenger is right on 88 % of all.
    """
    n = 1200
    theirs = np.r_[np.arange(n) < 0.99 * n, np.arange(1800) < 0.85 * 1800]
    # Of the unseen rows 72 are gained and 18 lost.
    there = np.arange(1800)
    ours = np.r_[np.arange(n) < 0.88 * n, (there < 1530 - 18) | ((there >= 1530) & (there < 1602))]
    truth = np.arange(3000) % 2
    seen = ["champion"] * n + [""] * 1800
    return build(truth, sure(truth, ours, 0.9), sure(truth, theirs, 0.9), seen=seen, **known)


def test_what_the_champion_has_trained_on_does_not_raise_the_ratchet() -> None:
    gate = looked_at(half_seen())["ratchet"]
    assert (gate.passed, gate.value, gate.threshold) == (
        True, pytest.approx(0.88), pytest.approx(0.84),
    )  # fmt: skip
    assert gate.message.startswith("its accuracy of 88.00% is not more than 1.00 points below 85.0")
    ruling = decide(half_seen())
    assert ruling.decision == "promoted", ruling.reason


def test_what_the_champion_has_trained_on_does_not_count_against_the_seeds() -> None:
    accuracies = (0.88, 0.885, 0.875)
    gate = looked_at(half_seen(rules={"seeds": 3}, seed_accuracies=accuracies))["seeds"]
    assert gate.passed
    assert gate.value == pytest.approx(0.03)
    assert gate.threshold == pytest.approx(0.005)


def test_a_case_of_the_first_edition_is_judged_as_it_was() -> None:
    first = looked_at(half_seen(edition=1))["ratchet"]
    assert (first.passed, first.value) == (False, pytest.approx(0.88))
    assert "below 90.60%" in first.message


# --- where the challenger is worse


def test_a_class_that_loses_while_the_others_gain_is_told_beside_the_promotion() -> None:
    ruling = decide(lost_class())
    assert ruling.decision == "promoted"
    assert "class: a (85.00% to 55.00% of 120 rows)" in ruling.reason
    assert decide(lost_class(rules={"on_slice_loss": "block"})).decision == "kept"


def test_more_slices_ask_for_more_proof_of_a_loss() -> None:
    """A loss of 7 of 40 rows is shown on one slice, and on one of many it may be luck."""
    parts = {"weak": np.arange(400) < 40}
    others = {f"part {i}": np.arange(400) % 40 == i for i in range(10, 40)}
    right = np.ones(400, bool)
    truth = np.arange(400) % 2

    def gate(parts: dict[str, Any]) -> Gate:
        ours = right & ~(np.arange(400) < 7)
        case = build(
            truth, sure(truth, ours), sure(truth, right), parts=parts,
            rules={"max_slice_loss": 0.0},
        )  # fmt: skip
        return looked_at(case)["slice_loss"]

    few, many = gate(parts), gate(parts | others)
    assert many.value < few.value
    assert not few.passed


def test_slices_of_classes_are_not_counted_twice_and_small_ones_not_at_all() -> None:
    parts = {"class: a": np.arange(400) % 2 == 0, "few": np.arange(400) < 9}
    gate = looked_at(counted(350, 20, 20, 10, parts=parts))["slice_loss"]
    assert gate.message.startswith("on none of 2 classes and slices ")


def test_slices_of_few_groups_are_not_looked_at() -> None:
    """Twenty rows of two customers tell of two customers."""
    rows = {"parts": {"new": np.arange(400) < 20}}
    by = {"alone": np.arange(400), "pairs": np.where(np.arange(400) < 20, 0, np.arange(400))}
    said = [
        looked_at(counted(350, 20, 20, 10, groups=groups, **rows))["slice_loss"].message
        for groups in by.values()
    ]
    assert [message.split(" is ")[0] for message in said] == [
        "on none of 3 classes and slices", "on none of 2 classes and slices",
    ]  # fmt: skip


# --- rows with any of the labels


def test_gates_count_a_row_as_right_if_all_its_labels_are() -> None:
    truth = np.tile([[True, False], [False, False]], (50, 1))
    p = np.where(truth, 0.9, 0.1)
    p[:10, 1] = 0.9  # of ten rows one label is right and the other is not
    found = looked_at(build(truth, p, parts={"class: x": truth[:, 0]}))
    assert found["min_accuracy"].value == 0.9
    assert found["slices"].value == pytest.approx(45 / 50)
    assert gates.accuracy_of(build(truth, p), Role.CHALLENGER) == 0.9
    champion = np.where(truth, 0.9, 0.1)
    flips = looked_at(build(truth, p, champion))["negative_flips"]
    assert (flips.value, flips.verdict) == (0.1, "warned")
    # 190 of 200 answers are right, all at a confidence of 90 %.
    assert found["calibration"].value == pytest.approx(0.05)
