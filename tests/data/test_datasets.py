"""Reading sources of every format into one canonical dataset."""

from __future__ import annotations

import base64
import bz2
import contextlib
import datetime
import gzip
import io
import json
import re
import zipfile
import zlib

import fsspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from incumbent.config import DataConfig
from incumbent.data import canonical_text, datasets, ingestion, stratified_sample
from incumbent.errors import DataError
from incumbent.runtime import url_secrets
from incumbent.tables import file_formats, fsspec_files, table_reader

ROWS = [("A fine film", "pos"), ('Dull,\nso "dull"', "neg"), ("映画 😀 naïve", "pos")]

# Text that a workbook and a CSV file can both hold; `_x0041_` is an escape in workbooks.
TEXTS = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufeff\uffff\ufffe"
    )
    | st.sampled_from("\n\t=+-@,\"'"),
    min_size=1,
    max_size=40,
).filter(lambda text: text.strip() and not re.search(r"_x[0-9A-Fa-f]{4}_", text))
LABELS = st.sampled_from(["pos", "neg", "0", "null", "NA"])
TABLES = st.lists(st.tuples(TEXTS, LABELS), min_size=1, max_size=8)
QUICK = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


# A workbook of Excel 97 with the header `text`, `label` and two rows; no library here writes one.
OLD_WORKBOOK = zlib.decompress(
    base64.b85decode(
        "c-rk)O=uHA6#iy6+x)amH#HSnp@f31)?TC+FYT(JJz1(3MFicL6hhZTLIm}o)taLqcv8F+dht^A;tzVzn+Ktyh#&"
        "}w9z6*P9@?yLUS?^kIW%C4%6!YbdGp?znU|S2Z!`OPDN&h!&{xGT7>9|PA4OY(Oi+mi4I8BQeaQxOgo>~6Paztij"
        "cl{<wDVP1?xEc8Dh%8Yy&wvFqH+RfF<HoGQ=5qW?1L+$4`W0H?vNyoUiPY+>1n20nBHT{XH569<T}$avaN{YSaK$"
        "Z_oyg7W(=?{4ms{4?(=~qyU~M}GKw$X5OrG%`-(Z&`#Tl=p$;s7_H81Y&lX*;f+TI=0>1kx;9GD~pQp5ZbL9dg|F"
        "KpcZX&;Fgn(K2r#QgNXvaHKYD^To%rZtn>Y$Xe=Svpgx#_Ie4!Ei59G%GNoOgy>nRA}Ut(Z*Ge5ma;hq{x4y@O~5"
        "UCbvq<ZVjZ%Xh!NIh3AqPO@Z{6L~$|Z<ijz#}(OwI>%A>PeR%bGu_4XDv!F2`97ve3RJ2Gr+O4~aE@)Rv38K=8D+"
        "e6h8p-C#FxJue%xRF?Cd0daiV%Lx%l3h#{j*4GSpu_a~KgL;`S|xCr(fcl^Q-W?forHL=0Q`?yGlN7gi8sHo>&sl"
        "B*+>y=Y=D*j|o!$%wH(30`GsZ#1zt*xpq3tE)e5bmO69C~2)C1`Q1j4Gj$q4GoPAflz<sO?A_-)O8`OzU!<|sp-!"
        "o|1FN7Ku?J-rU#Ixx`+!c#m`n)A{a}ovrq87P~s@fUc?O2?8i*Y@k`e|(fE7T-O>JYN2t~LYpwXX!SnwFlNHH("
    )
)


def save(rows, path, header=("text", "label")):
    """Write rows in the format that the path's extension names."""
    frame = pd.DataFrame(rows, columns=list(header))
    if path.suffix == ".xlsx":
        workbook = Workbook()
        for at, row in enumerate([header, *rows], start=1):
            for column, value in enumerate(row, start=1):
                cell = workbook.active.cell(at, column, value)
                if isinstance(value, str):
                    cell.data_type = "s"
        workbook.save(path)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        path.write_text(
            "".join(json.dumps(dict(zip(header, row, strict=True))) + "\n" for row in rows)
        )
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return str(path)


def read(source, **config):
    return canonical_text.canonical(table_reader.read(str(source), DataConfig(**config)))


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv", "a.tsv", "a.parquet", "a.jsonl"])
def test_every_format_reads_the_same(tmp_path, name):
    frame = read(save(ROWS, tmp_path / name))
    assert list(zip(frame["text"], frame["label"], strict=True)) == ROWS
    first = 1 if name in {"a.parquet", "a.jsonl"} else 2
    assert frame["row"].tolist() == [first, first + 1, first + 2]
    assert set(frame["found"]) == {"text"}
    assert not frame["control"].any()


