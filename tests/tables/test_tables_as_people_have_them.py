"""One table, written in every way that people send it, reads back as the same rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from incumbent.config import DataConfig
from incumbent.errors import DataError
from incumbent.tables import source_reading, table_reader
from tests import biff12, open_document
from tests.biff12 import sheet as binary_sheet
from tests.open_document import cell, row

ROWS = [("A fine film; really, so fine", "pos"), ("naïve | dull", "neg")]
HEAD = ("text", "label")
QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
# What each code page has letters for.
WORDS = {
    "utf-8": "映画 😀 naïve", "utf-8-sig": "café", "utf-16": "Привет 😀", "utf-16-le": "plain",
    "utf-16-be": "plain", "utf-32": "mot à mot", "cp1252": "Ein schöner Film, großartig",
    "cp1251": "Хороший фильм, очень понравился", "cp1250": "Dobrý den, příliš žluťoučký kůň",
    "cp1253": "Καλή ταινία", "cp932": "良い映画でした",
}  # fmt: skip
TEXTS = st.text("ab \"'\\,;|\té\n=", min_size=1, max_size=20).filter(lambda text: text.strip())


def read(path: Path, data: bytes | str, **config: object) -> tuple[pd.DataFrame, str]:
    """The rows of a file and what is said of it."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    said: list[str] = []
    frame = pd.concat(table_reader.parts(str(path), DataConfig(**config), note=said.append))
    return frame, " ".join(said)


def pairs(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(frame["text"], frame["label"], strict=True))


def refused(path: Path, data: bytes | str, **config: object) -> str:
    with pytest.raises(DataError) as caught:
        read(path, data, **config)
    assert str(path) in str(caught.value)
    return str(caught.value)


def excel(*sheets: list[tuple[object, ...]], merged: str = "", states: str = "") -> bytes:
    """A workbook; `states` has a letter for each sheet, `h` for a hidden one."""
    book = Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets):
        made = book.create_sheet(f"S{number}")
        for cells in rows:
            made.append(cells)
        if merged:
            made.merge_cells(merged)
        if states[number : number + 1] == "h":
            made.sheet_state = "hidden"
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


@QUICK
@given(
    st.lists(st.tuples(TEXTS, st.sampled_from(["pos", "neg"])), min_size=2, max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["", "sep", "title", "blank", "margin"]),
    st.sampled_from(["a.csv", "a.tsv", "a.txt", "a"]),
)
def test_every_dialect_reads_the_same(
    tmp_path, rows, delimiter, line, encoding, quoting, above, name
):
    stream = io.StringIO()
    write = csv.writer(stream, delimiter=delimiter, lineterminator=line, quoting=quoting)
    first = {"sep": 0, "title": 2, "blank": 2, "margin": 1}.get(above, 0)
    margin = [""] if above == "margin" else []
    stream.write({"sep": f"sep={delimiter}{line}", "blank": line * 2}.get(above, ""))
    if above == "title":
        write.writerows([["Feedback of week 41", ""], ["", ""]])
    if above == "margin":
        write.writerow(["", "", ""])
    write.writerows([*margin, *cells] for cells in (HEAD, *rows))
    frame, said = read(tmp_path / name, stream.getvalue().encode(encoding))
    assert pairs(frame) == rows
    assert frame["row"].tolist() == [first + 2 + n for n in range(len(rows))]
    assert ("delimited by" in said) == (
        above == "sep" or delimiter != {"a.tsv": "\t"}.get(name, ",")
    )
    assert ("the header is row 3" in said) == (above == "title")


@pytest.mark.parametrize("encoding", WORDS)
def test_each_file_has_its_own_encoding(tmp_path, encoding):
    lines = f"text;label\r\nplain words;pos\r\n{WORDS[encoding]};neg\r\n"
    frame, said = read(tmp_path / "a.csv", lines.encode(encoding))
    assert pairs(frame) == [("plain words", "pos"), (WORDS[encoding], "neg")]
    assert ("read as" in said) == (not encoding.startswith("utf-8"))
    assert pairs(read(tmp_path / "a.csv", lines.encode(encoding), encoding=encoding)[0]) == [
        ("plain words", "pos"),
        (WORDS[encoding], "neg"),
    ]


