"""Every speed benchmark: incumbent and its peer by turns, a table, and benchmarks/latest.json.

python -m benchmarks.speed [--only NAME...] [--json] [--quick] [--rounds N] [--docs] [--imdb DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import flow, performance, prediction, reading, reviews, scale, training
from benchmarks.harness import ROOT, Row
from benchmarks.reviews import Options

LATEST = ROOT / "benchmarks" / "latest.json"

BENCHMARKS: dict[str, Callable[[Options], Iterator[Row]]] = {
    "training-500": training.long_rows,
    "training-256": training.short_rows,
    "batch": prediction.batch,
    "single": prediction.single,
    "cold": prediction.cold,
    "reading": reading.workbook,
    "flow": flow.twice,
    "scale": scale.grow,
}


def main() -> None:
    """Run what was asked for; rows that were not run stay in the file as they were."""
    parser = argparse.ArgumentParser(description="incumbent's speed, against its peers.")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, metavar="NAME",
                        help=f"of {', '.join(BENCHMARKS)}")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="fewer rows and rounds")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md from it")
    parser.add_argument("--imdb", type=Path, metavar="DIR",
                        help=f"IMDB's train.xlsx (or {reviews.VARIABLE})")  # fmt: skip
    parser.add_argument("--rounds", type=int, help="turns of each contender (5; 2 if quick)")
    given = parser.parse_args()
    rounds = given.rounds or (2 if given.quick else 5)
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory(prefix="incumbent-bench-") as scratch:
        options = Options(reviews.find_imdb(given.imdb), Path(scratch), given.quick, rounds)
        if not options.imdb:
            print("IMDB's reviews are not here: the embedded ones stand in", file=sys.stderr)
        for name in given.only or BENCHMARKS:
            print(f"{name} ...", file=sys.stderr)
            for row in BENCHMARKS[name](options):
                print(performance.line(row.as_json()), file=sys.stderr)
                record(row)
    rows = json.loads(LATEST.read_text(encoding="utf-8"))
    print(json.dumps(rows, indent=1) if given.json else performance.table(rows))
    if given.docs:
        performance.write(rows)


def record(row: Row) -> None:
    """Put a row into the file, in the place of an earlier one of the same name and peer."""
    rows = json.loads(LATEST.read_text(encoding="utf-8")) if LATEST.is_file() else []
    LATEST.write_text(json.dumps(merged(rows, row.as_json()), indent=1) + "\n", encoding="utf-8")


def merged(rows: list[dict[str, object]], new: dict[str, object]) -> list[dict[str, object]]:
    """The rows with a new one, in the place of that with the same name and peer."""
    keys = [(row["name"], row["peer"]) for row in rows]
    key = (new["name"], new["peer"])
    if key not in keys:
        return [*rows, new]
    return [new if found == key else row for found, row in zip(keys, rows, strict=True)]


if __name__ == "__main__":
    main()
