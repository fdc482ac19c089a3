"""The evidence of a decision: all that it rests on, in one folder from which it is made again.

`case.json` holds what was measured once for each model, the state of the reign and the rules;
`rows.parquet` one row for each test row, with columns

- `row` (int64): as the user's program numbers it;
- `truth` (int64): the index of its class; where rows may have several labels, `truth:<label>`
  (bool) for each: whether it has that label;
- `challenger:<class>`, `champion:<class>` (float64): the probabilities of either model;
- `seen` (str): whose training rows hold it or a near duplicate: "", "challenger", "champion" or
  "both";
- `slice:<name>` (bool): whether the row is in the slice;
- `group` (int64), where rows come in groups: the number of the row's.

There is no text in it.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pydantic import AliasChoices, BaseModel, Field, field_validator

from incumbent.config import EvaluationConfig, PromotionConfig
from incumbent.decision.error_budget import PastContest
from incumbent.errors import RegistryError
from incumbent.evaluation.scored_predictions import Scored
from incumbent.evaluation.slices import Slice
from incumbent.runtime.atomic_files import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

EDITION = 2
"""Of the rule. Cases of release 0.1.0 are of the first, and are ruled on as they were."""
_SLICE = "slice:"
_FILES = "case.json", "rows.parquet"


class Role(StrEnum):
    """The two models of a contest; the values name columns of `rows.parquet`."""

    CHALLENGER = "challenger"
    CHAMPION = "champion"


class Tally(BaseModel, frozen=True):
    """How often a model failed a behaviour test."""

    cases: int
    failures: int


class Contender(BaseModel, frozen=True):
    """What is known of one model beside its predictions.

    `seconds_per_row` is that of the registered model in a process of its own; `megabytes` the
    size of its predictor's files. `fingerprints` says whether its training rows could be compared
    with the test rows. `thresholds` are the probabilities from which on it predicts each of several
    labels, a half where there is none.
    """

    version: int
    run_id: str | None
    train_digest: str
    seconds_per_row: float | None = None
    megabytes: float | None = None
    behaviour: dict[str, Tally] = {}
    fingerprints: bool = True
    thresholds: dict[str, float] = {}


class Reign(BaseModel, frozen=True):
    """The time of one frozen test set, as it was before the decision.

    Champions that were deposed since, by a rollback, do not count. `lead` is by how much the most
    accurate champion is above the present one, added up from contest to contest, each on the rows
    that neither had trained on. `best_accuracy` is the highest that any of them had on rows that it
    had not trained on, for when there is no champion to compare with.
    """

    number: int
    test_digest: str
    contests: tuple[PastContest, ...] = Field(
        default=(), validation_alias=AliasChoices("contests", "looks")
    )
    """Those before, in order; `looks` in evidence of release 0.1.0."""
    best_accuracy: float | None = None
    lead: float = 0.0


class Case(BaseModel, frozen=True):
    """All evidence on a challenger, with the rules it is judged by.

    `round_trip` says, where that is so, why the registered model is not the one that was
    measured. `loading` is the challenger's on what the contests of this champion share.
    `baseline_accuracy` is None where no baseline could be trained, as the challenger's training
    rows are not known. `seed_accuracies` are those of repeats that differ in their seed alone,
    itself included. `edition` is that of the rule that judges it.
    """

    edition: int = EDITION
    model_name: str
    classes: tuple[str, ...]
    challenger: Contender
    champion: Contender | None
    baseline_accuracy: float | None
    reign: Reign
    loading: float = 0.0
    seed_accuracies: tuple[float, ...] = ()
    round_trip: str = ""
    promotion: PromotionConfig
    evaluation: EvaluationConfig

    @field_validator("promotion", mode="before")
    @classmethod
    def _gates_of_their_time(cls, rules: object) -> object:
        """A gate that stored rules do not name was added later: the decision did not rest on it."""
        if not isinstance(rules, dict):
            return rules
        return {key: "off" for key in PromotionConfig.model_fields if key.startswith("on_")} | rules


class Evidence:
    """The rows of a case, as arrays."""

    def __init__(self, case: Case, rows: pd.DataFrame) -> None:
        self.case = case
        self.rows = rows
        self.unseen: NDArray[np.bool_] = (rows["seen"] == "").to_numpy()
        """Rows (n,) that neither model has trained on."""
        self.fresh: NDArray[np.bool_] = rows["seen"].isin(["", Role.CHAMPION]).to_numpy()
        """Rows (n,) that the challenger has not trained on."""

    @property
    def compared(self) -> int:
        """How many rows the models are compared on."""
        return int(self.unseen.sum())

    @property
    def groups(self) -> NDArray[np.int64] | None:
        """The group of each compared row, if rows come in groups."""
        if "group" not in self.rows:
            return None
        return self.rows["group"].to_numpy()[self.unseen]

    @property
    def has_champion(self) -> bool:
        """Whether there is someone to beat."""
        return self.case.champion is not None

    def scored(self, role: Role, among: NDArray[np.bool_] | None = None) -> Scored:
        """Predictions of one model on the rows that neither has trained on.

        `among` (n,) says which rows are meant instead.
        """
        rows = self.rows[self.unseen if among is None else among]

        def matrix(kind: str) -> NDArray[Any]:
            return rows[[f"{kind}:{name}" for name in self.case.classes]].to_numpy()

        truth = rows["truth"].to_numpy() if "truth" in rows else matrix("truth")
        model = self.case.champion if role is Role.CHAMPION else self.case.challenger
        known = model.thresholds if model else {}
        thresholds = np.array([known.get(name, 0.5) for name in self.case.classes])
        return Scored(truth, matrix(role), thresholds)

    def slices(self, among: NDArray[np.bool_]) -> list[Slice]:
        """The slices of these rows (n,)."""
        rows = self.rows[among]
        return [
            Slice(name.removeprefix(_SLICE), rows[name].to_numpy())
            for name in rows.columns
            if name.startswith(_SLICE)
        ]


def assemble(
    case: Case,
    *,
    rows: NDArray[np.int64],
    truth: NDArray[Any],
    challenger: NDArray[np.float64],
    champion: NDArray[np.float64] | None,
    seen: NDArray[np.str_],
    slices: list[Slice],
    groups: NDArray[np.int64] | None = None,
) -> Evidence:
    """Put the rows of a case together; all arrays are of n rows.

    Probabilities are (n, n_classes), and so is the truth of rows with several labels (bool).
    """
    columns: dict[str, object] = {"row": rows, "seen": seen}
    matrices: dict[str, NDArray[Any] | None] = {
        Role.CHALLENGER: challenger,
        Role.CHAMPION: champion,
    }
    if truth.ndim == 1:
        columns["truth"] = truth
    else:
        matrices["truth"] = truth
    for kind, matrix in matrices.items():
        if matrix is not None:
            for index, name in enumerate(case.classes):
                columns[f"{kind}:{name}"] = matrix[:, index]
    if groups is not None:
        columns["group"] = groups
    columns |= {f"{_SLICE}{part.name}": part.mask for part in slices}
    return Evidence(case, pd.DataFrame(columns))


def save(evidence: Evidence, folder: Path) -> None:
    """Write a case to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    evidence.rows.to_parquet(folder / "rows.parquet", index=False)
    write_atomically(folder / "case.json", evidence.case.model_dump_json(indent=1))


def load(folder: Path) -> Evidence:
    """Read a case back.

    Raises:
        RegistryError: if it is not there, or damaged.
    """
    try:
        stored = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        case = Case.model_validate({"edition": 1} | stored)
        return Evidence(case, pd.read_parquet(folder / "rows.parquet"))
    except (OSError, ValueError, TypeError) as error:
        raise RegistryError(f"The evidence in {folder} cannot be read: {error}") from None


def digest(folder: Path) -> str:
    """SHA-256 over the files of a case, in hexadecimal."""
    state = hashlib.sha256()
    for name in _FILES:
        state.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return state.hexdigest()