def test_a_mark_goes_before_the_config(tmp_path):
    data = "text,label\ncafé,a\n"
    for encoding in ("utf-8-sig", "utf-16"):
        frame, _ = read(tmp_path / "a.csv", data.encode(encoding), encoding="cp1252")
        assert frame["text"].tolist() == ["café"]


def quoted(texts: list[str], quote: str) -> str:
    return "text,label\n" + "".join(f'"{t.replace(chr(34), quote)}",a\n' for t in texts)


@pytest.mark.parametrize("quote", ['""', '\\"'])
def test_quotes_doubled_or_escaped(tmp_path, quote):
    texts = ['she said "well, no" twice', "plain"]
    assert read(tmp_path / "a.csv", quoted(texts, quote))[0]["text"].tolist() == texts


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"in C:\temp\new, as \\server\s", r"in C:\temp\new, as \\server\s"),
        (r"in C:\\temp, or C:\\", "in C:\\temp, or C:\\"),  # escaped as quotes are
    ],
)
def test_backslashes_stay_where_quotes_have_them(tmp_path, written, text):
    data = f'text,label\n"{written}",a\n"she said \\"well, no\\" twice",b\n'
    expected = [text, 'she said "well, no" twice']
    assert read(tmp_path / "a.csv", data)[0]["text"].tolist() == expected


def test_quotes_of_tabbed_text_are_its_own(tmp_path):
    frame, said = read(tmp_path / "a.tsv", 'text\tlabel\n"Great" film\ta\n"open\tb\n')
    assert frame["text"].tolist() == ['"Great" film', '"open']
    assert "quotes are part of the texts" in said


def as_formats(rows: list[tuple[str, str]]) -> dict[str, bytes]:
    """The same table as each kind of file."""
    records = [dict(zip(HEAD, cells, strict=True)) for cells in rows]
    frame = pd.DataFrame(records)
    table, parquet, zipped = [HEAD, *rows], io.BytesIO(), io.BytesIO()
    frame.to_parquet(parquet)
    page = "".join(
        f"<tr>{''.join(f'<td>{c}</td>' for c in cells)}</tr><!-- <tr> -->" for cells in table
    )
    xml = "".join(
        f"<Row>{''.join(f'<Cell><Data>{c}</Data></Cell>' for c in cells)}</Row>" for cells in table
    )
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("out/table.csv", frame.to_csv(index=False))
        archive.writestr("__MACOSX/out/._table.csv", b"\0\1")
    return {
        "xlsx": excel(table),
        "xlsb": biff12.workbook({"A": binary_sheet(table)}),
        "ods": open_document.workbook(A="".join(row(*cells) for cells in table)),
        "csv": frame.to_csv(index=False).encode(),
        "gzip": gzip.compress(frame.to_csv(index=False).encode()),
        "zip": zipped.getvalue(),
        "parquet": parquet.getvalue(),
        "page": f"<html><title>x</title><table>{page}</table></html>".encode(),
        "xml": f'<?xml version="1.0"?><ss:Workbook><ss:Table>{xml}</ss:Table>'.encode(),
        "lines": "\n".join(map(json.dumps, records)).encode(),
        "array": json.dumps(records, indent=1).encode(),
        "one line": json.dumps(records).encode(),
        "held": json.dumps({"count": 2, "items": records}, indent=1).encode(),
        "columns": frame.to_json().encode(),
        "split": frame.to_json(orient="split").encode(),
        "rows": json.dumps(table).encode(),
    }


@pytest.mark.parametrize("kind", as_formats(ROWS))
@pytest.mark.parametrize("name", ["a", "a.xls", "a.json"])
def test_a_file_is_what_is_in_it(tmp_path, kind, name):
    assert pairs(read(tmp_path / name, as_formats(ROWS)[kind])[0]) == ROWS


def test_a_name_that_says_otherwise_is_mentioned(tmp_path):
    assert (
        "delimited text, although its name ends in .xlsx"
        in read(tmp_path / "a.xlsx", "text,label\nx,a\n")[1]
    )
    line = '{"text": "x", "label": "a"}\n'
    assert "it is JSON, although" in read(tmp_path / "a.csv", line)[1]
    assert "no column 'text'" in refused(tmp_path / "a.csv", line, format="csv")


TITLED = [("Feedback, week 41", None), (None, None), HEAD, ("one", "a"), (None, None), ("two", "b")]