@QUICK
@given(TABLES)
def test_digest_is_that_of_the_content(tmp_path, rows):
    digests = {
        datasets.digest([read(save(rows, tmp_path / name))])
        for name in ("a.xlsx", "b.csv", "c.parquet", "d.jsonl")
    }
    assert len(digests) == 1


@QUICK
@given(TABLES, st.sampled_from(["a.xlsx", "a.csv"]))
def test_round_trip(tmp_path, rows, name):
    frame = read(save(rows, tmp_path / name))
    assert list(zip(frame["text"], frame["label"], strict=True)) == rows


@given(st.lists(st.tuples(st.text("ab|"), st.text("ab|")), max_size=4), st.data())
def test_digest_is_unambiguous(rows, data):
    others = data.draw(st.lists(st.tuples(st.text("ab|"), st.text("ab|")), max_size=4))
    one, two = (pd.DataFrame(r, columns=["text", "label"], dtype=object) for r in (rows, others))
    assert (datasets.digest([one]) == datasets.digest([two])) == (rows == others)


def test_digest_leaves_row_numbers_out():
    frame = pd.DataFrame({"text": ["a"], "label": ["b"], "row": [2]})
    assert datasets.digest([frame]) == datasets.digest([frame.assign(row=7)])


@given(st.text())
def test_fold(text):
    assert canonical_text.fold(canonical_text.fold(text)) == canonical_text.fold(text)
    assert canonical_text.fold(f"  {text}\n\t ") == canonical_text.fold(text)
    assert canonical_text.fold("Straße  X") == canonical_text.fold("STRASSE\nx")


def test_labels_are_text(tmp_path):
    rows = [("one", 1), ("zero", 0), ("yes", True), ("half", 0.5), ("none", None), ("pad", " a ")]
    frame = read(save(rows, tmp_path / "a.xlsx"))
    assert frame["label"].tolist() == ["1", "0", "True", "0.5", "", "a"]
    rows = [("one", 1.0), ("zero", 0.0), ("none", None)]
    assert read(save(rows, tmp_path / "a.parquet"))["label"].tolist() == ["1", "0", ""]


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv", "a.parquet"])
def test_na_and_null_are_words(tmp_path, name):
    rows = [("NA", "null"), ("nan", "N/A"), ("None", "NaN")]
    frame = read(save(rows, tmp_path / name))
    assert list(zip(frame["text"], frame["label"], strict=True)) == rows


def test_what_cells_hold(tmp_path):
    workbook = Workbook()
    sheet = workbook.active
    day = datetime.datetime(2026, 1, 2)
    values = [
        "text",
        "words",
        12.0,
        day,
        day.time(),
        True,
        "=A1&A2",
        "==SPOILERS== it ends",
        "#N/A",
    ]
    for at, value in enumerate([*values, None, "  "], start=1):
        sheet.cell(at, 1, value)
        sheet.cell(at, 2, "pos" if at > 1 else "label")
    workbook.save(tmp_path / "a.xlsx")
    frame = read(tmp_path / "a.xlsx")
    assert frame["found"].tolist() == [
        "text", "number", "date", "date", "boolean", "formula", "text", "error", "empty", "empty",
    ]  # fmt: skip
    assert frame["text"].tolist()[1] == "12"
    assert frame["text"].tolist()[5:7] == ["=A1&A2", "==SPOILERS== it ends"]


def test_rows_are_numbered_as_the_spreadsheet_shows_them(tmp_path):
    workbook = Workbook()
    for address, value in {
        "C3": "text", "D3": "label", "C4": "first", "D4": "x", "C6": "=C4", "D6": "y", "B9": " ",
    }.items():  # fmt: skip
        workbook.active[address] = value
    workbook.save(tmp_path / "a.xlsx")
    frame = read(tmp_path / "a.xlsx")
    assert frame["row"].tolist() == [4, 6]
    assert frame["found"].tolist() == ["text", "formula"]


