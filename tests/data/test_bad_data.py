"""Every kind of bad source is refused in words that say what, where and what to do."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import fsspec
import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from openpyxl import Workbook

from incumbent.config import DataConfig
from incumbent.data import datasets, ingestion
from incumbent.errors import DataError, StageTimedOut
from incumbent.tables import fsspec_files, parquet_reading, table_reader
from tests.small_servers import serving

if TYPE_CHECKING:
    from pathlib import Path

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def workbook(rows=(("text", "label"), ("hello", "a")), sheets=("Reviews", "Notes")) -> bytes:
    book = Workbook()
    book.active.title = sheets[0]
    for row in rows:
        book.active.append(row)
    for name in sheets[1:]:
        book.create_sheet(name)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def stray() -> bytes:
    """A small workbook whose used area has 17 billion cells."""
    book = Workbook()
    book.active.append(("text", "label"))
    book.active["XFD1048576"] = "stray"
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return stream.getvalue()


def bomb(declared: int) -> bytes:
    """A workbook that declares a huge unpacked size."""
    data = workbook()
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        size = source.getinfo("xl/worksheets/sheet1.xml").file_size
    return data.replace(size.to_bytes(4, "little"), declared.to_bytes(4, "little"))


def rewritten(**parts: str) -> bytes:
    """A workbook with other references in its sheet than programs write."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook())) as source,
        zipfile.ZipFile(stream, "w") as target,
    ):
        for name in source.namelist():
            xml = source.read(name).decode()
            for old, new in parts.items():
                xml = xml.replace(f'r="{old.lstrip("_")}"', new)
            target.writestr(name, xml)
    return stream.getvalue()


