"""Every fault: a table, .incumbent/faults.json, and 0 only if all is survived.

python -m tests.faults [--only NAME...] [--quick] [--docs]
"""

from __future__ import annotations

import argparse
import inspect
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.faults import disk, ground, kills, malformed, servers, table, together
from tests.faults.ground import Ground, Trial

FAULTS: dict[str, Callable[[Ground, bool], Iterator[Trial]]] = {
    "killed in a stage": kills.stages,
    "killed in its own session": kills.whole,
    "killed at a write": kills.writes,
    "killed in training": kills.moments,
    "two runs at once": together.runs,
    "full disk": disk.full,
    "files that may not grow": disk.growth,
    "read-only store": disk.read_only,
    "connections cut": servers.cut,
    "MLflow restarted": servers.mlflow,
    "Prefect restarted": servers.prefects,
    "Prefect restarted at the slot": servers.slots,
    "malformed files": malformed.files,
    "malformed files as whole processes": malformed.whole,
}


def main() -> int:
    """Try what was asked for; gives the exit code."""
    parser = argparse.ArgumentParser(description="Faults, and what comes of them.")
    parser.add_argument("--only", nargs="+", choices=FAULTS, metavar="NAME", default=list(FAULTS),
                        help=f"of {', '.join(FAULTS)}")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="fewer of each")
    parser.add_argument("--docs", action="store_true", help="write docs/faults.md from it")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave nothing behind
    rows: dict[str, dict[str, Any]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="incumbent-faults-") as scratch,
        ground.opened(Path(scratch)) as place,
    ):
        for name in given.only:
            trials = []
            for trial in FAULTS[name](place, given.quick):
                trials.append(trial)
                said = "survived" if trial.survived else "; ".join(trial.faults)
                sys.stderr.write(f"{name}: {trial.what}: {said}\n")
                table.keep([table.row(name, trials)])  # should it be stopped, it stays known
            rows[name] = table.row(name, trials)
    sys.stdout.write(table.markdown(list(rows.values())))
    if given.docs:
        about = {name: inspect.getdoc(fault) or "" for name, fault in FAULTS.items()}
        table.write(table.load(), about)
    return 0 if table.holds(list(rows.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
