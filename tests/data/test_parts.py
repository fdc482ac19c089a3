"""Data is read, validated and written part by part; nobody can tell but by the memory it takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from incumbent.config import DataConfig, ValidationConfig
from incumbent.data import datasets, ingestion
from incumbent.errors import DataError
from incumbent.tables import source_reading, table_reader
from incumbent.validation import great_expectations_runner, text_checks

ROWS = 50
TEXTS = [f"review number {n}, which is {'good' if n % 2 else 'bad'}" for n in range(ROWS)]
TEXTS[7] = TEXTS[3].upper()  # repeats an earlier text, in another part
LABELS = ["pos" if n % 2 else "neg" for n in range(ROWS)]


@pytest.fixture
def frame():
    return pd.DataFrame(
        {"text": TEXTS, "label": LABELS, "channel": [str(n % 3) for n in range(ROWS)]}
    )


@pytest.fixture
def small(monkeypatch):
    """Parts of a few rows each, of sizes that do not divide each other."""
    monkeypatch.setattr(source_reading, "_PART", 7)
    monkeypatch.setattr(datasets, "_PART", 4)


def ingest(frame, folder, **config):
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / "a.parquet")
    frame.tail(20).assign(text=lambda it: "other " + it["text"]).to_parquet(folder / "b.parquet")
    config = DataConfig(
        train=str(folder / "a.parquet"), test=str(folder / "b.parquet"), **config
    )  # fmt: skip
    return ingestion.ingest(config, folder / "work", ["channel"])


@pytest.mark.parametrize("sample", [None, 10])
def test_the_parts_make_the_same_dataset(frame, tmp_path, sample, request):
    whole = ingest(frame, tmp_path / "whole", sample=sample)
    request.getfixturevalue("small")
    parts = ingest(frame, tmp_path / "parts", sample=sample)
    assert parts.digest == whole.digest
    assert parts.train.labels == whole.train.labels
    assert datasets.load(parts.train).equals(datasets.load(whole.train))
    assert len(list(datasets.parts(parts.train))) > 2
    assert datasets.load(parts.train)["row"].is_monotonic_increasing


@pytest.mark.parametrize("no", [None, "no"])
@pytest.mark.parametrize("place", [0, 20, 49])
def test_ticks_mean_the_same_in_each_part(frame, tmp_path, small, no, place):
    """Where a no is written in one part, rows that are blank in others have no label."""
    ticks = frame[["text"]].assign(
        late=["x" if n % 3 == 0 else None for n in range(ROWS)],
        rude=["x" if n % 5 == 0 else None for n in range(ROWS)],
    )
    ticks.loc[place, "rude"] = ticks.loc[place, "rude"] if no is None else no
    ticks.to_csv(tmp_path / "a.csv", index=False)
    ticks.to_parquet(tmp_path / "a.parquet")
    found = []
    for path in (tmp_path / "a.csv", tmp_path / "a.parquet"):
        config = DataConfig(train=str(path), test=str(path), label_columns=("late", "rude"))
        found.append(ingestion.ingest(config, tmp_path / path.suffix))
    of_csv, of_parquet = (dataset.train for dataset in found)
    assert of_parquet.labels == of_csv.labels
    assert of_parquet.unlabelled == of_csv.unlabelled
    assert (of_csv.unlabelled > 0) == (no is not None)
    assert of_parquet.digest == of_csv.digest


@pytest.mark.parametrize("blank", [1, 7, 15])
def test_blank_rows_are_skipped_and_counted(frame, tmp_path, small, blank):
    nothing = pd.DataFrame({name: [None] * blank for name in frame})
    path = tmp_path / "a.parquet"
    pd.concat([frame, nothing, frame.head(3), nothing]).to_parquet(path)
    said: list[str] = []
    read = pd.concat(table_reader.parts(str(path), DataConfig(), note=said.append))
    assert len(read) == ROWS + 3
    assert read["row"].tolist()[-3:] == [ROWS + blank + n for n in (1, 2, 3)]
    assert said == [f"{path}: {blank} blank row{'s' * (blank > 1)} skipped"]


def test_columns_of_one_name_keep_their_cells(tmp_path):
    path = tmp_path / "a.parquet"
    cells = [["a", "b"], [1, 2], ["x", "y"]]
    names = ["note", "text", "note"]
    pq.write_table(pa.Table.from_arrays(list(map(pa.array, cells)), names), path)
    [table] = table_reader.whole(str(path), 0, "utf-8")
    assert table.header == names
    assert table.rows == [["a", 1, "x"], ["b", 2, "y"]]


@pytest.mark.parametrize("place", [0, 1])
def test_a_long_value_of_many_rows_is_refused_in_each_of_two_columns(tmp_path, place):
    path = tmp_path / "a.parquet"
    values = [["short"], ["short"]]
    values[place] = ["x" * (1 << 20)]
    rows = pa.array([0] * 2_000, pa.int32())
    texts = [pa.DictionaryArray.from_arrays(rows, value) for value in values]
    pq.write_table(pa.Table.from_arrays(texts, ["text", "text"]), path)
    with pytest.raises(DataError, match="Shorten the texts"):
        list(table_reader.whole(str(path), 0, "utf-8"))


def test_a_fault_far_down_is_named_by_its_row(tmp_path, small):
    path = tmp_path / "a.parquet"
    marks = pd.DataFrame({"text": TEXTS, "late": ["1"] * ROWS, "rude": ["0"] * ROWS})
    marks.loc[30, "rude"] = "perhaps"
    marks.to_parquet(path)
    config = DataConfig(train=str(path), test=str(path), label_columns=("late", "rude"))
    with pytest.raises(DataError, match="row 31, column 'rude': found 'perhaps'"):
        ingestion.ingest(config, tmp_path / "work")
    assert not list((tmp_path / "work" / "datasets").iterdir())


def test_a_file_that_is_damaged_far_down(frame, tmp_path, small):
    path = tmp_path / "a.parquet"
    frame.to_parquet(path, row_group_size=10, compression=None)
    content = bytearray(path.read_bytes())
    place = content.rindex(TEXTS[44].encode())
    content[place - 60 : place - 8] = b"\xff" * 52
    path.write_bytes(content)
    config = DataConfig(train=str(path), test=str(path))
    with pytest.raises(DataError, match="is damaged, or no Parquet file"):
        ingestion.ingest(config, tmp_path / "work")
    assert not list((tmp_path / "work" / "datasets").iterdir())


def test_what_a_killed_process_left_is_removed_a_day_later(frame, tmp_path):
    folder = tmp_path / "data" / "work" / "datasets"
    for name, hours in (("old", 25), ("new", 1)):
        draft = folder / f".draft.{name}"
        draft.mkdir(parents=True)
        (draft / "train.parquet").write_bytes(b"half")
        os.utime(draft, (time.time() - 3600 * hours,) * 2)
    ingest(frame, tmp_path / "data")
    assert [path.name for path in folder.glob(".*")] == [".draft.new"]


def test_texts_are_compared_across_parts(frame, tmp_path, small):
    dataset = ingest(frame, tmp_path / "data")
    outline = text_checks.outline(datasets.parts(dataset.train))
    assert outline["text"].duplicated().to_numpy().nonzero()[0].tolist() == [7]
    assert outline["characters"].tolist() == [len(text) for text in TEXTS]


@pytest.mark.slow
def test_findings_name_rows_of_other_parts_and_their_texts(frame, tmp_path, small):
    leaking = frame.assign(text=frame["text"].where(frame.index != 41, "other " + TEXTS[45]))
    dataset = ingest(leaking, tmp_path / "data")
    config = ValidationConfig(on_leak="drop", min_rows=2)
    verdict = great_expectations_runner.validate(dataset, config, tmp_path)
    found = {f.name: f for f in verdict.findings if f.split == "train" and not f.passed}
    assert (found["repeat"].rows, found["repeat"].examples) == ((8,), (TEXTS[7],))
    assert (found["leak"].rows, found["leak"].examples) == ((42,), ("other " + TEXTS[45],))
    assert verdict.dataset.train.rows == ROWS - 1
    assert 42 not in datasets.load(verdict.dataset.train)["row"].tolist()


@pytest.mark.slow
def test_the_texts_need_not_fit_into_memory(tmp_path):
    """300 MB of texts are read and validated with less memory than they would take themselves."""
    code = """
import resource, sys
from pathlib import Path
import pandas as pd
from incumbent.data import datasets, ingestion
from incumbent.validation import great_expectations_runner
from incumbent.config import DataConfig, ValidationConfig

def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def write(rows, name):
    for side, count in (("train", rows), ("test", 100)):
        texts = (f"{side} {n} " + "word " * 1000 for n in range(count))
        frame = pd.DataFrame({"text": texts, "label": [str(n % 2) for n in range(count)]})
        frame.to_parquet(folder / f"{name}-{side}.parquet", row_group_size=5_000)

folder = Path(sys.argv[1])
if sys.argv[2] == "write":
    write(100, "few")
    write(60_000, "many")
    sys.exit()
for name in ("few", "many"):
    config = DataConfig(**{s: str(folder / f"{name}-{s}.parquet") for s in ("train", "test")})
    dataset = ingestion.ingest(config, folder / name)
    assert great_expectations_runner.validate(dataset, ValidationConfig(), folder / name).passed
    print(used())
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run([*command, "write"], check=True)
    done = subprocess.run([*command, "read"], check=True, capture_output=True, text=True)
    few, many = map(int, done.stdout.split())
    assert many - few < 280e6