@pytest.mark.parametrize(
    "data",
    [
        excel([("Read me",)], TITLED),
        biff12.workbook({"Read me": binary_sheet([["x"]]), "B": binary_sheet(TITLED)}),
        open_document.workbook(A=row("Read me"), B="".join(row(*cells) for cells in TITLED)),
    ],
    ids=["xlsx", "xlsb", "ods"],
)
def test_a_title_blank_rows_and_a_sheet_before(tmp_path, data):
    frame, said = read(tmp_path / "a", data)
    assert pairs(frame) == [("one", "a"), ("two", "b")]
    assert frame["row"].tolist() == [4, 6]
    assert "of 2 sheets this one is read, the only one with these columns" in said
    assert "the header is row 3" in said
    assert said.endswith("1 blank row skipped")


LABELLED = [HEAD, ("one", "a"), ("two", None), (None, None), ("four", None), ("five", "b")]


@pytest.mark.parametrize(
    "data",
    [
        excel(LABELLED, merged="B2:B5"),
        biff12.workbook({"A": binary_sheet(LABELLED, [(1, 4, 1)])}),
        open_document.workbook(
            A=row(*HEAD) + row("one", cell("a", 'table:number-rows-spanned="4"'))
            + row("two", more='table:number-rows-repeated="1"') + row() + row("four")
            + row("five", "b")
        ),
    ],
    ids=["xlsx", "xlsb", "ods"],
)  # fmt: skip
def test_a_merged_label_holds_for_its_rows(tmp_path, data):
    frame, said = read(tmp_path / "a", data)
    assert pairs(frame) == [("one", "a"), ("two", "a"), ("four", "a"), ("five", "b")]
    assert frame["row"].tolist() == [2, 3, 5, 6]
    assert "2 cells have the value of the merged cell" in said


@pytest.mark.parametrize("no", [0, False])
def test_a_merged_text_holds_for_rows_whose_label_is_zero(tmp_path, no):
    data = excel([HEAD, ("one", 1), (None, no), ("two", no)], merged="A2:A3")
    frame, _ = read(tmp_path / "a", data)
    assert pairs(frame) == [("one", "1"), ("one", str(no)), ("two", str(no))]


def test_rows_hidden_by_a_filter_are_read_and_mentioned(tmp_path):
    book = Workbook()
    for cells in (HEAD, *ROWS):
        book.active.append(cells)
    book.active.row_dimensions[3].hidden = True
    book.save(tmp_path / "a.xlsx")
    frame, said = read(tmp_path / "a.xlsx", (tmp_path / "a.xlsx").read_bytes())
    assert pairs(frame) == ROWS
    assert "1 row is hidden, and read too" in said


def test_which_sheet_is_meant(tmp_path):
    old, new, other = ([HEAD, (word, "a")] for word in ("old", "new", "other"))
    path, note = tmp_path / "a.xlsx", [("note",)]

    def texts(data: bytes, **config: object) -> list[str]:
        return read(path, data, **config)[0]["text"].tolist()

    assert texts(excel(new, other)) == ["new"]
    assert texts(excel(old, new, states="h-")) == ["new"]
    assert texts(excel(note, old, new, states="-h-")) == ["new"]
    assert texts(excel(note, old, states="-h")) == ["old"]
    assert texts(excel([], new)) == ["new"]
    assert texts(excel(old, new, states="h-"), sheet=0) == ["old"]
    both = excel(note, new, other)
    assert "2 others have one: 'S1', 'S2'. Set data.sheet" in refused(path, both)
    assert texts(both, sheet="S2") == ["other"]
    assert "no column 'text'" in refused(path, excel(note, note))


