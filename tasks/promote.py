"""Decide who holds the title."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent import title
from incumbent.assessment import Assessment
from incumbent.config import Config
from incumbent.datasets import Dataset
from incumbent.promotion import Ruling
from incumbent.registry import Registry, Run, Version
from tasks import show


@task(cache_policy=NO_CACHE)
def promote(
    version: Version,
    result: Assessment,
    dataset: Dataset,
    config: Config,
    run: Run,
    about: dict[str, str],
) -> tuple[Ruling, Version | None]:
    """Give the challenger the title if it earned it; gives the ruling and the champion."""
    registry = Registry(run.tracking)
    ruling, champion = title.contest(
        registry, version, result, dataset, config.promotion, Path(config.tracking.workdir),
        {"run_id": run.run_id, **about},
    )  # fmt: skip
    registry.tag(run, {"incumbent.decision": ruling.decision, "incumbent.reason": ruling.reason})
    show.markdown("decision", _page(ruling, version, champion, run), "Who holds the title, and why")
    show.say("version %s %s: %s", version.version, ruling.decision, ruling.reason)
    return ruling, champion


def _page(ruling: Ruling, version: Version, champion: Version | None, run: Run) -> str:
    holder = f"version {champion.version}" if champion else "nobody"
    lines = [
        f"# {show.escaped(version.name)} version {version.version}: {ruling.decision}",
        "",
        show.escaped(ruling.reason),
        "",
        f"The champion is now **{holder}**. Rule: {ruling.rule}. [MLflow run]({run.url})",
        "",
        "| gate | passed | value | threshold |",
        "|---|---|---|---|",
    ]
    for gate in ruling.gates:
        passed = "yes" if gate.passed else "no"
        lines.append(
            f"| {show.escaped(gate.name)} | {passed} | {gate.value:.4g} | {gate.threshold:.4g} |"
        )
    return "\n".join(lines)
