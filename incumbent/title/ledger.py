"""The ledger: every decision about a title, append-only, in the MLflow registry.

The entries about a model are the versions of a second registered model, `<name>.ledger`: MLflow
numbers them without gaps or twins, whoever writes, so the log has one order. An entry says after
which one it was made. If another was written in between, the entry is *void*: its author sees that
and decides again. So there is exactly one decision at a time, without a lock that a crash could
leave behind.

The alias `champion` follows the ledger: the entry is written first, the alias moves next, and a
tag on the entry says last that it did. Whoever finds the last entry without that tag completes it.
An owner who moves the alias by hand is not overruled: the next decision records it first.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, SkipValidation, ValidationError

from incumbent.decision.error_budget import Allowance, PastContest
from incumbent.decision.evidence import Reign, Role
from incumbent.decision.gates import Gate
from incumbent.decision.proof_and_ruling import Comparison, Ruling
from incumbent.errors import RegistryError
from incumbent.runtime import markdown
from incumbent.tracking.registry_reads import CHAMPION, LEDGER, Version
from incumbent.tracking.registry_writes import Registry

_ENTRY = "incumbent.entry"
_SETTLED = "incumbent.settled"
_DESCRIPTION = 4500  # characters; MLflow's column has 5000

Kind = Literal[
    "promoted", "kept", "rejected", "waiting", "approved", "rolled back", "moved by hand"
]


class Entry(BaseModel, frozen=True):
    """One decision. Entries are read for years: what is added later needs a default.

    `version` is whom it is about, `previous_champion` and `champion` who held the title before
    and after. `after` is the number of the entry before it. `run_id` is the MLflow run that trained
    the version; `evidence_run_id` the one whose `evidence_folder` replays the decision, and
    `evidence_digest` that of the folder's files. `test_digest` is that of the frozen test set.
    """

    number: int = 0
    after: int
    decision: Annotated[Kind, SkipValidation]
    """One that this release does not know is of a later one: who is champion after it counts."""
    version: int
    previous_champion: int | None
    champion: int | None
    reason: str
    rule: str
    time: str
    who: str
    reign: int
    new_reign: bool = False
    test_digest: str = ""
    train_digest: str = ""
    run_digest: str = ""
    run_id: str | None = None
    evidence_run_id: str | None = None
    evidence_folder: str = "decision"
    evidence_digest: str = ""
    flow_run_id: str = ""
    sweep_trials: int | None = None
    """If the version won a sweep: of how many trials."""
    labels_replaced: dict[str, int] = {}
    """How many labels later ones replaced, in train and test; of splits without any, nothing."""
    accuracy: dict[str, float] = {}
    champion_accuracy: float | None = None
    """Of whoever was champion before, on the same rows."""
    unseen_accuracy: dict[Role, float] = {}
    """Of both, on the rows that neither has trained on."""
    gates: tuple[Gate, ...] = ()
    comparison: Comparison | None = None
    allowance: Allowance | None = None

    @property
    def contested(self) -> bool:
        """Whether a challenger met a champion."""
        return self.allowance is not None


class Ledger:
    """The decisions about one model."""

    def __init__(self, registry: Registry, name: str) -> None:
        self.registry = registry
        self.name = name

    def entries(self) -> list[Entry]:
        """The valid entries, the oldest first."""
        return self._read()[0]

    def find(self, run_digest: str) -> Entry | None:
        """The first decision about the challenger of a run."""
        return next((e for e in self.entries() if e.run_digest == run_digest), None)

    def about(self, version: int) -> list[Entry]:
        """The decisions about one version, the oldest first."""
        return [entry for entry in self.entries() if entry.version == version]

    def append(self, entry: Entry) -> Entry | None:
        """Write an entry, unless the title or the ledger is not as its author found it.

        Returns:
            The entry with its number; None if another was written after the one that it follows
            (it is void), or if the alias was moved meanwhile (nothing is written).
        """
        if entry.decision != "moved by hand" and self._held() != entry.previous_champion:
            return None
        text = f"Version {entry.version} {entry.decision}: {markdown.escaped(entry.reason)}"
        number = self.registry.append(
            f"{self.name}{LEDGER}", {_ENTRY: entry.model_dump_json(exclude={"number"})},
            entry.evidence_run_id or entry.run_id, entry.evidence_folder, text[:_DESCRIPTION],
        )  # fmt: skip
        valid = any(found.number == number for found in self.entries())
        return entry.model_copy(update={"number": number}) if valid else None

    def missing(self) -> list[int]:
        """The numbers of entries that others were written after, and that were deleted since."""
        entries = self.entries()
        known = {0, *(entry.number for entry in entries)}
        return sorted({entry.after for entry in entries} - known)

    def settle(self) -> tuple[Version | None, list[Entry]]:
        """Have the alias follow the last entry, and mark that it does.

        The alias is moved only from whom the entry says it was with: someone's hand that was
        quicker is left alone, and recorded by `contest.adopt`.

        Returns:
            The champion, and the entries as they were while it was.

        Raises:
            RegistryError: if the version that holds the title by the ledger is gone.
        """
        overtaken = False
        while True:
            entries, settled = self._read()
            holder = self.registry.by_alias(self.name, CHAMPION)
            last = entries[-1] if entries else None
            if last is None or (last.number in settled and not overtaken):
                if self.head() == (last.number if last else 0):
                    return holder, entries
                continue  # another entry came while the alias was read
            if last.champion not in (None, last.previous_champion):
                successor = self.registry.version(self.name, last.champion or 0)
                if self._held() == last.previous_champion and self.head() == last.number:
                    self.registry.set_alias(successor, CHAMPION)
            self._mark(last)
            # Had another entry come meanwhile, this would have undone the move of its author.
            overtaken = self.head() != last.number

    def _held(self) -> int | None:
        """The version that bears the alias."""
        holder = self.registry.by_alias(self.name, CHAMPION)
        return holder.version if holder else None

    def head(self) -> int:
        """The number of the last valid entry; 0 if there is none."""
        entries = self.entries()
        return entries[-1].number if entries else 0

    def reign(self) -> Reign | None:
        """The reign that the last entry belongs to; None before the first champion."""
        return reign_of(self.entries())

    def _mark(self, entry: Entry) -> None:
        """Note on the version what was decided, where people look, then settle the entry."""
        tags = {"incumbent.decision": entry.decision, "incumbent.reason": entry.reason}
        version = next(
            (v for v in self.registry.versions(self.name) if v.version == entry.version), None
        )
        if version is not None:
            self.registry.tag(version, tags)
        if entry.champion is not None:
            self.registry.tag_model(self.name, {"incumbent.test_digest": entry.test_digest})
        self.registry.tag_number(f"{self.name}{LEDGER}", entry.number, {_SETTLED: "true"})

    def _read(self) -> tuple[list[Entry], set[int]]:
        """The valid entries, and the numbers of those that were carried out."""
        entries: list[Entry] = []
        settled: set[int] = set()
        head = 0
        versions = self.registry.versions(f"{self.name}{LEDGER}")
        there = {found.version for found in versions}
        written: list[Entry] = []
        for found in reversed(versions):
            if _ENTRY not in found.tags:
                continue  # not ours: someone registered a model under this name
            try:
                entry = Entry.model_validate(
                    {**json.loads(found.tags[_ENTRY]), "number": found.version}
                )
            except (KeyError, ValueError, ValidationError) as error:
                raise RegistryError(
                    f"Entry {found.version} of the ledger of {self.name} cannot be read: {error}"
                ) from None
            written.append(entry)
            if _SETTLED in found.tags:
                settled.add(entry.number)
        # Whoever an author saw as the last entry was valid, though it was deleted since, by hand.
        valid = sorted({entry.after for entry in written})
        for entry in written:
            overtaken = valid[bisect_left(valid, entry.number) - 1] > entry.after
            deleted = entry.after > head and entry.after not in there
            if not overtaken and (entry.after == head or deleted):
                entries.append(entry)
                head = entry.number
        return entries, settled


def succession(entries: Sequence[Entry]) -> list[int]:
    """The champions, each after whom it took the title from; without those who were deposed.

    A rollback deposes whoever held the title since the champion that it goes back to.
    """
    line: list[int] = []
    for entry in entries:
        if entry.champion is None or (line and line[-1] == entry.champion):
            continue
        if entry.decision in ("rolled back", "moved by hand") and entry.champion in line:
            del line[line.index(entry.champion) :]
        line.append(entry.champion)
    return line


def reign_of(entries: Sequence[Entry], test_digest: str = "") -> Reign | None:
    """The reign that the last of some entries belongs to; None before the first champion.

    With the digest of another test set it is the reign that begins with that. Whatever was spent on
    a test set before stays spent, should one come back to it. The win of a version that was deposed
    since is none: its contest counts as lost, and its accuracy is no one's floor.
    """
    crowned = [entry for entry in entries if entry.champion is not None]
    if not crowned:
        return None
    last = crowned[-1]
    digest = test_digest or last.test_digest
    mine = [entry for entry in crowned if entry.test_digest == digest]
    standing = succession(entries)
    won = {
        e.version for e in mine
        if e.decision in ("promoted", "approved") and e.version in standing
    }  # fmt: skip
    contests = tuple(
        PastContest(
            champion=entry.previous_champion,
            critical=entry.allowance.critical,
            loading=entry.allowance.loading,
            passed=entry.version in won,
        )
        for entry in mine
        if entry.allowance is not None and entry.previous_champion is not None
    )
    return Reign(
        number=last.reign + (last.test_digest not in ("", digest)), test_digest=digest,
        contests=contests,
        best_accuracy=max(_accuracies(mine, won, standing), default=None),
        lead=_lead(mine, standing, last.champion),
    )  # fmt: skip


def _accuracies(
    entries: Sequence[Entry], won: set[int], standing: Sequence[int]
) -> Iterator[float]:
    """The champions' accuracies, on rows that they had not trained on if that is known."""
    for entry in entries:
        if entry.version in won and entry.accuracy:
            yield entry.unseen_accuracy.get(Role.CHALLENGER, entry.accuracy["value"])
        if entry.champion_accuracy is not None and entry.previous_champion in standing:
            yield entry.unseen_accuracy.get(Role.CHAMPION, entry.champion_accuracy)


