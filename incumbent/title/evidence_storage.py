"""What an MLflow run keeps for later decisions: evidence, fingerprints, answers to compare with.

- `fingerprints/train.parquet`: by which test rows are found among its training rows, if these are
  known;
- `round_trip.parquet`: test texts, and what the model answered to them when it was measured
  (columns `probability_<class>` and `text`), so that a registered model can be verified anywhere;
- `challenge/`: what a decision about it needs (see `undecided_challengers`);
- `decision/`: the evidence of the decision that was made about it (see `decision.evidence`), or
  `decision-<version>` where another run made it.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from incumbent.data import datasets, leaked_test_rows
from incumbent.data.datasets import Dataset, Split
from incumbent.decision import evidence
from incumbent.decision.evidence import Evidence
from incumbent.evaluation.challenger_assessment import Assessment
from incumbent.tracking.mlflow_runs import Runs
from incumbent.tracking.registry_reads import Version

FINGERPRINTS = "fingerprints/train.parquet"
ROUND_TRIP = "round_trip.parquet"
DECISION = "decision"

_ROUND_TRIP_ROWS = 256  # test rows that are kept with a model, for machines without the test set


@contextmanager
def to_log(dataset: Dataset, assessment: Assessment, workdir: Path) -> Iterator[Path]:
    """A folder with what a run must keep for later contests and rollbacks: see the constants."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if dataset.train_known:
            (folder / FINGERPRINTS).parent.mkdir()
            shutil.copyfile(fingerprints_file(dataset.train, workdir), folder / FINGERPRINTS)
        measured = pd.read_parquet(assessment.probabilities).add_prefix("probability_")
        measured["text"] = datasets.load(dataset.test)["text"]
        kept = measured.sample(min(len(measured), _ROUND_TRIP_ROWS), random_state=0)
        kept.to_parquet(folder / ROUND_TRIP, index=False)
        yield folder


def fingerprints_file(split: Split, workdir: Path) -> Path:
    """The file of a split's fingerprints, made if need be: an earlier release kept no labels."""
    path = workdir / "fingerprints" / f"{split.digest}.parquet"
    if not path.is_file() or leaked_test_rows.load(path).labels is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = datasets.load(split, ["text", "label"])
        leaked_test_rows.save(
            leaked_test_rows.fingerprint(rows["text"].tolist(), rows["label"].tolist()), path
        )
    return path


def kept_in(workdir: Path, run_id: str) -> Path:
    """Where the files of a run's decision are kept on this machine."""
    return workdir / "decisions" / run_id


def replay(runs: Runs, run_id: str, place: Path, folder: str = DECISION) -> Evidence:
    """The case of an earlier decision, from the run that holds it.

    Args:
        runs: Where the run is.
        run_id: The run.
        place: Where its files are copied to, if they aren't there yet.
        folder: Which of its artifacts the case is.

    Raises:
        RegistryError: if it is gone or damaged.
    """
    if not (place / folder / "case.json").is_file():  # which `evidence.save` writes last
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
            runs.download(run_id, folder, Path(scratch))
            place.mkdir(exist_ok=True)
            shutil.rmtree(place / folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # another process was quicker
                (Path(scratch) / folder).rename(place / folder)  # wholly there, or not at all
    return evidence.load(place / folder)


def differs(version: Version, served: pd.DataFrame, measured: pd.DataFrame) -> str:
    """In what a registered model answers otherwise than it was measured; empty if in nothing."""
    names = list(measured.columns)
    if missing := [name for name in names if name not in served.columns]:
        return f"loaded from the registry, it does not answer {', '.join(missing)}"
    gaps = np.abs(served[names].to_numpy() - measured.to_numpy()).max(axis=1)
    wrong = ~(gaps <= version.tolerance)
    if not wrong.any():
        return ""
    return (
        f"loaded from the registry, it answers {int(wrong.sum())} of {len(wrong)} test rows "
        f"otherwise than it was measured: probabilities differ by up to {np.nanmax(gaps):.2g}, at "
        f"most {version.tolerance:g} was expected"
    )


def fingerprints(split: Split, workdir: Path) -> leaked_test_rows.Fingerprints:
    """Those of a split's rows."""
    return leaked_test_rows.load(fingerprints_file(split, workdir))


def registered_fingerprints(
    runs: Runs, version: Version, workdir: Path
) -> leaked_test_rows.Fingerprints | None:
    """Those of a version's training rows; None if its run has none."""
    name = version.tags.get("incumbent.train_digest") or version.run_id
    path = workdir / "fingerprints" / f"{name}.parquet"
    if not path.is_file():
        if not version.run_id or not runs.has_file(version.run_id, FINGERPRINTS):
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as place:
            runs.download(version.run_id, FINGERPRINTS, Path(place)).replace(path)
    return leaked_test_rows.load(path)
