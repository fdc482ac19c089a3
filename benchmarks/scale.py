"""Many rows: how time and memory grow from ten thousand reviews to a million.

The reviews are resampled, and each is made its own by a number at its end.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import reviews
from benchmarks.harness import Answer, Contender, Process, Row, figure, serve
from benchmarks.reviews import Options
from incumbent.data import ingestion

_TEST_ROWS = 1_000
_PART = 50_000


def grow(options: Options) -> Iterator[Row]:
    """Ingest, validate and encode at growing sizes, each in a process of its own."""
    sizes = (2_000, 8_000) if options.quick else (10_000, 100_000, 1_000_000)
    took, peaks = [], []
    for rows in sizes:
        settings = {"train": str(_source(options, rows)), "test": str(_source(options, _TEST_ROWS))}
        with Process(settings, "-m", "benchmarks.scale") as process:
            answer = process({})
        took.append(answer["seconds"])
        peaks.append(answer["bytes"] / 2**30)
    slope = float(np.polyfit(np.log(sizes), np.log(took), 1)[0])
    note = f"{options.source}, {sizes[0]:,} to {sizes[-1]:,}"
    name = f"{sizes[-1]:,} reviews validated and encoded"
    yield figure(
        f"{name}: peak memory", "GiB", [peaks[-1]], 2.0, note=note,
        sizes=list(zip(sizes, peaks, strict=True)),
    )  # fmt: skip
    yield figure(
        f"{name}: exponent of the time", "", [slope], 1.05, note=note,
        sizes=list(zip(sizes, took, strict=True)),
    )  # fmt: skip


def _source(options: Options, rows: int) -> Path:
    """A Parquet file of so many reviews, written part by part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = options.scratch / f"scale-{rows}.parquet"
    if path.is_file():
        return path
    writer = None
    for first in range(0, rows, _PART):
        part = reviews.frame(options, min(_PART, rows - first), seed=first + rows)
        part["Reviews"] = [
            f"{text} {rows}-{first + place}" for place, text in enumerate(part["Reviews"])
        ]
        table = pa.Table.from_pandas(part, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()
    return path


def _stages(settings: Answer) -> Contender:
    """The stages of the flow before training, without Prefect and MLflow around them."""
    from incumbent.classifiers import catalogue
    from incumbent.config import DataConfig, PreprocessingConfig, TrainingConfig, ValidationConfig
    from incumbent.encoders import encoded_texts
    from incumbent.validation import great_expectations_runner

    workdir = Path(tempfile.mkdtemp(prefix="incumbent-bench-"))
    data = DataConfig(
        train=settings["train"], test=settings["test"], text_column="Reviews",
        label_columns="Sentiment",
    )  # fmt: skip

    def run(_: Answer) -> Answer:
        start = time.perf_counter()
        dataset = ingestion.ingest(data, workdir)
        verdict = great_expectations_runner.validate(dataset, ValidationConfig(), workdir)
        if not verdict.passed:
            raise RuntimeError(verdict.refusal())
        classifier = catalogue.create(
            TrainingConfig(model="transformer", epochs=1),
            PreprocessingConfig(max_length=256),
            dataset.classes,
            workdir,
        )
        encoded_texts.encode(verdict.dataset, classifier.tokenize, classifier.recipe, 256, workdir)
        return {"seconds": time.perf_counter() - start, "bytes": _peak()}

    # Imports cost the same at every size, and would bend the curve.
    classifier = catalogue.create(
        TrainingConfig(model="transformer", epochs=1),
        PreprocessingConfig(),
        ("neg", "pos"),
        workdir,
    )  # fmt: skip
    classifier.tokenize(["A text."])
    import great_expectations  # noqa: F401

    return run


def _peak() -> int:
    """The most memory that this process had (bytes). `getrusage` would count its parent's too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


if __name__ == "__main__":
    serve(_stages)
    sys.exit(0)