def _lead(entries: Sequence[Entry], standing: Sequence[int], champion: int | None) -> float:
    """By how much the most accurate of the champions that stand is above the present one.

    Who lost its contest and was made champion by hand is one of them. Two versions compare if a
    chain of contests leads from one to the other. Each was on the rows that neither of its two had
    trained on: accuracies on all rows favour who has seen some.
    """
    level: dict[int, float] = {}
    first: dict[int, int] = {}  # of the chain that a version is in
    for entry in entries:
        before = entry.previous_champion
        if entry.comparison is None or before is None or entry.version not in standing:
            continue
        first.setdefault(before, before)
        first[entry.version] = first[before]
        level[entry.version] = level.setdefault(before, 0.0) + entry.comparison.accuracy.value
    if champion not in level:
        return 0.0
    chain = [level[version] for version in level if first[version] == first[champion]]
    return max(chain) - level[champion]


def entry_of(ruling: Ruling, sweep_trials: int | None = None, **known: Any) -> Entry:
    """The entry that records a ruling; of the winner of a sweep, the reason says so."""
    won = f" It is the winner of a sweep of {sweep_trials:,} trials." if sweep_trials else ""
    return Entry(
        decision=ruling.decision,
        reason=f"{ruling.reason}{won}",
        sweep_trials=sweep_trials,
        rule=ruling.rule,
        gates=ruling.gates,
        comparison=ruling.comparison,
        allowance=ruling.allowance,
        **known,
    )
