"""Malformed files, made from good ones by a seeded generator."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from openpyxl import Workbook

from tests import biff, biff12, open_document

ROWS = [
    (f"A film worth {verb}: number {number}, {word}.", label)
    for number, word in enumerate(("café", "plain", "long", "short", "odd", "even", "last", "new"))
    for verb, label in (("seeing", "pos"), ("missing", "neg"), ("praise", "pos"), ("blame", "neg"))
]
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_BOMB = 64 << 20  # bytes a small file unpacks to; many times that for the nested ones
_SHEET = "xl/worksheets/sheet1.xml"
_ENTITIES = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha">'
    + b"".join(
        b'<!ENTITY %c "%s">' % (letter + 1, b"&%c;" % letter * 10) for letter in range(97, 106)
    )
    + b"]>"
)
_EXTERNAL = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY j SYSTEM "file:///etc/passwd">]>'

File = tuple[str, bytes]
Change = Callable[[bytes], bytes]


def files(seed: int, mutants: int) -> Iterator[File]:
    """Names and contents; so many random mutants of each good file, and all that are made by hand.

    The same seed gives the same files.
    """
    rng = random.Random(seed)
    good = originals()
    yield from _mutants(good, mutants, rng)
    yield from _misnamed(good)
    yield from _texts(good)
    yield from _lines()
    yield from _workbooks()
    yield from _old_workbooks()
    yield from _archives(good[".xlsx"])
    yield from _columns(good[".parquet"])
    yield from newer(seed, mutants)


def newer(seed: int, mutants: int) -> Iterator[File]:
    """The same of formats beside those that programs export most, and of folders of texts.

    A folder is an archive here; see `put`.
    """
    good = _others()
    yield from _mutants(good, mutants, random.Random(seed))
    for suffix, data in good.items():
        yield f"really-{suffix[1:]}.csv", data
        yield f"really-{suffix[1:]}.xlsx", data
    yield from _annotations()
    yield from _pages()
    yield from _open_documents(good[".ods"])
    yield from _packed(good)
    yield from _folders()


def put(folder: Path, name: str, data: bytes) -> Path:
    """Write a file of the corpus, or unpack it if it is a folder; give where it is."""
    path = folder / name
    if path.suffix != ".folder":
        path.write_bytes(data)
        return path
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(path)
    return path


def _mutants(good: dict[str, bytes], mutants: int, rng: random.Random) -> Iterator[File]:
    for suffix, data in good.items():
        for number in range(mutants):
            yield f"flipped-{number}{suffix}", _flipped(data, rng)
            yield f"cut-{number}{suffix}", data[: rng.randrange(1, len(data))]
            yield f"spliced-{number}{suffix}", _spliced(data, rng)


def _others() -> dict[str, bytes]:
    """A good file of each of these formats, by extension."""
    table = [("text", "label"), *ROWS]
    ods = open_document.workbook(A="".join(open_document.row(*cells) for cells in table))
    return {
        ".ods": _packed_anew(ods),
        ".xlsb": _packed_anew(biff12.workbook({"A": biff12.sheet(table)})),
        ".zip": _zip({"out/table.csv": originals()[".csv"]}),
        ".json": json.dumps([_task(text, [label]) for text, label in ROWS], indent=1).encode(),
        ".xls": _page(table).encode(),
    }


def _task(text: object, choices: object) -> dict[str, object]:
    """A task of Label Studio."""
    given = {"from_name": "sentiment", "type": "choices", "value": {"choices": choices}}
    return {"data": {"text": text}, "annotations": [{"was_cancelled": False, "result": [given]}]}


def _page(table: Sequence[Sequence[str]]) -> str:
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for cells in table)
    return f"<html><body><table>{rows}</table></body></html>"


def _annotations() -> Iterator[File]:
    """Exports of annotation tools, one record or all of which are broken."""
    tasks = [_task(text, [label]) for text, label in ROWS]
    for name, other in {
        "none": {"data": {"text": "a"}, "annotations": []}, "no-data": {"annotations": []},
        "no-list": {"data": {"text": "a"}, "annotations": {}}, "null": None, "number": 12,
        "nulls": {"data": {"text": "a"}, "annotations": [None, {"result": None}, {"result": [7]}]},
        "no-value": {"data": {"text": "a"}, "annotations": [{"result": [{"value": None}]}]},
        "text": _task({"a": ["b"]}, ["pos"]), "choices": _task("a", "pos"),
        "nested": _task("a", [["pos"], {"a": 1}]), "several": _task("a", ["pos", "neg"]),
        "many": _task("a", ["pos"] * 200_000), "blank": _task("", [""]),
        "empty-text": {"data": {}, "annotations": []},
    }.items():  # fmt: skip
        yield f"task-{name}.json", json.dumps([*tasks[:20], other, *tasks[20:]]).encode()
    lists = [{"text": text, "label": [label]} for text, label in ROWS]
    yield "lists.jsonl", "\n".join(map(json.dumps, lists)).encode()
    yield "spans.jsonl", json.dumps({"text": "a", "label": [[0, 1, "PER"]]}).encode()
    prodigy = [{"text": t, "accept": label, "answer": "accept"} for t, label in ROWS]
    yield "prodigy.jsonl", "\n".join(map(json.dumps, prodigy)).encode()
    yield "deep-lists.json", b'[{"text": "a", "label": ' + b"[" * 900 + b"]" * 900 + b"}]"


def _pages() -> Iterator[File]:
    """HTML that is called .xls, as programs save it."""
    good = _page([("text", "label"), *ROWS])
    yield "no-table.xls", b"<html><body><p>text, label</p></body></html>"
    yield "no-rows.xls", b"<html><body><table></table></body></html>"
    yield "half.xls", good[: len(good) // 2].encode()
    yield "in-utf-16.xls", good.encode("utf-16")
    yield "nested-tables.xls", ("<table><tr><td>" * 500 + good).encode()
    yield "spanned.xls", good.replace("<td>", '<td colspan="99999">').encode()
    yield "script.xls", good.replace("film", "<script>alert(1)</script>").encode()


def _open_documents(good: bytes) -> Iterator[File]:
    """OpenDocument of which a part is lost, or not what it should be."""
    change = partial(_with_member, good, "content.xml")
    yield "no-content.ods", _with_member(good, "content.xml", None)
    yield "half-a-content.ods", change(lambda xml: xml[: len(xml) // 2])
    yield "entities.ods", change(lambda xml: _ENTITIES + xml.replace(b"film", b"&j;"))
    yield "external.ods", change(lambda xml: _EXTERNAL + xml.replace(b"film", b"&j;"))
    yield "bomb.ods", change(lambda xml: xml + bytes(_BOMB))


def _packed(good: dict[str, bytes]) -> Iterator[File]:
    """Archives of one table, several, none, and of archives."""
    table = originals()[".csv"]
    yield "two.zip", _zip({"train.csv": table, "test.csv": table})
    yield "none.zip", _zip({})
    yield "climbs-out.zip", _zip({"../../../../tmp/incumbent-climbed.csv": table})
    yield "nested.zip", _zip({"inner.zip": good[".zip"]})
    yield "book.zip", _zip({"book.ods": good[".ods"]})
    yield "bomb.zip", _zip({"table.csv": b"text,label\n" + bytes(_BOMB * 2)})


def _folders() -> Iterator[File]:
    """Folders of texts."""
    texts = {f"{label}/{n}.txt": text.encode() for n, (text, label) in enumerate(ROWS)}
    beside = {"Thumbs.db": b"\0", "pos/.DS_Store": b"\0", "neg/~$a.txt": b"\0"}
    yield "texts.folder", _zip(texts | beside)
    yield "flat.folder", _zip({name.replace("/", "-"): text for name, text in texts.items()})
    yield (
        "both-sides.folder",
        _zip({f"{s}/{n}": t for s in ("train", "test") for n, t in texts.items()}),
    )
    yield "years.folder", _zip({n.replace("/", f"/{len(n)}/"): t for n, t in texts.items()})
    yield "binary.folder", _zip(texts | {"pos/z.txt": bytes(range(256))})
    yield "archive.folder", _zip(texts | {"pos/z.txt": _zip(texts)})
    yield "empty.folder", _zip(texts | {"pos/z.txt": b"", "neg/z.txt": b" \n"})
    yield "one-label.folder", _zip({n: t for n, t in texts.items() if n.startswith("pos")})
    yield "huge.folder", _zip(texts | {"pos/z.txt": bytes(_BOMB + 1)})


def originals() -> dict[str, bytes]:
    """A good file of each format, by extension."""
    frame = pd.DataFrame(ROWS, columns=["text", "label"])
    excel, parquet = io.BytesIO(), io.BytesIO()
    frame.to_excel(excel, index=False)
    frame.to_parquet(parquet)
    return {
        ".xlsx": _timeless(excel.getvalue()),
        ".csv": frame.to_csv(index=False).encode(),
        ".tsv": frame.to_csv(index=False, sep="\t").encode(),
        ".jsonl": frame.to_json(orient="records", lines=True, force_ascii=False).encode(),
        ".parquet": parquet.getvalue(),
    }


def _flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 4, 32))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _spliced(data: bytes, rng: random.Random) -> bytes:
    """A part taken out, put in twice, made zero or noise."""
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.randrange(1, 400))
    part = data[start:end]
    middle = rng.choice((b"", part * 2, bytes(len(part)), rng.randbytes(len(part))))
    return data[:start] + middle + data[end:]


def _misnamed(good: dict[str, bytes]) -> Iterator[File]:
    """Each format under the name of each other."""
    for suffix, data in good.items():
        for other in (*good, ".xls", ".csv.gz"):
            if other != suffix:
                yield f"really-{suffix[1:]}{other}", data
    yield "noise.xlsx", random.Random(1).randbytes(5000)
    yield "noise.parquet", random.Random(2).randbytes(5000)
    yield "noise.csv", random.Random(3).randbytes(5000)
    for suffix in (*good, ".xls"):
        yield f"empty{suffix}", b""
        yield f"zeros{suffix}", bytes(4096)
    yield "page.xlsx", b"<html><body><table><tr><td>text</td></tr></table></body></html>"
    yield "password.xlsx", _OLE + bytes(504) + "EncryptedPackage".encode("utf-16-le")
    yield "header-only.xls", _OLE + bytes(4096)
    yield "unknown.docx", good[".xlsx"]


def _texts(good: dict[str, bytes]) -> Iterator[File]:
    """CSV in encodings and with separators, quotes and cells that it should not have."""
    table = good[".csv"].decode()
    for encoding in ("utf-16", "utf-16-le", "utf-32", "latin-1", "cp037"):
        yield f"in-{encoding}.csv", table.encode(encoding)
    yield "two-encodings.csv", table.encode() + "Ein schöner Film,pos\n".encode("latin-1")
    yield "byte-order-mark.csv", b"\xef\xbb\xbf" + table.encode()
    yield "semicolons.csv", table.replace(",", ";").encode()
    yield "open-quote.csv", table.replace("A film", '"A film', 1).encode()
    yield "quotes-within.csv", table.replace("film", 'f"il"m').encode()
    yield "nul.csv", table.replace("worth", "wo\0rth").encode()
    yield "carriage-returns.csv", table.replace("\n", "\r").encode()
    yield "no-header.csv", table.split("\n", 1)[1].encode()
    yield "header-only.csv", b"text,label\n"
    yield "two-headers.csv", ("text,label\n" + table).encode()
    yield "same-name-twice.csv", table.replace("text,label", "text,text", 1).encode()
    yield "other-names.csv", table.replace("text,label", "txt,lable", 1).encode()
    yield "ragged.csv", table.replace(",pos", ",pos,and,more").encode()
    yield "one-column.csv", table.replace(",", " ").encode()
    yield "huge-cell.csv", table.encode() + b"x" * (20 << 20) + b",pos\n"
    yield "huge-line.csv", b"text,label\n" + b"a," * (5 << 20)
    yield "wide.csv", ("text,label," + ",".join(f"c{n}" for n in range(20_000)) + "\n").encode()
    yield "blank-lines.csv", b"\n" * 100_000 + table.encode()
    yield "surrogates.csv", table.encode() + b"\xed\xa0\x80 broken,pos\n"
    yield "right-to-left.csv", table.replace("film", "\u202emlif\u202c").encode()
    yield "labels-with-spaces.csv", table.replace(",pos", ", pos ").encode()
    yield "no-labels.csv", table.replace(",pos", ",").replace(",neg", ",").encode()
    yield "numbers.csv", ("text,label\n" + "12.5,1\n" * 40).encode()
    yield "formulas.csv", table.replace("A film", "=cmd|' /C calc'!A0 film").encode()


def _lines() -> Iterator[File]:
    """JSON Lines, one or all of which are broken."""
    rows = [json.dumps({"text": text, "label": label}) for text, label in ROWS]
    for name, line in {
        "broken": '{"text": "half', "list": "[1, 2]", "null": "null", "number": "12",
        "no-label": '{"text": "a film"}', "nested": '{"text": {"a": 1}, "label": "pos"}',
        "twice": '{"text": "a", "text": "b", "label": "pos"}', "nan": '{"text": NaN, "label": 1}',
        "deep": '{"text": ' + "[" * 100_000 + "]" * 100_000 + ', "label": "pos"}',
        "surrogate": '{"text": "\\ud800", "label": "pos"}',
        "long-number": '{"text": ' + "9" * 6000 + ', "label": "pos"}',
        "nul": '{"text": "a\\u0000b", "label": "pos"}',
    }.items():  # fmt: skip
        yield f"line-{name}.jsonl", "\n".join([*rows[:20], line, *rows[20:]]).encode()
    yield "array.jsonl", f"[{', '.join(rows)}]".encode()
    yield "pretty.jsonl", json.dumps([json.loads(row) for row in rows], indent=2).encode()


def _book(fill: Callable[[Workbook], None]) -> bytes:
    book, stream = Workbook(), io.BytesIO()
    book.active.append(["text", "label"])
    for row in ROWS:
        book.active.append(row)
    fill(book)
    book.save(stream)
    return _timeless(stream.getvalue())


def _workbooks() -> Iterator[File]:
    """Workbooks as people make them."""
    cells: dict[str, dict[str, object]] = {
        "number": {"A5": 12.5}, "boolean": {"A5": True}, "formula": {"A5": "=A2"},
        "date": {"A5": datetime.datetime(2024, 5, 1)},
        "date-label": {"B5": datetime.datetime(2024, 5, 1)},
        "formula-label": {"B5": '=IF(1,"pos","neg")'}, "error": {"A5": "#REF!"},
        "no-text": {"A5": None}, "no-label": {"B5": None}, "no-header": {"A1": None, "B1": None},
        "same-header": {"B1": "text"}, "far": {"XFD1048576": "stray"}, "blank": {"A5": " \n "},
        "longest": {"A5": "x" * 32_767}, "number-header": {"A1": 1, "B1": 2},
        "time": {"A5": datetime.time(3, 4)}, "wide": {"ZZ1": "note", "ZZ40": "stray"},
    }  # fmt: skip
    for name, changes in cells.items():

        def fill(book: Workbook, changes: dict[str, object] = changes) -> None:
            for place, value in changes.items():
                book.active[place] = value

        yield f"{name}.xlsx", _book(fill)
    yield "merged.xlsx", _book(lambda book: book.active.merge_cells("A3:A9"))
    yield "merged-header.xlsx", _book(lambda book: book.active.merge_cells("A1:B1"))
    yield "merged-labels.xlsx", _book(lambda book: book.active.merge_cells("B2:B20"))
    yield "second-sheet.xlsx", _book(lambda book: book.create_sheet("Notes", 0))
    yield "empty-sheet.xlsx", _book(lambda book: book.active.delete_rows(1, 100))
    yield "chart-first.xlsx", _book(lambda book: book.create_chartsheet("Chart", 0))
    yield "blank-rows.xlsx", _book(lambda book: book.active.insert_rows(1, 30))


def _old_workbooks() -> Iterator[File]:
    """Workbooks of the format before .xlsx, whose cells no memory could hold."""
    table = [
        biff.text(row, column, cell)
        for row, cells in enumerate([("text", "label"), *ROWS])
        for column, cell in enumerate(cells)
    ]
    yield "old.xls", biff.workbook(*table, rows=len(ROWS) + 1, columns=2)
    yield "far-cell.xls", biff.workbook(*table, biff.number(65_535, 65_535, 1))
    yield "last-cell.xls", biff.workbook(*table, biff.number(65_535, 255, 1))
    yield "dimension.xls", biff.workbook(*table, rows=(1 << 32) - 1, columns=65_535)
    body = [biff.shared(row, column) for row in range(1, 60_000) for column in range(2)]
    yield "one-text.xls", biff.workbook(*table[:2], *body, shared="film" * 1_000)


def _archives(good: bytes) -> Iterator[File]:
    """Workbooks that no program makes: bombs, entities, dimensions, missing and nested parts."""
    change = partial(_with_member, good)
    yield "bomb.xlsx", change(_SHEET, lambda xml: xml.replace(b"<sheetData>", b" " * _BOMB))
    yield "bomb-text.xlsx", change(_SHEET, lambda xml: xml.replace(b"film", b"film" * (4 << 20)))
    yield "bomb-extra.xlsx", change("xl/media/image1.png", lambda _: bytes(_BOMB))
    yield "entities.xlsx", change(_SHEET, lambda xml: _ENTITIES + xml.replace(b"film", b"&j;"))
    yield "external.xlsx", change(_SHEET, lambda xml: _EXTERNAL + xml.replace(b"film", b"&j;"))
    dimensions = {"all": "A1:XFD1048576", "absurd": "A1:ZZZZZZ99999999999", "none": ""}
    for name, size in dimensions.items():
        yield f"dimension-{name}.xlsx", change(_SHEET, partial(_dimension, size=size.encode()))
    yield "far-row.xlsx", change(_SHEET, lambda xml: xml.replace(b'r="9"', b'r="999999999999"'))
    yield "far-cell.xlsx", change(_SHEET, lambda xml: xml.replace(b'r="A9"', b'r="XFZ99999999"'))
    yield "half-a-sheet.xlsx", change(_SHEET, lambda xml: xml[: len(xml) // 2])
    yield "no-sheet.xlsx", change(_SHEET, None)
    yield "no-workbook.xlsx", change("xl/workbook.xml", None)
    yield "no-relations.xlsx", change("xl/_rels/workbook.xml.rels", None)
    yield "no-types.xlsx", change("[Content_Types].xml", None)
    yield "strings-lost.xlsx", change("xl/sharedStrings.xml", None)
    yield "nul-in-sheet.xlsx", change(_SHEET, lambda xml: xml.replace(b"film", b"fi\0lm"))
    yield "nested.xlsx", _zip({"inner.xlsx": good})
    yield "nested-twice.xlsx", _zip({"a.zip": _zip({"b.zip": _zip({"inner.xlsx": good})})})
    yield "nothing-in-it.xlsx", _zip({})
    yield "climbs-out.xlsx", change("../../../../tmp/incumbent-climbed", lambda _: b"out")
    yield "declared-small.xlsx", _declared(good, 10)
    yield "declared-huge.xlsx", _declared(good, 0xFFFFFFF0)
    yield "bomb.csv.gz", _gzip(b"text,label\n" + bytes(_BOMB * 4))
    yield "cut.csv.gz", _gzip(b"text,label\n" + b"a film,pos\n" * 500)[:-20]
    yield "not-packed.csv.gz", b"text,label\na film,pos\n"
    yield "twice-packed.csv.gz", _gzip(_gzip(b"text,label\na film,pos\n"))


def _with_member(data: bytes, member: str, change: Change | None) -> bytes:
    """A zip with one member changed, added, or (by None) left out."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    if change is None:
        members.pop(member, None)
    else:
        members[member] = change(members.get(member, b""))
    return _zip(members)


