"""What the faults came to: a table, a JSON file, and docs/faults.md."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from benchmarks.performance import machine
from tests.conftest import ROOT
from tests.faults.ground import Trial

RESULTS = ROOT / ".incumbent" / "faults.json"
PAGE = ROOT / "docs" / "faults.md"
_HEADER = (
    "fault", "tried", "survived", "champion intact", "versions lost or doubled", "hung",
    "tracebacks",
)  # fmt: skip


def row(name: str, trials: list[Trial]) -> dict[str, Any]:
    """A fault's numbers, and all its trials."""
    return {
        "fault": name,
        "tried": len(trials),
        "survived": sum(trial.survived for trial in trials),
        "champion intact": sum(trial.champion_intact for trial in trials),
        "versions lost or doubled": sum(trial.lost + trial.doubled for trial in trials),
        "hung": sum(trial.hung for trial in trials),
        "tracebacks": sum(trial.tracebacks for trial in trials),
        "trials": [dataclasses.asdict(trial) for trial in trials],
    }


def holds(rows: list[dict[str, Any]]) -> bool:
    """Whether all was tried and survived; nothing lost, doubled, hung or shown as a traceback."""
    return all(
        0 < found["survived"] == found["champion intact"] == found["tried"]
        and not (found["versions lost or doubled"] or found["hung"] or found["tracebacks"])
        for found in rows
    )


def keep(rows: list[dict[str, Any]]) -> None:
    """Write the JSON file; faults that were not tried now stay in it as they were."""
    known = {found["fault"]: found for found in load()} | {found["fault"]: found for found in rows}
    RESULTS.parent.mkdir(exist_ok=True)
    draft = RESULTS.with_suffix(".draft")
    draft.write_text(json.dumps(list(known.values()), indent=1) + "\n", encoding="utf-8")
    draft.replace(RESULTS)


def load() -> list[dict[str, Any]]:
    """What was found so far."""
    return list(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.is_file() else []


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table."""
    lines = [_HEADER, ("---",) * len(_HEADER)]
    lines += [tuple(str(found[name]) for name in _HEADER) for found in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def write(rows: list[dict[str, Any]], about: dict[str, str]) -> None:
    """Write the page."""
    names = [found["fault"] for found in rows]
    explained = "\n".join(f"- **{name}**: {' '.join(about[name].split())}" for name in names)
    PAGE.write_text(
        "# Faults\n\n"
        "What was broken on purpose, and what came of it. `make faults ARGS=--docs` makes this "
        "page anew, by real processes that run the real command; `make test` runs a quick set of "
        "it.\n\n"
        f"{markdown(rows)}\n"
        f"On {machine()}.\n\n"
        "A fault is survived if the run that met it, or the same command again, finishes the job; "
        "and if then the champion answers as before, each version is there once and decided once, "
        "each decision follows from its stored evidence, whose digest fits, and no process and no "
        "draft is left behind. Each has a time limit.\n\n"
        f"{explained}\n",
        encoding="utf-8",
    )