def half_a_sheet() -> bytes:
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook())) as source,
        zipfile.ZipFile(stream, "w") as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[: len(content) // 2] if "sheet1" in name else content)
    return stream.getvalue()


def parquet(**columns) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame(columns).to_parquet(stream)
    return stream.getvalue()


CSV = b"text,label\nhello,a\n"
BAD = {
    "unknown extension": ("a.pdf", b"%PDF", {}, [r"\.pdf", r"\.xlsx", r"\.csv"]),
    "no extension": ("reviews", bytes(range(32)), {}, ["without an extension", r"\.xlsx"]),
    "other text": ("notes.txt", b"Call them back.\n", {}, ["no column 'text'", "'Call them back"]),
    "empty file": ("a.xlsx", b"", {}, ["empty", "0 bytes"]),
    "noise named xlsx": ("a.xlsx", b"\0\1\2", {}, ["no Excel workbook", r"\\x01", r"\.csv"]),
    "two tables in a zip": (
        "a.xlsx",
        archive(**{"a.csv": CSV, "b.csv": CSV}),
        {},
        ["zip archive", "no Excel workbook", "2 files: 'a.csv', 'b.csv'", "zip://a.csv::"],
    ),
    "nothing in a zip": ("a.zip", archive(**{"__MACOSX/a.csv": CSV}), {}, ["holds no file"]),
    "encrypted workbook": (
        "a.xlsx",
        OLE + bytes(2000) + "EncryptedPackage".encode("utf-16-le"),
        {},
        ["protected by a password", "remove the password"],
    ),
    "damaged old workbook": ("a.xls", OLE + bytes(2000), {}, ["damaged", "save it again"]),
    "truncated workbook": ("a.xlsx", workbook()[:3000], {}, ["cut short", "3,000 bytes"]),
    "half a sheet": ("a.xlsx", half_a_sheet(), {}, ["damaged", "save it again"]),
    "bomb": ("a.xlsx", bomb(4_000_000_000), {}, ["4.0 GB", r"at most 2\.1 GB"]),
    "dense bomb": ("a.xlsx", bomb(600_000_000), {}, ["0.6 GB", "a factor of 200"]),
    "stray cell": ("a.xlsx", stray(), {}, ["1,048,576 rows by 16,384 columns", "stray"]),
    "cell too far down": ("a.xlsx", rewritten(A2='r="A99999999"'), {}, ["99,999,999 rows"]),
    "small letters": ("a.xlsx", rewritten(A2='r="xfd1048576"'), {}, ["16,384 columns"]),
    "spaced reference": ("a.xlsx", rewritten(A2='r = "A99999999"'), {}, ["99,999,999 rows"]),
    "row too far down": (
        "a.xlsx",
        rewritten(_2='r="99999999"', A2="", B2=""),
        {},
        ["99,999,999 rows"],
    ),
    "missing sheet": (
        "a.xlsx",
        workbook(),
        {"sheet": "Review"},
        ["no sheet 'Review'", "Did you mean 'Reviews'", "'Notes'", r"data\.sheet"],
    ),
    "sheet number": ("a.xlsx", workbook(), {"sheet": 7}, ["no sheet number 7", "it has 2"]),
    "empty sheet": ("a.xlsx", workbook(), {"sheet": 1}, ["'Notes' is empty", "'Reviews'"]),
    "header only": ("a.xlsx", workbook([("text", "label")]), {}, ["'Reviews'", "no rows"]),
    "header only csv": ("a.csv", b"text,label\n\n,\n", {}, ["no rows"]),
    "blank csv": ("a.csv", b"\n\n", {}, ["empty"]),
    "missing column": (
        "a.xlsx",
        workbook([("texts", "label"), ("hello", "a")]),
        {},
        ["'Reviews'", "no column 'text'", "Did you mean 'texts'", "'label'", "data.text_column"],
    ),
    "missing label": ("a.csv", b"text,mood\nx,a\n", {}, ["no column 'label'", "'mood'"]),
    "column twice": ("a.csv", b"text,label,text\nx,a,y\n", {}, ["2 columns named 'text'"]),
    "two encodings": (
        "a.csv",
        "text,label\nfine,a\ncafé,b\n".encode() + "café,b\n".encode("cp1252"),
        {},
        ["line 4", "byte 0xe9", "not utf-8", r"data\.encoding", "cp1252"],
    ),
    "another encoding than said": (
        "a.csv",
        "text,label\ncafé,b\n".encode("cp1252"),
        {"encoding": "utf-8"},
        ["line 2", "byte 0xe9", "not utf-8"],
    ),
    "odd utf-16": ("a.csv", b"\xff\xfea", {"encoding": "utf-16"}, ["not utf-16"]),
    "unknown encoding": ("a.csv", CSV, {"encoding": "utf-9"}, [r"data\.encoding", "'utf-9'"]),
    "no text encoding": ("a.csv", CSV, {"encoding": "base64"}, [r"data\.encoding", "'base64'"]),
    "too many cells": ("a.csv", b"text,label\nx,a\ny, z,b\n", {}, ["line 3", "3 cells", "has 2"]),
    "other delimiter": ("a.csv", CSV, {"delimiter": ";"}, ["no column 'text'", "'text,label'"]),
    "other header": ("a.csv", CSV, {"header_row": 2}, ["no column 'text'", "'hello', 'a'"]),
    "no header": ("a.xlsx", workbook(), {"header_row": 9}, ["nothing in row 9", "rows 1 to 2"]),
    "open quote": ("a.csv", b'text,label\n"x,a\n', {}, ["line 2", "quote"]),
    "bad json": ("a.jsonl", b'{"text": "x", "label": 1}\n{"text"\n', {}, ["line 2", "not JSON"]),
    "json list": ("a.jsonl", b'["x", "y"]\n', {}, ["record 1", "JSON str", "expected an object"]),
    "deep json": ("a.jsonl", b"[" * 200_000, {}, ["line 1", "nested too deeply"]),
    "json without column": (
        "a.ndjson",
        b'{"text": "x", "label": 1}\n{"txt": "x", "label": 1}\n',
        {},
        ["line 2", "no 'text'", "'txt', 'label'"],
    ),
    "blank json": ("a.jsonl", b"\n\n", {}, ["empty"]),
    "corrupt parquet": ("a.parquet", b"PAR1" + bytes(50) + b"PAR1", {}, ["damaged"]),
    "no parquet": ("a.parquet", b"\0\1\2", {}, ["no Parquet file"]),
    "parquet columns": ("a.parquet", parquet(texts=["a"], label=[1]), {}, ["mean 'texts'"]),
    "parquet rows": ("a.parquet", parquet(text=[], label=[]), {}, ["no rows"]),
    "truncated gzip": ("a.csv.gz", gzip.compress(CSV * 99)[:40], {}, ["cannot be unpacked"]),
    "packed bomb": ("a.csv.gz", gzip.compress(bytes(160 << 20)), {}, ["times its size", "200"]),
}


def refuse(source: str, config: dict) -> str:
    with pytest.raises(DataError) as caught:
        table_reader.read(source, DataConfig(**config))
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize(("name", "data", "config", "facts"), BAD.values(), ids=BAD)
def test_bad_source(tmp_path: Path, name, data, config, facts):
    path = tmp_path / name
    path.write_bytes(data)
    message = refuse(str(path), config)
    if "data.encoding is" not in message:
        assert str(path) in message
    for fact in facts:
        assert re.search(fact, message), message


def test_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "reviews.csv").write_bytes(CSV)
    message = refuse(str(tmp_path / "review.csv"), {})
    assert message.startswith(f"There is no file {tmp_path}/review.csv")
    assert f"Did you mean {tmp_path}/reviews.csv?" in message
    assert f"Did you mean {tmp_path}/reviews.csv?" in refuse(str(tmp_path / "reviews.xlsx"), {})
    assert "There is no file" in refuse(str(tmp_path / "nowhere" / "a.csv"), {})
    assert "There is no file" in refuse("memory://nowhere/a.csv", {})


