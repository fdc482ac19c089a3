"""Small files that unpack to more than any memory are refused at once, and in little of it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl import Workbook

from tests import biff, biff12, open_document
from tests.tables.test_shared_texts import one_text

pytestmark = pytest.mark.slow

GIB = 1 << 30
HEAD = b"text,label\n"
READ = """
import json, os, re, resource, sys
from pathlib import Path
from incumbent.tables import table_reader
from incumbent.config import DataConfig
from incumbent.errors import DataError

for file in sys.argv[1:]:
    start, said = sum(os.times()[:4]), "read"
    try:
        table_reader.read(file, DataConfig())
    except DataError as error:
        said = str(error)
    # The peak of this program; what `resource` tells holds that of whoever started it.
    used = int(re.search("VmHWM:\\s*([0-9]+)", Path("/proc/self/status").read_text())[1]) * 1024
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(json.dumps([said, sum(os.times()[:4]) - start, max(used, child)]))
"""


def workbook(part: str, change: Callable[[bytes], bytes]) -> bytes:
    """A workbook, one part of which is changed."""
    book, plain, changed = Workbook(), io.BytesIO(), io.BytesIO()
    book.active.append(["text", "label"])
    book.save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if Path(name).stem == part else content)
    return changed.getvalue()


def lying(part: str, times: int) -> bytes:
    """A workbook, one part of which unpacks to so many MiB, and is said to unpack to 300 bytes."""
    pack = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    block = pack.compress(b" " * (1 << 20)) + pack.flush(zlib.Z_FULL_FLUSH)
    file = io.BytesIO(workbook("", lambda content: content))
    with zipfile.ZipFile(file, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the part's being there already: the last one counts
        archive.writestr(part, block * times + pack.flush(), zipfile.ZIP_STORED)
    data = bytearray(file.getvalue())
    entry = data.rindex(b"PK\x01\x02")
    header = struct.unpack_from("<I", data, entry + 42)[0]
    for size, method in ((entry + 24, entry + 10), (header + 22, header + 8)):
        struct.pack_into("<I", data, size, 300)
        struct.pack_into("<H", data, method, zipfile.ZIP_DEFLATED)
    return bytes(data)


def archive(content: bytes) -> bytes:
    """A ZIP archive of one file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("a", content)
    return file.getvalue()


def _merged(xml: bytes) -> bytes:
    return xml.replace(
        b"</sheetData>",
        b'<row r="9999"><c r="A9999"><v>1</v></c></row></sheetData>'
        + b'<mergeCell ref="A1:A1048576"/>' * 300_000,
    ).replace(b">label<", b">labels<")


def parquet(path: Path, text: pa.Array) -> None:
    table = pa.table({"text": text, "label": ["a"] * len(text)})
    plain = not pa.types.is_dictionary(text.type)
    pq.write_table(table, path, compression="zstd", use_dictionary=not plain)


ENTITIES = b"<!DOCTYPE z [%s]>" % b"".join(
    b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10 if n else b"lol") for n in range(30)
)
WIDE = (
    b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    b"</sheetData></worksheet>"
)


