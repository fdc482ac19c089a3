"""Any small table reads back as the same rows, whichever program wrote it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from incumbent.config import DataConfig
from incumbent.tables import table_reader, table_writer
from tests import biff12, open_document

Rows = list[tuple[str, str]]

# Letters of some scripts, signs, and what formats give a meaning: delimiters, quotes, line ends,
# tags, formulas. Control characters and space at either end are what formats may not hold.
LETTERS = st.sampled_from("abcäßéñжשع中あ😀0123.,;|\t\n\"'\\=+-@#<>&{}[]()_%$ /:")
TEXTS = st.text(LETTERS, min_size=1, max_size=30).filter(
    lambda text: text.strip() == text and any(map(str.isalpha, text))
)
LABELS = st.sampled_from(["pos", "neg", "très bien", "a/b"])
TABLES = st.lists(st.tuples(TEXTS, LABELS), min_size=1, max_size=5)
SOFFICE = shutil.which("soffice") or shutil.which("libreoffice")


def frame_of(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["text", "label"])


def openpyxl(rows: Rows) -> bytes:
    book, stream = Workbook(), io.BytesIO()
    book.active.append(["text", "label"])
    for at, cells in enumerate(rows, start=2):
        for column, cell in enumerate(cells, start=1):
            book.active.cell(at, column, cell).data_type = "s"  # no formula, whatever it is
    book.save(stream)
    return stream.getvalue()


def pandas(encoding: str = "utf-8", **dialect: object) -> Callable[[Rows], bytes]:
    return lambda rows: frame_of(rows).to_csv(index=False, **dialect).encode(encoding)


def parquet(rows: Rows, **options: object) -> bytes:
    stream = io.BytesIO()
    texts, labels = zip(*rows, strict=True)
    table = pa.table({"text": texts, "label": pa.array(labels).dictionary_encode()})
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def page(rows: Rows) -> bytes:
    # A page has no line ends or runs of spaces of its own, so it can't hold those.
    return frame_of(rows).to_html(index=False).encode()


WRITERS: dict[str, Callable[[Rows], bytes]] = {
    "a.xlsx": openpyxl,
    "a.xlsb": lambda rows: biff12.workbook({"A": biff12.sheet([("text", "label"), *rows])}),
    "a.parquet": parquet,
    "small pages.parquet": lambda rows: parquet(rows, row_group_size=2, use_dictionary=False),
    "commas.csv": pandas(),
    "semicolons.csv": pandas(sep=";"),
    "bars.txt": pandas(sep="|", quoting=csv.QUOTE_ALL),
    "tabs.txt": pandas("utf-16", sep="\t"),
    "windows.csv": pandas("utf-8-sig", lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC),
    "packed.csv.gz": lambda rows: gzip.compress(pandas()(rows)),
    "lines.jsonl": lambda rows: frame_of(rows).to_json(orient="records", lines=True).encode(),
    "array.json": lambda rows: json.dumps(frame_of(rows).to_dict("records"), indent=1).encode(),
    "unescaped.json": lambda rows: json.dumps(
        frame_of(rows).to_dict("records"), ensure_ascii=False
    ).encode(),
    "split.json": lambda rows: frame_of(rows).to_json(orient="split").encode(),
}


def read(path: Path) -> Rows:
    frame = table_reader.read(str(path), DataConfig())
    assert set(frame["found"]) <= {"text"}
    return list(zip(frame["text"], frame["label"], strict=True))


@pytest.mark.parametrize("name", WRITERS)
@settings(
    max_examples=10, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(rows=TABLES)
@example(rows=[("=1+1 a", "pos"), ('say "no", no', "neg"), ("a\n\nb\tc", "pos")])
@example(rows=[("text label", "pos"), ("sep=; a", "neg"), ("{a}", "neg"), ("[a]", "neg")])
def test_a_table_reads_back_as_it_was(tmp_path: Path, name: str, rows: Rows) -> None:
    path = tmp_path / name
    path.write_bytes(WRITERS[name](rows))
    assert read(path) == rows


@pytest.mark.parametrize("name", ["a.ods", "a.html"])
@settings(
    max_examples=10, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(rows=TABLES)
def test_of_formats_that_fold_spaces_the_words_do(tmp_path: Path, name: str, rows: Rows) -> None:
    rows = [(" ".join(text.split()), label) for text, label in rows]
    path = tmp_path / name
    table = [("text", "label"), *rows]
    ods = open_document.workbook(A="".join(open_document.row(*cells) for cells in table))
    path.write_bytes(ods if name == "a.ods" else page(rows))
    assert read(path) == rows


@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".tsv", ".jsonl", ".parquet"])
@settings(
    max_examples=6, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(rows=TABLES)
def test_what_is_written_here_reads_back(tmp_path: Path, suffix: str, rows: Rows) -> None:
    rows = [(text.lstrip("=+-@ \t\n") or "a", label) for text, label in rows]  # formulas are marked
    path = tmp_path / f"a{suffix}"
    with table_writer.opened(path, "probability_") as write:
        write(["text", "label"], [[*cells] for cells in rows])
    assert read(path) == rows


AWKWARD = [
    ("=1+1 is no formula", "pos"), ('say "no", no; or | no', "neg"), ("two\nlines", "pos"),
    ("naïve, жук, 映画 😀", "très bien"), ("<b>&amp;</b>", "neg"), ("'quoted'", "pos"),
    ("1. a list", "neg"), ("a  b   c", "pos"),
]  # fmt: skip


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LibreOffice's own folder, which takes it longer to make than to convert a file."""
    return tmp_path_factory.mktemp("profile")


@pytest.mark.slow
@pytest.mark.skipif(
    SOFFICE is None, reason="no LibreOffice here: install Debian's libreoffice-calc"
)
@pytest.mark.parametrize(
    "form", ["xlsx", "xls", "ods", "html", "csv:Text - txt - csv (StarCalc):59,34,76"]
)
def test_what_libreoffice_writes(tmp_path: Path, profile: Path, form: str) -> None:
    (tmp_path / "in").mkdir()
    source = tmp_path / "in" / "table.xlsx"
    source.write_bytes(openpyxl(AWKWARD))
    subprocess.run(
        [SOFFICE or "", f"-env:UserInstallation=file://{profile}", "--headless",
         "--convert-to", form, "--outdir", str(tmp_path), str(source)],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    suffix = form.partition(":")[0]
    found, expected = read(tmp_path / f"table.{suffix}"), AWKWARD
    if suffix == "html":  # which has no line ends or spaces of its own
        found, expected = [
            [(" ".join(text.split()), label) for text, label in rows] for rows in (found, expected)
        ]
    assert found == expected
