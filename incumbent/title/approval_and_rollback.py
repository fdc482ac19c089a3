"""Approve a challenger that waits, or give an earlier champion the title back."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from incumbent.errors import ConfigError, RegistryError
from incumbent.scoring import model_client
from incumbent.title import contest, evidence_storage
from incumbent.title.ledger import Entry, Ledger, reign_of, succession
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_reads import Version
from incumbent.tracking.registry_writes import Registry


def approve(registry: Registry, name: str, number: int, reason: str) -> Entry:
    """Give a version that waits for approval the title.

    Raises:
        ConfigError: if it does not wait, or waits to beat someone who is no longer champion.
        RegistryError: if it does not answer as it was measured.
    """
    ledger = Ledger(registry, name)
    while True:
        champion, entries = contest.adopt(ledger)
        mine = [entry for entry in entries if entry.version == number]
        if not mine or mine[-1].decision != "waiting":
            now = mine[-1].decision if mine else "unknown to the ledger"
            waiting = sorted({e.version for e in entries if _waits(entries, e.version)})
            raise ConfigError(
                f"Version {number} of {name!r} does not wait for approval: it is {now}. Waiting: "
                f"{', '.join(map(str, waiting)) or 'none'}."
            )
        decided = mine[-1]
        if decided.previous_champion != (champion.version if champion else None):
            raise ConfigError(
                f"Version {number} of {name!r} proved itself against version "
                f"{decided.previous_champion}, and the champion is now "
                f"{f'version {champion.version}' if champion else 'nobody'}. Retrain (with another "
                "training.seed, say) to have a challenger compared with the present champion."
            )
        reign = reign_of(entries)
        if reign is not None and reign.test_digest != decided.test_digest:
            raise ConfigError(
                f"Version {number} of {name!r} proved itself on another test set than the one that "
                "is frozen now. Retrain, to have a challenger compared on this one."
            )
        version = registry.version(name, number)
        verify(registry, version)
        entry = ledger.append(
            decided.model_copy(
                update={
                    "after": entries[-1].number, "decision": "approved", "champion": number,
                    "reason": reason, "gates": (), "comparison": None, "allowance": None,
                    "new_reign": False,
                    **contest.signature(),
                }
            )
        )  # fmt: skip
        if entry is not None:
            ledger.settle()
            return entry


def rollback(registry: Registry, name: str, to: int | None, reason: str) -> Entry:
    """Give an earlier champion the title back, once it is seen to answer as it did.

    Args:
        registry: Where the model is.
        name: The registered model.
        to: The version; None for the champion before the present one.
        reason: Why, for the ledger.

    Raises:
        ConfigError: if there is no such champion, or it has the title.
        RegistryError: if the version does not load, answers otherwise than it did, or the title
            went to another meanwhile.
    """
    ledger = Ledger(registry, name)
    champion, entries = contest.adopt(ledger)
    held = champion.version if champion else None
    target = _target(entries, held, to, name)
    version = registry.version(name, target)
    verify(registry, version)
    while True:
        last = entries[-1]
        entry = ledger.append(
            Entry(
                after=last.number,
                decision="rolled back",
                version=target,
                previous_champion=held,
                champion=target,
                reason=reason,
                rule="rollback",
                reign=last.reign,
                test_digest=last.test_digest,
                run_id=version.run_id,
                **contest.signature(),
            )
        )
        champion, entries = contest.adopt(ledger)
        if entry is not None:
            return entry
        now = champion.version if champion else None
        if now == target and entries[-1].decision == "rolled back":
            return entries[-1]  # someone else asked for the same, and was quicker
        if now != held:
            raise RegistryError(
                f"While version {target} of {name!r} was verified, the title went to "
                f"{f'version {now}' if now else 'nobody'}. Look at `incumbent history`, and ask "
                "again if it still shall go back."
            )


def verify(registry: Registry, version: Version) -> None:
    """See that a registered model loads, and answers as it did when it was measured.

    Raises:
        RegistryError: if not, or if its run does not tell.
    """
    workdir = Path(registry.tracking.workdir)
    runs = Runs(registry.tracking)
    if not version.run_id or not runs.has_file(version.run_id, evidence_storage.ROUND_TRIP):
        raise RegistryError(
            f"Version {version.version} of {version.name} cannot be verified: its run has no "
            f"{evidence_storage.ROUND_TRIP}. It was not registered by incumbent, or by an early "
            "release."
        )
    folder = workdir / "downloads" / version.run_id
    measured = pd.read_parquet(runs.download(version.run_id, evidence_storage.ROUND_TRIP, folder))
    texts = measured.pop("text").tolist()
    served = model_client.score(registry, version, texts, workdir, fresh=True)
    fault = evidence_storage.differs(version, served.frame, measured)
    if fault:
        raise RegistryError(
            f"Version {version.version} of {version.name} is not what was measured: {fault}. The "
            "alias was not moved."
        )


def _waits(entries: list[Entry], version: int) -> bool:
    """Whether a version waits for approval."""
    mine = [entry for entry in entries if entry.version == version]
    return bool(mine) and mine[-1].decision == "waiting"


def _target(entries: list[Entry], held: int | None, to: int | None, name: str) -> int:
    """The version to go back to: as asked, or whom the present champion took the title from."""
    past = sorted({entry.champion for entry in entries if entry.champion is not None} - {held})
    earlier = ", ".join(map(str, past)) or "none"
    if to is None:
        before = [version for version in succession(entries) if version != held]
        if not before:
            raise ConfigError(
                f"{name!r} has no champion to go back to; versions that were champion: {earlier}."
            )
        return before[-1]
    if to == held:
        raise ConfigError(f"Version {to} of {name!r} is the champion already.")
    if to not in past:
        raise ConfigError(
            f"Version {to} of {name!r} never was champion; versions that were: {earlier}."
        )
    return to