def test_each_is_refused_at_once_and_in_little_memory(tmp_path: Path) -> None:
    first = biff.text(0, 0, "text")
    packed = gzip.compress(b"a" * (8 << 20))
    files = {
        "twenty.csv.gz": gzip.compress(HEAD) + packed * 2_560,
        "dense.csv.bz2": bz2.compress(HEAD) + bz2.compress(b"a" * (8 << 20)) * 2_560,
        "entities.xlsx": workbook(
            "workbook",
            lambda xml: ENTITIES + xml.replace(b"<sheets>", b"<x>&a29;</x><sheets>"),
        ),
        "wide.xlsx": workbook("sheet1", lambda _: WIDE),
        "lying.xlsx": lying("xl/workbook.xml", 1 << 10),
        "strings.xlsx": workbook("styles", lambda _: b"<si><t/></si>" * (9 << 20)),
        "sheets.xlsx": workbook("workbook", lambda _: b"<x>" + b"<a/>" * (12 << 20) + b"</x>"),
        "formulas.xlsx": workbook("sheet1", lambda _: b'<c r="A1"><f>' * (2 << 20)),
        "references.xlsx": workbook("sheet1", lambda _: b'<c s="1"%s/>' % (b' r="A1"' * (1 << 16))),
        "one-text.xlsx": one_text(1 << 18, cells=9_000),
        "repeated.ods": open_document.workbook(
            A=open_document.row("text", "label")
            + open_document.row(
                open_document.cell("x", 'table:number-columns-repeated="16384"'),
                more='table:number-rows-repeated="1048576"',
            )
        ),
        "rows.ods": open_document.workbook(
            A=open_document.row("text")
            + open_document.row("x" * 9_000, more='table:number-rows-repeated="1048575"')
        ),
        "padded.ods": open_document.workbook(
            A=open_document.row("text")
            + open_document.row("x" * 9_000, more='table:number-rows-repeated="1048575"')
            + " " * (20 << 20)
        ),
        "elements.ods": open_document.workbook(
            A=open_document.row(open_document.cell("text", 'table:number-rows-spanned="2"'))
            + '<a b=""/>' * (5 << 19)
        ),
        "entities.ods": open_document.workbook(A="<x>&a29;</x>", before=ENTITIES.decode()),
        "far.xlsb": biff12.workbook(
            {"A": biff12.sheet([["text"], *[[]] * 99_999, [None] * 9_999 + ["x"]])}
        ),
        "merged.xlsx": workbook("sheet1", _merged),
        "merged.xlsb": biff12.workbook(
            {"A": biff12.sheet([["text"], *[["x"]] * 999], [(0, 999, 0)] * 200_000)}
        ),
        "dense.zip": archive(HEAD + bytes(104 << 20)),
        "nested.zip": archive(archive(HEAD)),
        "spans.xls": b"<table><tr><td>text" + b"<td colspan=9999>" * (1 << 20),
        "open.xls": b"<table><tr><td>text" + b"<td <!-- " * (1 << 20),
        "deep.json": b"[" * (20 << 20),
        "far.xls": biff.workbook(first, biff.number(65_535, 65_535, 1)),
        "corner.xls": biff.workbook(first, biff.number(65_535, 255, 1)),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    parquet(tmp_path / "dense.parquet", pa.array(["x" * (1 << 20)] * 110))
    once = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), ["x" * (10 << 20)])
    parquet(tmp_path / "once.parquet", once)
    expected = {
        "twenty.csv.gz": "times its size",
        "dense.csv.bz2": "times its size",
        "entities.xlsx": "is a damaged workbook",
        "wide.xlsx": "spans 1,048,576 rows by 16,384 columns",
        "lying.xlsx": "is a damaged workbook",
        "strings.xlsx": "would unpack to 0.1 GB",
        "sheets.xlsx": "lists the sheets in",
        "formulas.xlsx": "holds more than 1,000,000 formulas",
        "references.xlsx": "is empty",
        "one-text.xlsx": "needs far more memory",
        "repeated.ods": "is a damaged workbook",
        "rows.ods": "needs far more memory",
        "padded.ods": "needs far more memory",
        "elements.ods": "no column 'label'",
        "entities.ods": "is empty",
        "far.xlsb": "needs far more memory",
        "merged.xlsx": "no column 'label'",
        "merged.xlsb": "no column 'label'",
        "dense.zip": "would unpack to 0.1 GB",
        "nested.zip": "is a zip archive, but no Excel workbook",
        "spans.xls": "holds more than 20,000,000 cells",
        "open.xls": "no column 'text'",
        "deep.json": "nested too deeply",
        "far.xls": "needs far more memory",
        "corner.xls": "needs far more memory",
        "dense.parquet": "would unpack to 0.1 GB",
        "once.parquet": "Shorten the texts",
    }
    done = subprocess.run(
        [sys.executable, "-c", READ, *(str(tmp_path / name) for name in expected)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    answers = map(json.loads, done.stdout.splitlines())
    for (name, part), (said, seconds, used) in zip(expected.items(), answers, strict=True):
        assert part in said, name
        assert seconds < 5, name  # of the processor; cores that are shared are slower, too
        assert used < GIB, name
