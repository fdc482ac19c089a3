"""The whole command on the embedded reviews: what it spends besides training and evaluating."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.harness import ROOT, Answer, Row, figure
from benchmarks.reviews import Options

_FEW = "data.sample=400"


def twice(options: Options) -> Iterator[Row]:
    """A first run in a fresh folder, then the same again, which finds its work done."""
    note = "the embedded reviews" + (", 400 of each split" if options.quick else "")
    first, whole = _retrain(options)
    own = {stage: first["timings"][stage] for stage in ("train", "evaluate")}
    rest = ", ".join(f"{k} {v:.0f} s" for k, v in first["timings"].items() if k not in own)
    yield figure(
        "the flow, besides training and evaluating", "s", [whole - sum(own.values())], 30.0,
        note=f"{note}; of {whole:.0f} s; {rest}, and starting and ending",
    )  # fmt: skip
    again = [_retrain(options) for _ in range(options.rounds)]
    decisions = {answer["decision"] for answer, _ in again}
    if decisions != {"skipped"}:
        raise RuntimeError(f"the same run again was {decisions}, not skipped")
    yield figure("the same run again, skipped", "s", [took for _, took in again], 8.0, note=note)


def _retrain(options: Options) -> tuple[Answer, float]:
    """The command's answer, and the seconds that it took as a whole."""
    folder = options.scratch / "flow"
    folder.mkdir(exist_ok=True)
    command = [
        sys.executable, "-m", "incumbent", "retrain", "--json", "--config",
        str(ROOT / "configs" / "reviews.yaml"), *(["--set", _FEW] if options.quick else []),
    ]  # fmt: skip
    # A Prefect and an MLflow of its own, whatever this machine is set up for.
    settings = {k: v for k, v in os.environ.items() if k.split("_")[0] not in ("PREFECT", "MLFLOW")}
    settings |= {"PYTHONPATH": str(ROOT), "PREFECT_HOME": str(folder / "prefect")}
    start = time.perf_counter()
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, cwd=folder, env=settings
    )
    took = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"incumbent retrain ended with {done.returncode}: {done.stderr[-2000:]}")
    answer: Answer = json.loads(done.stdout)
    return answer, took