def test_missing_file_of_no_near_name_lists_some(tmp_path):
    for name in ("tiny.xlsx", "a.csv", "b.jsonl.gz", "c.TSV", "notes.pdf"):
        (tmp_path / name).write_bytes(CSV)
    message = refuse(str(tmp_path / "missing.xlsx"), {})
    assert "Did you mean" not in message
    assert "Files there that can be read: a.csv, b.jsonl.gz, c.TSV, tiny.xlsx." in message
    (tmp_path / "d.csv").touch()
    (tmp_path / "e.csv").touch()
    assert "d.csv, e.csv and 1 more." in refuse(str(tmp_path / "missing.xlsx"), {})


def test_a_folder_where_a_file_belongs(tmp_path):
    (tmp_path / "a.csv").mkdir()
    assert "is a folder" in refuse(str(tmp_path / "a.csv"), {})
    fsspec.filesystem("memory").mkdirs("/folder.csv", exist_ok=True)
    assert "is a folder" in refuse("memory://folder.csv", {})


class LockedFileSystem(MemoryFileSystem):
    """A store that lets nobody in, or is gone, as the path says."""

    protocol = "locked"

    def _open(self, path, *args, **kwargs):
        if "secret" in path:
            raise PermissionError(path)
        raise RuntimeError(f"connection reset: url='https://me:pass@h{path}', /a.csv?sig=HIDDEN")


def test_no_permission_and_no_connection():
    fsspec.register_implementation("locked", LockedFileSystem, clobber=True)
    assert "permission denied" in refuse("locked://secret/a.csv", {})
    message = refuse("locked://distant/a.csv", {})
    assert "connection reset" in message
    assert "Check the address" in message


SIGNED = "?X-Amz-Signature=HIDDEN&se=2026#HIDDEN"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("locked://secret/a.csv", "locked://secret/a.csv may not be read"),
        ("locked://distant/a.csv", "locked://distant/a.csv could not be read"),
        ("memory://nowhere/a.csv", "memory://nowhere/a.csv"),
        ("nope://me:HIDDEN@bucket/a.csv", "nope://bucket/a.csv: nope:// cannot be read"),
        ("zip://a.csv::nope://me:HIDDEN@host/b.zip", "zip://a.csv::nope://host/b.zip"),
    ],
)
def test_no_error_shows_what_is_secret_in_a_url(source, shown):
    fsspec.register_implementation("locked", LockedFileSystem, clobber=True)
    message = refuse(source + SIGNED, {})
    assert shown in message
    assert "HIDDEN" not in message
    assert "me:" not in message


class Refusing(BaseHTTPRequestHandler):
    """A server that has a file, and does not give it."""

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", "50000000")
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self):
        self.send_error(503)

    def log_message(self, *_):
        pass


@pytest.fixture
def refusing():
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Refusing)) as address:
        yield address