def test_sheet_by_name_or_number(tmp_path):
    workbook = Workbook()
    second = workbook.create_sheet("Zweites Blatt")
    for row in [("text", "label"), ("hello there", "a")]:
        second.append(row)
    workbook.save(tmp_path / "a.xlsx")
    for sheet in ("Zweites Blatt", 1):
        assert read(tmp_path / "a.xlsx", sheet=sheet)["text"].tolist() == ["hello there"]


def test_control_characters_become_spaces(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'text,label\r\nbad\x00\x1b\x7fone,a\r\n"good\r\n\tone",b\r\n')
    frame = read(path)
    assert frame["text"].tolist() == ["bad   one", "good\n\tone"]
    assert frame["control"].tolist() == [True, False]


def test_half_a_surrogate_pair_is_a_control_character(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "half \\ud83d", "label": "a"}\n\n{"text": "7", "label": 1}\n')
    frame = read(path)
    assert frame["text"].tolist() == ["half  ", "7"]
    assert frame["control"].tolist() == [True, False]
    assert frame["row"].tolist() == [1, 3]


def test_json_values_that_are_no_text(tmp_path):
    path = tmp_path / "a.jsonl"
    values = [1, 2.5, True, None, ["a"], "", "word"]
    path.write_text("\n".join(json.dumps({"label": "x", "text": value}) for value in values))
    assert read(path)["found"].tolist() == [
        "number", "number", "boolean", "empty", "error", "empty", "text",
    ]  # fmt: skip


def test_longer_text_than_excel_allows(tmp_path):
    short, path = tmp_path / "short.xlsx", tmp_path / "long.xlsx"
    save([("LONG", "a")], short)
    with zipfile.ZipFile(short) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"LONG", b"x" * 40_000))
    assert read(path)["text"].str.len().tolist() == [40_000]


def test_other_encodings(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\ncafé,a\n".encode("cp1252"))
    assert read(path, encoding="cp1252")["text"].tolist() == ["café"]
    path.write_bytes("\ufefftext,label\ncafé,a\n".encode())
    assert read(path)["text"].tolist() == ["café"]


@pytest.mark.parametrize(("pack", "suffix"), [(gzip.compress, "gz"), (bz2.compress, "bz2")])
def test_compressed_text(tmp_path, pack, suffix):
    path = tmp_path / f"a.csv.{suffix}"
    path.write_bytes(pack(b"text,label\nhello,a\n"))
    assert read(path)["text"].tolist() == ["hello"]


def test_urls(tmp_path):
    with fsspec.open("memory://folder/a.csv", "w") as stream:
        stream.write("text,label\nhello,a\n")
    assert read("memory://folder/a.csv")["text"].tolist() == ["hello"]
    source = save(ROWS, tmp_path / "with space.xlsx")
    assert len(read(f"file://{source}")) == 3


def test_chained_urls(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        target.writestr("a.csv.gz", gzip.compress(b"text,label\nhello,a\n"))
    assert read(f"zip://a.csv.gz::{tmp_path}/a.zip")["text"].tolist() == ["hello"]


def test_a_signed_url(tmp_path, monkeypatch):
    content = b"text,label\nhello,a\n"
    seen = []
    monkeypatch.setattr(
        fsspec_files, "opened",
        lambda source: seen.append(source) or contextlib.nullcontext(io.BytesIO(content)),
    )  # fmt: skip
    signed = "https://me:secret@host/a.csv?sig=secret#secret"
    dataset = ingestion.ingest(DataConfig(train=signed, test=signed), tmp_path)
    assert seen == [signed, signed]
    assert (dataset.train.source, dataset.test.source) == ("https://host/a.csv",) * 2
    assert "secret" not in dataset.model_dump_json()


@pytest.mark.parametrize(
    ("source", "suffix"),
    [
        ("https://h/train.xlsx?X-Amz-Signature=a/b.c&d=e.pdf", ".xlsx"),
        ("https://h/Train.CSV.gz#part", ".csv"),
        ("zip://train.csv::a.zip", ".csv"),
        ("zip://in/train.tsv::https://h/a.zip?sig=x.y", ".tsv"),
        ("simplecache::s3://bucket/train.parquet", ".parquet"),
        ("simplecache::zip://train.jsonl::s3://bucket/a.zip", ".jsonl"),
        ("is it #1?.csv", ".csv"),
        ("a::b.csv", ".csv"),
    ],
)
def test_extension(source, suffix):
    assert file_formats.extension(source) == suffix
    assert file_formats.extension(url_secrets.public(source)) == suffix


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("data/it's #1? me@home.csv", "data/it's #1? me@home.csv"),
        ("s3://bucket/a@2x.csv", "s3://bucket/a@2x.csv"),
        ("https://h:8080/a@2x.csv", "https://h:8080/a@2x.csv"),
        ("https://h/a.csv?sig=x#y", "https://h/a.csv"),
        ("https://h/a.csv?mail=me:you@home", "https://h/a.csv"),
        ("https://token@h:80/a.csv", "https://h:80/a.csv"),
        ("ftp://me:p/w?#@d@h/a.csv", "ftp://h/a.csv"),
        ("https://h/a.csv?sig=x::y", "https://h/a.csv"),
        ("abfss://container@account.net/a.csv?sig=x", "abfss://container@account.net/a.csv"),
        ("zip://a.csv::me@home.zip", "zip://a.csv::me@home.zip"),
        ("zip://a.csv::https://me:you@h/a.zip?sig=x", "zip://a.csv::https://h/a.zip"),
        ("zip://a.csv::simplecache::s3://me@h/a.zip", "zip://a.csv::simplecache::s3://h/a.zip"),
    ],
)
def test_public(source, shown):
    assert url_secrets.public(source) == shown
    assert url_secrets.public(shown) == shown


