"""Explain a decision: the ledger's entry in words, and the ruling made again from evidence."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import BaseModel

from incumbent.decision import evidence, proof_and_ruling
from incumbent.errors import ConfigError
from incumbent.title import evidence_storage
from incumbent.title.ledger import Entry, Ledger
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_writes import Registry

_SAME = 1e-9  # relative; what is computed again may round otherwise in the last digits


class Explanation(BaseModel, frozen=True):
    """What was decided about a version, and whether its evidence still says so.

    `entries` are all that the ledger has about it. `recomputed` is the decision as the stored
    evidence gives it now, None where no evidence belongs to it (a version moved by hand).
    `differences` name what is not as it was written down.
    """

    entries: tuple[Entry, ...]
    recomputed: str | None
    differences: tuple[str, ...]


def explain(registry: Registry, name: str, version: int) -> Explanation:
    """Look up a version's decisions, and compute the first of them again.

    Raises:
        ConfigError: if nothing was decided about it.
        RegistryError: if its evidence is gone or damaged.
    """
    entries = Ledger(registry, name).about(version)
    if not entries:
        raise ConfigError(
            f"Nothing was decided about version {version} of {name!r}; `incumbent history` lists "
            "the decisions."
        )
    judged = next((entry for entry in entries if entry.evidence_run_id and entry.gates), None)
    if judged is None or judged.evidence_run_id is None:
        return Explanation(entries=tuple(entries), recomputed=None, differences=())
    with tempfile.TemporaryDirectory() as place:  # never a copy that lies about here
        found = evidence_storage.replay(
            Runs(registry.tracking), judged.evidence_run_id, Path(place), judged.evidence_folder
        )
        digest = evidence.digest(Path(place) / judged.evidence_folder)
    ruling = proof_and_ruling.decide(found)
    differences = _differences(judged, ruling)
    if digest != judged.evidence_digest:
        differences.insert(0, "the stored evidence was changed after the decision")
    return Explanation(
        entries=tuple(entries),
        recomputed=ruling.decision,
        differences=tuple(differences),
    )


def _differences(entry: Entry, ruling: proof_and_ruling.Ruling) -> list[str]:
    """What of a ruling is not as the ledger has it."""
    found = []
    if entry.decision != ruling.decision:
        found.append(f"the decision was {entry.decision}, the evidence gives {ruling.decision}")
    recorded = {gate.name: gate for gate in entry.gates}
    computed = {gate.name: gate for gate in ruling.gates}
    for name in recorded.keys() | computed.keys():
        then, now = recorded.get(name), computed.get(name)
        if then is None or now is None:
            found.append(f"the gate {name} is {'new' if then is None else 'gone'}")
        elif then.verdict != now.verdict or not (
            _same(then.value, now.value) and _same(then.threshold, now.threshold)
        ):
            found.append(
                f"the gate {name} was {then.verdict} at {then.value:.6g}, and is {now.verdict} at "
                f"{now.value:.6g}"
            )
    written, again = (
        (made.comparison.p_value, made.comparison.accuracy.value, made.allowance.critical)
        if made.comparison and made.allowance
        else ()
        for made in (entry, ruling)
    )
    if len(written) != len(again) or not all(map(_same, written, again)):
        found.append("the comparison or what it was allowed to spend is not as it was written down")
    return sorted(found)


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= _SAME * max(abs(a), abs(b), 1.0)