@pytest.mark.parametrize("name", ["train.csv", "train.parquet"])
def test_no_error_shows_what_stands_for_a_name_in_a_path(monkeypatch, refusing, name):
    monkeypatch.setenv("TOKEN", "HIDDEN/é=1")
    shown = f"{refusing}/share/${{TOKEN}}/{name}"
    message = refuse(shown, {})
    assert message.startswith(f"{shown} could not be read (")
    assert "503" in message
    assert "HIDDEN" not in message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nope://x/${TOKEN}/a.csv", "nope:// cannot be read here"),
        ("${TOKEN}://x/a.csv", "cannot be read here"),
        ("memory://${TOKEN}/a.csv", "Files there that can be read: ${TOKEN}.csv."),
        ("memory://${TOKEN}/b-${TOKEN}.csv", "Did you mean memory://${TOKEN}/${TOKEN}.csv?"),
        ("locked://secret/${TOKEN}/a.csv", "permission denied"),
        ("locked://distant/${TOKEN}/a.csv", "connection reset"),
    ],
)
def test_neither_does_one_of_another_kind(monkeypatch, source, said):
    fsspec.register_implementation("locked", LockedFileSystem, clobber=True)
    fsspec.filesystem("memory").pipe("/HIDDEN/HIDDEN.csv", b"")
    monkeypatch.setenv("TOKEN", "HIDDEN")
    message = refuse(source, {})
    assert said in message
    assert "hidden" not in message.lower()


def test_nor_one_of_a_damaged_file(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise OSError("https://host/HIDDEN/a.parquet: not found")

    monkeypatch.setenv("TOKEN", "HIDDEN")
    (tmp_path / "HIDDEN").mkdir()
    (tmp_path / "HIDDEN" / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr(parquet_reading.pq, "ParquetFile", fail)
    message = refuse(f"{tmp_path}/${{TOKEN}}/a.parquet", {})
    assert "${TOKEN}/a.parquet: not found" in message
    assert "HIDDEN" not in message


def test_nor_one_of_a_folder(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("https://host/HIDDEN/inbox: 503")

    monkeypatch.setenv("TOKEN", "HIDDEN")
    monkeypatch.setattr(MemoryFileSystem, "isdir", fail)
    with pytest.raises(DataError, match="could not be looked into") as refused:
        fsspec_files.files_in("memory://${TOKEN}/inbox")
    assert "https://host/${TOKEN}/inbox: 503" in str(refused.value)
    assert "HIDDEN" not in str(refused.value)


def test_a_spoilt_file_at_a_signed_address(monkeypatch):
    content = io.BytesIO(b"PK\3\4, and then nothing")
    monkeypatch.setattr(fsspec_files, "opened", lambda _: contextlib.nullcontext(content))
    message = refuse(f"https://host/a.xlsx{SIGNED}", {})
    assert message.startswith("https://host/a.xlsx is cut short")


def test_bad_chains(tmp_path):
    (tmp_path / "a.zip").write_bytes(archive(**{"train.csv": CSV}))
    (tmp_path / "b.zip").write_bytes(b"no zip")
    message = refuse(f"zip://trai.csv::{tmp_path}/a.zip", {})
    assert f"Did you mean zip://train.csv::{tmp_path}/a.zip?" in message
    assert "There is no file" in refuse(f"zip://train.csv::{tmp_path}/c.zip", {})
    assert "not a zip file" in refuse(f"zip://train.csv::{tmp_path}/b.zip", {})


def test_protocol_unknown_or_not_installed():
    assert "nope:// cannot be read" in refuse("nope://bucket/a.csv", {})
    try:
        import s3fs  # noqa: F401
    except ImportError:
        assert fsspec_files.INSTALL.format("s3") in refuse("s3://bucket/a.csv", {})


def test_a_workdir_that_is_a_file(tmp_path):
    (tmp_path / "a.csv").write_bytes(CSV)
    (tmp_path / "work").touch()
    source = str(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"tracking\.workdir"):
        ingestion.ingest(DataConfig(train=source, test=source), tmp_path / "work")


def test_canonical_data_that_is_gone(tmp_path):
    (tmp_path / "a.csv").write_bytes(CSV)
    source = str(tmp_path / "a.csv")
    dataset = ingestion.ingest(DataConfig(train=source, test=source), tmp_path / "work")
    dataset.train.path.unlink()
    with pytest.raises(DataError, match="run again"):
        datasets.load(dataset.train)


@pytest.mark.parametrize(
    "look", [fsspec_files.files_in, lambda at: fsspec_files.opened(at).__enter__()]
)
def test_a_place_that_hangs_is_not_taken_for_bad_data(monkeypatch, look):
    def hang(*_, **__):
        raise StageTimedOut("the flow took too long")

    memory = fsspec.filesystem("memory")
    for call in ("isdir", "open"):
        monkeypatch.setattr(type(memory), call, hang)
    with pytest.raises(StageTimedOut):
        look("memory://inbox")