def test_old_excel(tmp_path):
    path = tmp_path / "a.xls"
    path.write_bytes(OLD_WORKBOOK)
    frame = read(path)
    assert frame["text"].tolist() == ["a fine film", "a dull film"]
    assert frame["label"].tolist() == ["1", "0"]


@pytest.mark.slow
def test_old_excel_cut_short(tmp_path):
    path = tmp_path / "a.xls"
    for size in range(600, 5600, 100):
        path.write_bytes(OLD_WORKBOOK[:size])
        with contextlib.suppress(DataError):
            read(path)


@given(
    st.lists(st.sampled_from("abcd"), min_size=3, max_size=60),
    st.integers(2, 70),
    st.integers(0, 3),
)
def test_sample(labels, rows, seed):
    frame = pd.DataFrame({"label": labels, "row": range(len(labels))})
    taken = frame.iloc[stratified_sample.sample(frame["label"], rows, seed)]
    assert taken.equals(frame.iloc[stratified_sample.sample(frame["label"], rows, seed)])
    assert len(taken) == min(rows, len(frame))
    assert taken["row"].is_monotonic_increasing
    assert taken["row"].is_unique
    if rows >= frame["label"].nunique():
        assert set(taken["label"]) == set(labels)


def test_sample_keeps_the_shares():
    labels = pd.Series(["a"] * 900 + ["b"] * 99 + ["c"])
    assert labels.iloc[stratified_sample.sample(labels, 100, 0)].value_counts().to_dict() == {
        "a": 90, "b": 9, "c": 1,
    }  # fmt: skip
    assert stratified_sample._shares(np.array([5, 3, 1]), 2).tolist() == [1, 1, 0]


def test_ingest_and_load(tmp_path):
    config = DataConfig(
        train=save(ROWS, tmp_path / "a.xlsx"), test=save(ROWS[:2], tmp_path / "b.csv")
    )
    dataset = ingestion.ingest(config, tmp_path / "work")
    assert dataset.classes == ("neg", "pos")
    assert dataset.train.labels == {"neg": 1, "pos": 2}
    assert dataset.train.path == tmp_path / "work/datasets" / dataset.digest / "train.parquet"
    assert dataset.train.source == config.train
    frame = datasets.load(dataset.train)
    assert list(frame.columns) == ["text", "label", "row", "found", "formula", "control"]
    assert frame.dtypes.astype(str).to_dict()["row"] == "int64"
    assert datasets.digest([frame]) == dataset.train.digest
    assert ingestion.ingest(config, tmp_path / "work") == dataset
    assert [path.name for path in dataset.train.path.parent.glob(".*")] == []


def test_files_that_did_not_change_are_not_parsed_again(tmp_path, monkeypatch):
    train, test = save(ROWS, tmp_path / "a.xlsx"), save(ROWS[:2], tmp_path / "b.csv")
    config = DataConfig(train=train, test=test)
    read: list[str] = []
    parse = table_reader.parts
    monkeypatch.setattr(
        table_reader,
        "parts",
        lambda source, *a, **k: read.append(source) or parse(source, *a, **k),
    )
    first = ingestion.ingest(config, tmp_path / "work")
    assert ingestion.ingest(config, tmp_path / "work") == first
    assert sorted(read) == [train, test]
    # Read in another way, with another slice, after a change, or once the outcome is gone: again.
    ingestion.ingest(config.model_copy(update={"sample": 2}), tmp_path / "work")
    ingestion.ingest(config, tmp_path / "work", ["label"])
    assert len(read) == 6
    save(ROWS[:3], tmp_path / "b.csv")
    second = ingestion.ingest(config, tmp_path / "work")
    assert second.test.rows == 3
    second.test.path.unlink()
    assert ingestion.ingest(config, tmp_path / "work") == second
    assert len(read) == 10