def _packed_anew(data: bytes) -> bytes:
    """An archive that does not tell when it was made."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        return _zip({name: source.read(name) for name in source.namelist()})


def _zip(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        for name, content in members.items():
            target.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def _timeless(data: bytes) -> bytes:
    """A workbook that does not tell when it was written: the same seed gives the same bytes."""
    return _with_member(
        data, "docProps/core.xml", lambda xml: re.sub(rb">2\d{3}-[^<]+<", b"><", xml)
    )


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _dimension(xml: bytes, size: bytes) -> bytes:
    start = xml.index(b'<dimension ref="') + len(b'<dimension ref="')
    return xml[:start] + size + xml[xml.index(b'"', start) :]


def _declared(data: bytes, size: int) -> bytes:
    """A workbook whose sheet is said to unpack to another size."""
    with zipfile.ZipFile(io.BytesIO(data)) as source:
        real = source.getinfo(_SHEET).file_size
    return data.replace(struct.pack("<I", real), struct.pack("<I", size))


def _columns(good: bytes) -> Iterator[File]:
    """Parquet with a damaged footer, and with columns of other types."""
    yield "footer-length.parquet", good[:-8] + struct.pack("<I", 0x7FFFFFFF) + good[-4:]
    yield "footer-zero.parquet", good[:-8] + bytes(4) + good[-4:]
    yield "footer-noise.parquet", good[:-300] + random.Random(4).randbytes(292) + good[-8:]
    yield "no-magic.parquet", good[:-4] + b"PARX"
    yield "pages-zero.parquet", good[:4] + bytes(400) + good[404:]
    for name, columns in {
        "numbers": {"text": [1.5] * 40, "label": ["pos"] * 40},
        "bytes": {"text": [b"\xff\xfe"] * 40, "label": ["pos"] * 40},
        "lists": {"text": [["a", "b"]] * 40, "label": ["pos"] * 40},
        "dates": {"text": [datetime.datetime(2024, 5, 1)] * 40, "label": ["pos"] * 40},
        "no-rows": {"text": [], "label": []},
        "no-label": {"text": ["a film"] * 40},
        "nothing": {"text": [None] * 40, "label": [None] * 40},
    }.items():
        stream = io.BytesIO()
        pd.DataFrame(columns).to_parquet(stream)
        yield f"{name}.parquet", stream.getvalue()