@pytest.mark.parametrize(
    "name",
    ["Text", "TEXT ", "te\u200bxt", "\ufefftext", "text\u00a0", "Text (required)", "text*",
     "text:", "Text – the customer's words", "text\nin English", " ｔｅｘｔ"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["xlsx", "csv", "json"])
def test_a_column_is_found_by_its_name_in_other_writing(tmp_path, name, kind):
    header = (name, "label")
    records = [dict(zip(header, cells, strict=True)) for cells in ROWS]
    made = {
        "xlsx": lambda: excel([header, *ROWS]),
        "csv": lambda: pd.DataFrame(records).to_csv(index=False).encode(),
        "json": lambda: json.dumps(records).encode(),
    }
    frame, said = read(tmp_path / f"a.{kind}", made[kind]())
    assert pairs(frame) == ROWS
    if name.strip("\ufeff\u00a0 ") != "text":
        assert "is taken for 'text'" in said


def test_two_columns_that_could_be_meant(tmp_path):
    said = refused(tmp_path / "a.csv", "Text,TEXT,label\nx,y,a\n")
    assert "2 that could be it: 'Text', 'TEXT'" in said
    assert "data.text_column" in said
    frame, _ = read(tmp_path / "a.csv", "Text,TEXT,label\nx,y,a\n", text_column="TEXT")
    assert frame["text"].tolist() == ["y"]
    said = refused(tmp_path / "a.json", '[{"Text": "x", "TEXT": "y", "label": "a"}]')
    assert "'Text' and 'TEXT' could be it" in said


def test_two_rows_of_names(tmp_path):
    data = "Feedback,,Labels,\ntext,,,\n,id,late,rude\nx,1,1,0\n"
    frame, said = read(tmp_path / "a.csv", data, label_columns=("late", "rude"))
    assert pairs(frame) == [("x", "late")]
    assert "the names of the columns are in rows 2 and 3" in said


def test_what_the_config_says_of_a_text_file(tmp_path):
    data = "text|label\ntext;label\nx|y;a\n"
    assert pairs(read(tmp_path / "a.csv", data, delimiter=";", header_row=2)[0]) == [("x|y", "a")]
    assert pairs(read(tmp_path / "a.csv", "text\tlabel\nx\ta\n", delimiter="tab")[0]) == [
        ("x", "a")
    ]
    assert "nothing in row 9" in refused(tmp_path / "a.csv", data, header_row=9)


def test_a_text_of_any_length_is_read(tmp_path):
    long = "word " * 40_000
    for name, data in {
        "a.csv": f"text,label\n{long},a\n", "b.jsonl": json.dumps({"text": long, "label": "a"}),
    }.items():  # fmt: skip
        assert read(tmp_path / name, data)[0]["text"].tolist() == [long]


def test_a_source_without_an_extension_at_any_address(tmp_path):
    import fsspec

    with fsspec.open("memory://exports/41", "wb") as stream:
        stream.write(as_formats(ROWS)["ods"])
    assert pairs(table_reader.read("memory://exports/41", DataConfig())) == ROWS


def test_blank_rows_between_parts_of_parquet(tmp_path, monkeypatch):
    monkeypatch.setattr(source_reading, "_PART", 2)
    texts = ["a", None, None, None, "b", None]
    frame = pd.DataFrame({"text": texts, "label": texts})
    frame.to_parquet(tmp_path / "a.parquet")
    found, said = read(tmp_path / "a.parquet", (tmp_path / "a.parquet").read_bytes())
    assert found["row"].tolist() == [1, 5]
    assert said.endswith("3 blank rows skipped")


@pytest.mark.parametrize(
    ("name", "data", "parts"),
    [
        ("a.xls", "<html><body>Please log in</body></html>", ["without a table"]),
        ("a.json", '[{"text": "x"},\n', ["not JSON"]),
        ("a.json", '{"a": [{"x": 1}], "b": [{"x": 1}]}', ["2 lists of records: 'a', 'b'"]),
        ("a.json", "[" * 100_000, ["nested too deeply"]),
        ("a.csv", "Feedback\n\ntext,mood\nx,a\n", ["no column 'label'", "'text', 'mood'"]),
        ("a.csv", "Feedback\n\ntext,label\nx, y,a\n", ["line 4", "3 cells", "the header has 2"]),
        ("a.csv", 'sep=;\ntext;label\n"x;a\n', ["line 3", "not well-formed"]),
        ("a.docx", b"PK\x05\x06" + bytes(18), ["holds no file"]),
        ("a.png", b"\x89PNG\r\n\x1a\n", [".png is no known format", ".xlsx"]),
        ("a.ods", open_document.workbook(A=row("x"))[:400], ["cut short"]),
        ("a.ods", open_document.workbook(A=row("x")), ["no column 'text'"]),
        ("a.ods", open_document.workbook(A=""), ["is empty"]),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(tmp_path, name, data, parts):
    said = refused(tmp_path / name, data)
    for part in parts:
        assert part in said, said


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_that_were_put_together(tmp_path, mark):
    data = f"text,label\nFine,pos\n,\n{mark}Text,label\n{mark}text,pos\nDull,neg\n"
    frame, said = read(tmp_path / "a.csv", data)
    assert pairs(frame) == [("Fine", "pos"), (f"{mark}text", "pos"), ("Dull", "neg")]
    assert frame["row"].tolist() == [2, 5, 6]
    assert "1 row repeats the header: skipped; 1 blank row skipped" in said


@pytest.mark.parametrize("delimiter", ["~", "^", "\x01"])
def test_a_rare_delimiter_counts_if_the_names_stand_between(tmp_path, delimiter):
    data = "\n".join(delimiter.join(cells) for cells in [HEAD, ("So, so; a|b", "pos")])
    assert pairs(read(tmp_path / "a.csv", data)[0]) == [("So, so; a|b", "pos")]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["Очень хороший фильм", "一部好电影", "😀😀"])
def test_utf_16_without_a_mark_in_any_script(tmp_path, encoding, text):
    data = "text\tlabel\n" + f"{text}\tда\n" * 40
    frame, said = read(tmp_path / "a.txt", data.encode(encoding))
    assert pairs(frame) == [(text, "да")] * 40
    assert encoding in said


def test_parquet_of_texts_that_it_calls_bytes(tmp_path):
    pd.DataFrame({"text": ["Fine, é".encode(), b"\xff"], "label": [b"pos", b"neg"]}).to_parquet(
        tmp_path / "made"
    )
    frame, _ = read(tmp_path / "a.parquet", (tmp_path / "made").read_bytes())
    # What is no text is still said to be none.
    assert frame["found"].tolist() == ["error", "error"]
    pd.DataFrame({"text": ["Fine, é".encode()], "label": [b"pos"]}).to_parquet(tmp_path / "made")
    frame, _ = read(tmp_path / "a.parquet", (tmp_path / "made").read_bytes())
    assert pairs(frame) == [("Fine, é", "pos")]
    assert frame["found"].tolist() == ["text"]


RECORDS = [{"text": "Fine", "label": "pos"}, {"text": "Dull", "label": "neg"}]


@pytest.mark.parametrize(
    "value",
    [{"status": "ok", "data": {"page": {"items": RECORDS}}},
     {"users": [{"id": 1}], "reviews": RECORDS}, {"r1": RECORDS[0], "r2": RECORDS[1]}],
)  # fmt: skip
def test_records_anywhere_in_one_json_value(tmp_path, value):
    frame, _ = read(tmp_path / "a.json", json.dumps(value))
    assert pairs(frame) == [("Fine", "pos"), ("Dull", "neg")]


def test_keys_in_objects_of_json_are_named_with_a_dot(tmp_path):
    nested = [{"review": {"text": "Fine"}, "label": {"name": "pos"}}]
    keys = {"text_column": "review.text", "label_columns": "label.name"}
    for data in (json.dumps(nested), json.dumps(nested[0]) + "\n", json.dumps({"a": nested})):
        assert pairs(read(tmp_path / "a.json", data, **keys)[0]) == [("Fine", "pos")]
    assert "'review.text'" in refused(tmp_path / "a.json", json.dumps(nested))


def test_a_quote_that_nobody_closed_is_named_by_where_it_opens(tmp_path):
    rows = ["text,label", "Fine,pos", '"Oops,neg', *["Dull,neg"] * 5]
    message = refused(tmp_path / "a.csv", "\n".join(rows))
    assert "a.csv, line 3: not well-formed CSV (unexpected end of data, to line 8)" in message
    message = refused(tmp_path / "a.csv", "\n".join([*rows, '"So, so",pos']))
    assert "a.csv, line 3: not well-formed CSV" in message


def test_rows_that_a_quote_swallows_are_told_of(tmp_path):
    rows = ["text,label", "Fine,pos", '"Oops,neg', "Dull,neg", 'Old hat",pos', "So,so", "Bad,neg"]
    frame, said = read(tmp_path / "a.csv", "\n".join(rows))
    assert frame["row"].tolist() == [2, 3, 4, 5]
    assert "a text in row 3 holds 2 lines like rows of the table" in said
    _, said = read(tmp_path / "b.csv", 'text,label\n"Two,\nlines, of it",pos\nDull,neg\n')
    assert "like rows" not in said
