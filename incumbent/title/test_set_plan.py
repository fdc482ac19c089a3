"""What a test set can see: the smallest gain that the next contests would find."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel

from incumbent.data import ingestion
from incumbent.decision import error_budget, power, proof_and_ruling
from incumbent.decision.error_budget import PastContest
from incumbent.decision.evidence import Evidence, Role
from incumbent.decision.power import Pair
from incumbent.decision.proof_and_ruling import MIN_COMPARED
from incumbent.errors import ConfigError, RegistryError
from incumbent.title import evidence_storage
from incumbent.title.ledger import Entry, Ledger, reign_of
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_writes import Registry
from incumbent.validation import rows_left_out

if TYPE_CHECKING:
    from incumbent.config import Config

_AHEAD = (0, 3, 12, 51)  # contests after the next one, if those between win nothing
_GAINS = (0.01, 0.02, 0.03, 0.05)  # of accuracy


class NextContest(BaseModel, frozen=True):
    """A contest to come: its number in the reign, its one-sided level, and what it would find.

    `gain` is the smallest gain in accuracy (0-1) found with 80 % chance; None if none is.
    """

    contest: int
    level: float
    gain: float | None


class RowsFor(BaseModel, frozen=True):
    """How many test rows find a gain in accuracy with 80 % chance, and how many are missing.

    None if ten million would not do.
    """

    gain: float
    rows: int | None
    missing: int | None


class Plan(BaseModel, frozen=True):
    """What a test set can see.

    `compared` counts the rows that models are compared on, without those that one has trained on.
    `measured_at` is the version at whose contest it was seen how two models differ; None where it
    is what real models usually do.
    """

    model_name: str
    test_rows: int
    compared: int
    pair: Pair
    measured_at: int | None
    metric: power.Metric
    chance: float = power.ENOUGH
    contests: tuple[NextContest, ...]
    rows_for: tuple[RowsFor, ...]

    def in_words(self) -> str:
        """What the next contest finds, in a sentence."""
        gain = self.contests[0].gain
        if gain is None:
            return (
                f"{self.compared:,} test rows are too few to find any gain with "
                f"{self.chance:.0%} chance"
            )
        return (
            f"with {self.compared:,} test rows the next contest finds a gain of "
            f"{100 * gain:.1f} points with {self.chance:.0%} chance"
        )


def plan(registry: Registry, config: Config) -> Plan:
    """See what the config's test set can show at the next contests of its model.

    Raises:
        ConfigError: if the policy asks for no gain.
        DataError: if the data cannot be read.
        RegistryError: if the ledger cannot be read.
    """
    rules = config.promotion
    if rules.policy != "superiority":
        raise ConfigError(
            f"promotion.policy is {rules.policy}, by which a challenger need not gain anything: "
            "there is no smallest gain. Set it to superiority to plan for one."
        )
    workdir = Path(config.tracking.workdir)
    dataset = ingestion.ingest(
        config.data, workdir, config.evaluation.slices, config.validation.labels
    )
    test = rows_left_out.leave_out(dataset, config.validation).dataset.test
    entries = Ledger(registry, config.model_name).entries()
    reign = reign_of(entries, test.digest)
    mine = [e for e in entries if e.test_digest == test.digest and e.comparison is not None]
    pair, compared, measured_at = _as_measured(mine, Runs(registry.tracking)) or (
        Pair(), test.rows, None,
    )  # fmt: skip
    past = list(reign.contests) if reign else []
    champion = next((e.champion for e in reversed(entries) if e.champion is not None), None) or 0
    allowed = [
        error_budget.allow(
            [*past, *_lost(past, champion, ahead, rules.alpha, rules.half_life)], champion,
            error_budget.EVEN, rules.alpha, rules.half_life,
        )
        for ahead in _AHEAD
    ]  # fmt: skip
    metric = rules.metric
    return Plan(
        model_name=config.model_name, test_rows=test.rows, compared=compared, pair=pair,
        measured_at=measured_at, metric=metric,
        contests=tuple(
            NextContest(
                contest=one.contest, level=one.level,
                gain=None if compared < MIN_COMPARED
                else power.smallest_gain(compared, pair, one.level, metric),
            )
            for one in allowed
        ),
        rows_for=tuple(
            _rows_for(gain, pair, allowed[0].level, metric, compared / test.rows, test.rows)
            for gain in _GAINS
        ),
    )  # fmt: skip


def _rows_for(
    gain: float, pair: Pair, level: float, metric: power.Metric, share: float, rows: int
) -> RowsFor:
    """With the share of test rows that are compared."""
    compared = power.rows_for(gain, pair, level, metric)
    if compared is None:
        return RowsFor(gain=gain, rows=None, missing=None)
    needed = ceil(max(compared, MIN_COMPARED) / (share or 1))
    return RowsFor(gain=gain, rows=needed, missing=max(0, needed - rows))


def _lost(
    past: Sequence[PastContest], champion: int, count: int, alpha: float, half_life: float
) -> list[PastContest]:
    """So many contests more that nobody wins."""
    lost: list[PastContest] = []
    for _ in range(count):
        allowed = error_budget.allow([*past, *lost], champion, error_budget.EVEN, alpha, half_life)
        lost.append(
            PastContest(
                champion=champion, critical=allowed.critical, loading=allowed.loading, passed=False
            )
        )
    return lost


def _as_measured(contests: Sequence[Entry], runs: Runs) -> tuple[Pair, int, int] | None:
    """How two models differed at the last contest whose evidence is there, if there is one.

    Returns:
        That, on how many rows, and the challenger's version.
    """
    for entry in reversed(contests):
        with suppress(RegistryError), tempfile.TemporaryDirectory() as place:
            found = evidence_storage.replay(
                runs, str(entry.evidence_run_id), Path(place), entry.evidence_folder
            )
            return _pair(found), found.compared, entry.version
    return None


def _pair(found: Evidence) -> Pair:
    """How challenger and champion differed on the rows that neither has trained on."""
    challenger, champion = found.scored(Role.CHALLENGER), found.scored(Role.CHAMPION)
    right = challenger.right.astype(float) - champion.right
    if not right.any():  # they answered alike
        return Pair()
    loss = proof_and_ruling.improvement(challenger, champion, found.case.promotion)
    alike = float(np.corrcoef(right, loss)[0, 1]) if loss.std() else 0.0
    return Pair(
        disagreement=float(np.abs(right).mean()), alike=alike,
        design_effect=power.design_effect(right, found.groups),
    )  # fmt: skip
