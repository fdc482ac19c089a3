"""The gates of a promotion: each judges one part of the evidence, and says so in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, computed_field

from incumbent.config import Action, PromotionConfig
from incumbent.decision.evidence import Evidence, Role
from incumbent.decision.slice_losses import losses
from incumbent.evaluation import paired_tests, slices
from incumbent.evaluation.metric_formulas import terms_of
from incumbent.evaluation.scored_predictions import Scored


class Gate(BaseModel, frozen=True):
    """One condition of a promotion; `message` says in plain words how it went.

    A gate that is not passed blocks the promotion, or warns.
    """

    name: str
    action: Literal["block", "warn"]
    passed: bool
    value: float
    threshold: float
    message: str

    @property
    def blocks(self) -> bool:
        """Whether it keeps the challenger from the title."""
        return self.action == "block" and not self.passed

    @computed_field  # type: ignore[prop-decorator]
    @property
    def verdict(self) -> str:
        """`passed`, `blocked` or `warned`."""
        return "passed" if self.passed else "blocked" if self.blocks else "warned"


class GateResult(NamedTuple):
    """How a gate went: what was measured, what it was held against, and both in words."""

    passed: bool
    value: float
    threshold: float
    message: str


def fitness(evidence: Evidence) -> list[Gate]:
    """Gates that any champion must pass, whoever was before it."""
    return list(_judged(evidence, _FITNESS))


def comparison(evidence: Evidence) -> list[Gate]:
    """Gates that compare the challenger with the champion, beside the proof itself."""
    return list(_judged(evidence, _COMPARISON))


def vacancy(evidence: Evidence) -> list[Gate]:
    """Gates that hold in a reign whose champion was taken away by hand."""
    known = evidence.case.reign.best_accuracy is not None
    return list(_judged(evidence, {"ratchet": _COMPARISON["ratchet"]})) if known else []


ONE_ANSWER = "one_answer"
"""The gate that a reason begins with."""
_SHOWN = 5  # slices that a message names

_Judge = Callable[[Evidence, PromotionConfig], GateResult | None]


def _judged(evidence: Evidence, gates: dict[str, tuple[str, _Judge]]) -> Iterator[Gate]:
    rules = evidence.case.promotion
    for name, (switch, judge) in gates.items():
        action: Action = getattr(rules, switch) if switch.startswith("on_") else _FIXED[switch]
        if action != "off" and (result := judge(evidence, rules)) is not None:
            yield Gate(name=name, action=action, **result._asdict())


def _round_trip(evidence: Evidence, _: PromotionConfig) -> GateResult:
    fault = evidence.case.round_trip
    good = "loaded from the registry in a process of its own, it answers as it was measured"
    return GateResult(not fault, float(not fault), 1.0, fault or good)


def _one_answer(evidence: Evidence, _: PromotionConfig) -> GateResult | None:
    scored = evidence.scored(Role.CHALLENGER, np.ones(len(evidence.rows), dtype=np.bool_))
    if len(np.unique(scored.labels, axis=0)) < 2:
        return None
    answers = np.unique(scored.predicted, axis=0)
    names = [name for name, said in zip(evidence.case.classes, answers[0], strict=True) if said]
    said = f"{len(answers):,} different answers among {len(evidence.rows):,} test rows"
    if len(answers) == 1:
        answer = " and ".join(map(repr, names)) or "no label"
        said = (
            f"it answers {answer} for all {len(evidence.rows):,} test rows, though their labels "
            "differ: it may have learned nothing (more rows, more epochs or another model may help)"
        )
    return GateResult(len(answers) > 1, float(len(answers)), 2.0, said)


def _min_accuracy(evidence: Evidence, rules: PromotionConfig) -> GateResult:
    if not evidence.fresh.any():
        return GateResult(
            False,
            0.0,
            rules.min_accuracy,
            f"all {len(evidence.rows):,} test rows are in its training data, or nearly: "
            "how it does on others is not known",
        )
    accuracy = float(_fresh(evidence).right.mean())
    passed = accuracy >= rules.min_accuracy
    return GateResult(
        passed,
        accuracy,
        rules.min_accuracy,
        f"its accuracy of {accuracy:.2%} is {'at least' if passed else 'below'} the required "
        f"{rules.min_accuracy:.2%}",
    )


def _own_training_rows(evidence: Evidence, _: PromotionConfig) -> GateResult | None:
    if evidence.case.challenger.fingerprints:
        return None
    return GateResult(
        False,
        0.0,
        1.0,
        "its training rows are unknown: if test rows are among them, it is worse than it looks; "
        "they could not be left out, and no baseline be trained on the same rows",
    )


def _baseline(evidence: Evidence, rules: PromotionConfig) -> GateResult | None:
    baseline = evidence.case.baseline_accuracy
    if baseline is None:
        return None
    gain = accuracy_of(evidence, Role.CHALLENGER) - baseline
    passed = round(gain - rules.min_gain_over_baseline, paired_tests.DECIMALS) > 0
    return GateResult(
        passed,
        gain,
        rules.min_gain_over_baseline,
        f"its gain over the baseline ({baseline:.2%}) is {100 * gain:+z.2f} points, "
        f"{'above' if passed else 'not above'} the required "
        f"{100 * rules.min_gain_over_baseline:+z.2f}",
    )


def _slices(evidence: Evidence, rules: PromotionConfig) -> GateResult | None:
    if not evidence.fresh.any():
        return None
    parts, confidence = evidence.slices(evidence.fresh), evidence.case.evaluation.confidence
    found = slices.accuracies(parts, _fresh(evidence).right, confidence)
    enough = [part for part in found if part.enough]
    if not enough:
        return None
    ranked = sorted(enough, key=lambda part: part.accuracy.value)
    low = [part for part in ranked if part.accuracy.value < rules.min_slice_accuracy]
    worst, floor = ranked[0].accuracy.value, f"{rules.min_slice_accuracy:.2%}"
    said = f"its accuracy is at least {floor} on every slice, the lowest on {_slice(ranked[0])}"
    if low:
        more = f" and {len(low) - _SHOWN:,} more" if len(low) > _SHOWN else ""
        said = (
            f"its accuracy is below {floor} on {len(low):,} of {_counted(len(ranked), 'slice')}: "
            f"{', '.join(_slice(part) for part in low[:_SHOWN])}{more}"
        )
    return GateResult(not low, worst, rules.min_slice_accuracy, said)


def _slice(part: slices.SliceAccuracy) -> str:
    return f"{part.name} ({part.accuracy.value:.2%} of {part.rows:,} rows)"


def _calibration(evidence: Evidence, rules: PromotionConfig) -> GateResult | None:
    if not evidence.fresh.any():
        return None
    scored, bins = _fresh(evidence), evidence.case.evaluation.calibration_bins
    gaps = terms_of(scored, bins).gap.sum(axis=1)
    error = float(np.abs(gaps).sum()) / len(scored.truth)
    passed = error <= rules.max_calibration_error
    return GateResult(
        passed,
        error,
        rules.max_calibration_error,
        f"its expected calibration error is {error:.3f}, "
        f"{'at most' if passed else 'above'} {rules.max_calibration_error:.3f}",
    )


def _behaviour(evidence: Evidence, rules: PromotionConfig) -> GateResult | None:
    tallies = {k: t for k, t in evidence.case.challenger.behaviour.items() if t.cases}
    if not tallies:
        return None
    rates = {name: tally.failures / tally.cases for name, tally in tallies.items()}
    ranked = sorted(rates, key=lambda name: -rates[name])
    failed = [name for name in ranked if rates[name] > rules.max_behaviour_failures]
    shown = ", ".join(
        f"{name} ({tallies[name].failures:,} of {tallies[name].cases:,})"
        for name in failed or ranked[:1]
    )
    most = f"{rules.max_behaviour_failures:.2%} of the cases"
    said = f"in no behaviour test does it fail more than {most}; it does worst in {shown}"
    if failed:
        tests = f"{len(failed):,} of {_counted(len(ranked), 'behaviour test')}"
        said = f"it fails more than {most} in {tests}: {shown}"
    return GateResult(not failed, rates[ranked[0]], rules.max_behaviour_failures, said)


def _ratchet(evidence: Evidence, rules: PromotionConfig) -> GateResult | None:
    reign = evidence.case.reign
    best = reign.best_accuracy or 0.0
    if evidence.case.edition == 1:  # on all rows, those that a model has trained on included
        accuracy = accuracy_of(evidence, Role.CHALLENGER)
        if evidence.has_champion:
            best = max(best, accuracy_of(evidence, Role.CHAMPION))
    elif evidence.has_champion:
        found = unseen_accuracies(evidence)
        accuracy, best = found[Role.CHALLENGER], found[Role.CHAMPION] + reign.lead
    elif evidence.fresh.any():
        accuracy = float(_fresh(evidence).right.mean())
    else:
        return None
    floor = best - rules.ratchet_margin
    passed = round(accuracy - floor, paired_tests.DECIMALS) >= 0
    return GateResult(
        passed,
        accuracy,
        floor,
        f"its accuracy of {accuracy:.2%} is {'not ' * passed}more than "
        f"{100 * rules.ratchet_margin:.2f} points below {best:.2%}, the best of any champion of "
        "this reign",
    )


def _training_rows(evidence: Evidence, _: PromotionConfig) -> GateResult | None:
    champion = evidence.case.champion
    if champion is None or champion.fingerprints:
        return None
    return GateResult(
        False,
        0.0,
        1.0,
        "the champion's training rows are unknown: test rows among them could not be left out",
    )


def _slice_loss(evidence: Evidence, rules: PromotionConfig) -> GateResult | None:
    found, most = losses(evidence), rules.max_slice_loss
    if not found:
        return None
    worse = [part for part in found if part.loss > most]
    margin = f"{100 * most:.2f} points"
    said = f"on none of {len(found):,} classes and slices is it shown to lose more than {margin}"
    if worse:
        shown = ", ".join(
            f"{part.name} ({part.theirs:.2%} to {part.ours:.2%} of {part.rows:,} rows)"
            for part in worse[:_SHOWN]
        )
        more = f" and {len(worse) - _SHOWN:,} more" if len(worse) > _SHOWN else ""
        said = (
            f"it is shown to lose more than {margin} against the champion on {len(worse):,} of "
            f"{len(found):,} classes and slices: {shown}{more}"
        )
    return GateResult(not worse, found[0].loss, most, said)


def _negative_flips(evidence: Evidence, rules: PromotionConfig) -> GateResult:
    flips = broken(evidence)
    share = float(flips.mean())
    passed = share <= rules.max_negative_flips
    return GateResult(
        passed,
        share,
        rules.max_negative_flips,
        f"of {_counted(len(flips), 'row')} it breaks {int(flips.sum()):,} that the champion has "
        f"right ({share:.2%}), {'at most' if passed else 'more than'} "
        f"{rules.max_negative_flips:.2%}",
    )


def _latency(evidence: Evidence, rules: PromotionConfig) -> GateResult | None:
    champion, ours = evidence.case.champion, evidence.case.challenger.seconds_per_row
    theirs = champion.seconds_per_row if champion else None
    if not ours or not theirs:
        return None
    said = f"it takes {1000 * ours:.3g} ms a row, the champion {1000 * theirs:.3g} ms"
    return _times(ours / theirs, rules.max_latency_ratio, f"{said}: {{}} times as long")


def _size(evidence: Evidence, rules: PromotionConfig) -> GateResult | None:
    champion, ours = evidence.case.champion, evidence.case.challenger.megabytes
    theirs = champion.megabytes if champion else None
    if not ours or not theirs:
        return None
    said = f"its files take {ours:,.1f} MB, the champion's {theirs:,.1f} MB"
    return _times(ours / theirs, rules.max_size_ratio, f"{said}: {{}} times as much")


def _times(ratio: float, most: float, said: str) -> GateResult:
    """The challenger's cost over the champion's, against the most it may be."""
    passed = ratio <= most
    limit = f"{'at most' if passed else 'more than'} {most:.2f}"
    return GateResult(passed, ratio, most, f"{said.format(f'{ratio:.2f}')}, {limit}")


def _seeds(evidence: Evidence, rules: PromotionConfig) -> GateResult | None:
    accuracies = evidence.case.seed_accuracies
    if rules.seeds < 2 or len(accuracies) < 2:
        return None
    gain = float(np.mean(accuracies))
    if evidence.case.edition == 1:
        gain -= accuracy_of(evidence, Role.CHAMPION)
    else:  # the repeats by themselves, and the challenger where neither model has trained
        found = unseen_accuracies(evidence)
        gain += found[Role.CHALLENGER] - found[Role.CHAMPION] - accuracies[0]
    spread = float(np.std(accuracies, ddof=1))
    passed = round(gain - spread, paired_tests.DECIMALS) > 0
    return GateResult(
        passed,
        gain,
        spread,
        f"over {len(accuracies)} seeds its mean gain is {100 * gain:+z.2f} points, "
        f"{'above' if passed else 'not above'} their standard deviation of {100 * spread:.2f}",
    )


_FIXED: dict[str, Action] = {"block": "block", "warn": "warn"}  # what no config changes
_FITNESS: dict[str, tuple[str, _Judge]] = {
    "round_trip": ("block", _round_trip),
    "own_training_rows": ("warn", _own_training_rows),
    ONE_ANSWER: ("on_one_answer", _one_answer),
    "min_accuracy": ("on_min_accuracy", _min_accuracy),
    "baseline": ("on_baseline", _baseline),
    "slices": ("on_slices", _slices),
    "calibration": ("on_calibration", _calibration),
    "behaviour": ("on_behaviour", _behaviour),
}
_COMPARISON: dict[str, tuple[str, _Judge]] = {
    "ratchet": ("on_ratchet", _ratchet),
    "training_rows": ("warn", _training_rows),
    "seeds": ("on_seeds", _seeds),
    "slice_loss": ("on_slice_loss", _slice_loss),
    "negative_flips": ("on_negative_flips", _negative_flips),
    "latency": ("on_latency", _latency),
    "size": ("on_size", _size),
}


def accuracy_of(evidence: Evidence, role: Role) -> float:
    """A model's accuracy on all test rows, those that were seen in training included."""
    every = np.ones(len(evidence.rows), dtype=np.bool_)
    return float(evidence.scored(role, every).right.mean())


def unseen_accuracies(evidence: Evidence) -> dict[Role, float]:
    """The accuracies of both models on the rows that neither has trained on, if there are any."""
    roles = [Role.CHALLENGER, Role.CHAMPION] if evidence.has_champion else [Role.CHALLENGER]
    if not evidence.compared:
        return {}
    return {role: float(evidence.scored(role).right.mean()) for role in roles}


def _fresh(evidence: Evidence) -> Scored:
    """The challenger on the rows that it has not trained on, whoever is champion."""
    return evidence.scored(Role.CHALLENGER, evidence.fresh)


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' if n != 1 else ''}"


def broken(evidence: Evidence) -> paired_tests.BoolArray:
    """Which of the compared rows the champion has right and the challenger does not."""
    return evidence.scored(Role.CHAMPION).right & ~evidence.scored(Role.CHALLENGER).right