def test_a_formula_where_a_label_belongs(tmp_path):
    rows = [("text", "label"), ("one", "=A1"), ("two", None), ("three", "a"), ("=A1", "==a")]
    workbook = Workbook()
    for row in rows:
        workbook.active.append(row)
    workbook.save(tmp_path / "a.xlsx")
    frame = read(tmp_path / "a.xlsx")
    assert frame["formula"].tolist() == [True, False, False, False]
    assert frame["label"].tolist() == ["", "", "a", "==a"]


def test_many_labels_are_shown_in_part():
    from incumbent.validation.check_base import counted

    assert counted({"": 1, "neg": 2, "pos": 3_000}) == "pos: 3,000, neg: 2, (none): 1"
    shown = counted({f"label {n}\n" + "x" * 99: n for n in range(1, 25_001)})
    assert shown.startswith("label 25000 xxx")
    assert shown.endswith(" and 24,800 more")
    assert len(shown) < 12_000
    banking = {f"intent_{n}": n + 35 for n in range(77)}
    assert all(f"{name}: {rows}" in counted(banking) for name, rows in banking.items())


def test_ingest_of_the_embedded_reviews(tmp_path):
    dataset = ingestion.ingest(DataConfig(sample=300), tmp_path)
    assert (tmp_path / "reviews" / "train.xlsx").is_file()
    assert (dataset.train.rows, dataset.test.rows) == (300, 300)
    assert dataset.classes == ("neg", "pos")
    other = ingestion.ingest(DataConfig(sample=300, seed=1), tmp_path)
    assert other.digest != dataset.digest


SLICED = [("A fine film", "pos", "web", 2020), ("Dull", "neg", None, 2021)]


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv", "a.tsv", "a.parquet", "a.jsonl"])
def test_slices_are_read_as_text(tmp_path, name):
    path = save(SLICED, tmp_path / name, ("text", "label", "channel", "year"))
    frame = canonical_text.canonical(
        table_reader.read(path, DataConfig(), ["year", "channel", "no"], ["year"])
    )
    assert [column for column in frame if ":" in column] == ["slice:year", "slice:channel"]
    assert frame["slice:year"].tolist() == ["2020", "2021"]
    assert frame["slice:channel"].tolist() == ["web", ""]
    assert datasets.digest([frame]) == datasets.digest([read(path)])


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv", "a.parquet", "a.jsonl"])
def test_a_missing_slice_is_named_with_the_columns_found(tmp_path, name):
    path = save(SLICED, tmp_path / name, ("text", "label", "channel", "year"))
    config = DataConfig(train=path, test=path)
    with pytest.raises(DataError) as caught:
        ingestion.ingest(config, tmp_path / "work", ["length", "chanel"])
    message = str(caught.value)
    assert f"{path}" in message
    assert "no column 'chanel'. Did you mean 'channel'?" in message
    assert all(f"'{column}'" in message for column in ("text", "label", "channel", "year"))
    assert "Set evaluation.slices" in message


def test_a_slice_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("text,label,x,x\nhello,a,1,2\n")
    config = DataConfig(train=str(tmp_path / "a.csv"), test=str(tmp_path / "a.csv"))
    with pytest.raises(DataError, match="2 columns named 'x'"):
        ingestion.ingest(config, tmp_path / "work", ["x"])
    assert ingestion.ingest(config, tmp_path / "work").test.rows == 1


def test_slices_that_train_lacks_are_left_out_there(tmp_path):
    train = save(ROWS, tmp_path / "a.csv")
    test = save(SLICED, tmp_path / "b.csv", ("text", "label", "channel", "year"))
    config = DataConfig(train=train, test=test)
    dataset = ingestion.ingest(config, tmp_path / "work", ["channel", "class", "language"])
    assert [c for c in datasets.load(dataset.train).columns if ":" in c] == []
    assert [c for c in datasets.load(dataset.test).columns if ":" in c] == ["slice:channel"]


