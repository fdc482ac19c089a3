"""Decide who holds the title."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.config import Config
from incumbent.data import datasets
from incumbent.data.datasets import Dataset
from incumbent.decision import gates
from incumbent.errors import IncumbentError
from incumbent.evaluation.challenger_assessment import Assessment
from incumbent.runtime.markdown import escaped
from incumbent.title import contest, evidence_storage, old_version_deletion, undecided_challengers
from incumbent.title.evidence_gathering import Challenge
from incumbent.title.ledger import Entry, Ledger
from incumbent.tracking.mlflow_run_files import Run
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_reads import Version
from incumbent.tracking.registry_writes import Registry
from tasks import announce, show
from tasks.retry_policy import RETRIES

if TYPE_CHECKING:
    import pandas as pd

_FLIPS = "negative_flips.json"


@task(cache_policy=NO_CACHE, **RETRIES)
def promote(
    version: Version,
    result: Assessment,
    dataset: Dataset,
    config: Config,
    run: Run,
    about: dict[str, str],
    seed_accuracies: tuple[float, ...] = (),
) -> tuple[Entry, Version | None]:
    """Give the challenger the title if it earned it; gives the decision and the champion.

    Raises:
        RegistryError: if the champion does not answer.
    """
    registry, runs = Registry(run.tracking), Runs(run.tracking)
    for left in undecided_challengers.decide(
        registry, version, dataset, config, run, about, show.say
    ):
        show.say("version %s, left by a run that ended: %s: %s", left.version, left.decision,
                 left.reason)  # fmt: skip
    challenge = undecided_challengers.challenge(version, result, dataset, config, seed_accuracies)
    entry, champion = contest.hold(registry, challenge, run, about)
    for number in Ledger(registry, version.name).missing():
        show.say("entry %s of the ledger of %s was deleted; what it spent of alpha is not known, "
                 "and the others stand", number, version.name)  # fmt: skip
    runs.tag(run, {"incumbent.decision": entry.decision, "incumbent.reason": entry.reason[:5000]})
    if entry.contested:
        runs.log_metrics(run, _metrics(entry))
        if not runs.has_file(run.run_id, _FLIPS):  # MLflow would append to the table
            runs.log_table(run, _negative_flips(runs, entry, challenge), _FLIPS)
    show.markdown("decision", page(entry, version.name, champion, run), "Who holds the title, why")
    show.say("version %s %s: %s", version.version, entry.decision, entry.reason)
    announce.decision(entry, version.name, dataset.train.set_aside)
    try:
        gone = old_version_deletion.retire(registry, runs, version.name, config.retention)
    except IncumbentError as error:  # the decision stands; the next run tries again
        show.say("old versions could not be deleted: %s", error)
    else:
        if gone:
            show.say("deleted old versions %s and their files", ", ".join(map(str, gone)))
    return entry, champion


def page(entry: Entry, name: str, champion: Version | None, run: Run) -> str:
    """A decision in markdown, gate by gate."""
    holder = f"version {champion.version}" if champion else "nobody"
    lines = [
        f"# {escaped(name)} version {entry.version}: {entry.decision}",
        "",
        escaped(entry.reason),
        "",
        f"The champion is now **{holder}**. Rule: {escaped(entry.rule)}. Reign {entry.reign}. "
        f"[MLflow run]({run.url})",
        "",
        "| gate | verdict | value | threshold | in words |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {escaped(gate.name)} | {gate.verdict} | {gate.value:.4g} "
        f"| {gate.threshold:.4g} | {escaped(gate.message)} |"
        for gate in entry.gates
    ]
    return "\n".join(lines)


def _metrics(entry: Entry) -> dict[str, float]:
    found = entry.comparison
    if found is None or entry.allowance is None:
        return {}
    return {
        "accuracy_gain": found.accuracy.value,
        "p_value": found.p_value,
        "alpha_spent": entry.allowance.spent,
    }


def _negative_flips(runs: Runs, entry: Entry, challenge: Challenge) -> pd.DataFrame:
    """The rows that the champion had right and the challenger breaks."""
    run_id = str(entry.evidence_run_id)
    place = evidence_storage.kept_in(challenge.workdir, run_id)
    found = evidence_storage.replay(runs, run_id, place, entry.evidence_folder)
    test = datasets.load(challenge.dataset.test)[found.unseen]
    return test[gates.broken(found)][["row", "text", "label"]]