def test_a_column_called_language_is_read_if_there_is_one(tmp_path):
    path = save([("hello there", "a", "en")], tmp_path / "a.csv", ("text", "label", "language"))
    dataset = ingestion.ingest(DataConfig(train=path, test=path), tmp_path / "work", ["language"])
    assert datasets.load(dataset.test)["slice:language"].tolist() == ["en"]


def test_the_label_can_be_a_slice_too(tmp_path):
    for name in ("a.csv", "a.parquet", "a.jsonl"):
        path = save(ROWS, tmp_path / name)
        config = DataConfig(train=path, test=path)
        dataset = ingestion.ingest(config, tmp_path / "work", ["label"])
        frame = datasets.load(dataset.test)
        assert frame["slice:label"].tolist() == frame["label"].tolist() == ["pos", "neg", "pos"]


def test_slices_leave_the_frozen_test_set_what_it_is(tmp_path):
    path = save(SLICED, tmp_path / "a.csv", ("text", "label", "channel", "year"))
    config, work = DataConfig(train=path, test=path), tmp_path / "work"
    plain = ingestion.ingest(config, work)
    assert ingestion.ingest(config, work, ["length", "class", "language"]) == plain
    sliced = ingestion.ingest(config, work, ["channel"])
    assert (sliced.train.digest, sliced.test.digest) == (plain.train.digest, plain.test.digest)
    save([(*row[:2], "app", row[3]) for row in SLICED], tmp_path / "a.csv",
         ("text", "label", "channel", "year"))  # fmt: skip
    corrected = ingestion.ingest(config, work, ["channel"])
    assert corrected.test.digest == plain.test.digest
    # None of the three may read another's file.
    assert len({plain.digest, sliced.digest, corrected.digest}) == 3
    assert "slice:channel" not in datasets.load(plain.test)
    assert datasets.load(sliced.test)["slice:channel"].tolist() == ["web", ""]
    assert datasets.load(corrected.test)["slice:channel"].tolist() == ["app", "app"]


def test_which_value_belongs_to_which_slice_decides_the_digest(tmp_path):
    text = {"text": ["a", "b"], "label": ["x", "y"]}
    digests = {
        datasets.save([frame], [frame], ("a", "b"), tmp_path).digest
        for frame in (
            pd.DataFrame(text | {"slice:one": ["1", "2"]}),
            pd.DataFrame(text | {"slice:two": ["1", "2"]}),
            pd.DataFrame(text | {"slice:one": ["12", ""]}),
            pd.DataFrame(text | {"slice:one": ["1", ""], "slice:two": ["2", ""]}),
        )
    }
    assert len(digests) == 4


def test_a_slice_alone_makes_no_row(tmp_path):
    for name in ("a.parquet", "a.jsonl"):
        path = save([*SLICED, (None, None, "web", 2022)], tmp_path / name,
                    ("text", "label", "channel", "year"))  # fmt: skip
        frame = table_reader.read(path, DataConfig(), ["channel"])
        assert len(frame) == len(read(path)) == 2


def test_hostile_slices(tmp_path):
    path = tmp_path / "a.jsonl"
    values = ["half \ud83d", "nul\x00l", ["a", {"b": 1}], {"c": None}, True, 1e300, "", "  x\r\ny "]
    path.write_text(
        "\n".join(json.dumps({"text": "t", "label": "l", "x": value}) for value in values)
        + '\n{"text": "t", "label": "l"}\n'
    )
    config = DataConfig(train=str(path), test=str(path))
    found = datasets.load(ingestion.ingest(config, tmp_path / "work", ["x"]).test)["slice:x"]
    assert found.tolist() == [
        "half", "nul l", "['a', {'b': 1}]", "{'c': None}", "True", "1e+300", "", "x\r\ny", "",
    ]  # fmt: skip


def test_a_sample_keeps_each_rows_slice(tmp_path):
    rows = [(f"text {n}", "ab"[n % 2], n) for n in range(40)]
    path = save(rows, tmp_path / "a.csv", ("text", "label", "number"))
    config = DataConfig(train=path, test=path, sample=10)
    frame = datasets.load(ingestion.ingest(config, tmp_path / "work", ["number"]).test)
    assert len(frame) == 10
    assert frame["text"].tolist() == [f"text {n}" for n in frame["slice:number"]]
