"""Texts and styles that a workbook keeps apart from its sheets are found, wherever zip has them."""

from __future__ import annotations

import datetime
import io
import zipfile

import pytest

from incumbent.tables import excel_reading, xls_sandbox

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
LINK = f'<Relationship Id="{{}}" Type="{OFFICE}/{{}}" Target="{{}}"/>'
PARTS = {
    "_rels/.rels": f"<Relationships {PACKAGE}>"
    + LINK.format("r1", "officeDocument", "xl/workbook.xml")
    + "</Relationships>",
    "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{OFFICE}"><sheets>'
    '<sheet name="Notes" sheetId="1" r:id="r8"/><sheet name="A &amp; B" sheetId="2" r:id="r9"/>'
    "</sheets></workbook>",
    "xl/_rels/workbook.xml.rels": f"<Relationships {PACKAGE}>"
    + LINK.format("r8", "worksheet", "worksheets/sheet1.xml")
    + LINK.format("r9", "worksheet", "/xl/worksheets/sheet2.xml")
    + "</Relationships>",
    "xl/sharedStrings.xml": f"<sst {MAIN}><si><t>text</t></si>"
    '<si><r><t xml:space="preserve">a fine </t></r>'
    "<r><t>film</t></r></si></sst>",
    "xl/styles.xml": f'<styleSheet {MAIN}><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
    "</styleSheet>",
    "xl/worksheets/sheet1.xml": f"<worksheet {MAIN}><sheetData/></worksheet>",
    "xl/worksheets/sheet2.xml": f'<worksheet {MAIN}><sheetData><row r="1"><c r="A1" t="s"><v>0</v>'
    '</c></row><row r="2"><c r="A2" t="s"><v>1</v></c><c r="B2" s="1"><v>45000</v></c></row>'
    "</sheetData></worksheet>",
}


def packed(parts: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def one_text(length: int, cells: int, others: int = 0) -> bytes:
    """A header over so many cells that share one long text, and others that share a short one."""
    texts = f"<sst {MAIN}><si><t>text</t></si><si><t>{'x' * length}</t></si></sst>"
    cell = '<row r="{0}"><c r="B{0}" t="s"><v>{1}</v></c></row>'
    which = [0, *[1] * cells, *[0] * others]
    rows = "".join(cell.format(row, text) for row, text in enumerate(which, start=1))
    sheet = f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>"
    changed = {"xl/sharedStrings.xml": texts, "xl/worksheets/sheet1.xml": sheet}
    return packed(PARTS | changed)


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"xl/sharedStrings.xml": "xl/SharedStrings.xml", "xl/styles.xml": "xl/Styles.xml"},
        {"xl/sharedStrings.xml": r"xl\sharedStrings.xml", "xl/styles.xml": r"xl\styles.xml"},
    ],
    ids=["plain", "another case", "backslashes"],
)
def test_texts_and_dates(names: dict[str, str]) -> None:
    parts = {names.get(name, name): content for name, content in PARTS.items()}
    table = excel_reading.read(packed(parts), "a.xlsx", "A & B")
    assert table.where == "a.xlsx, sheet 'A & B'"
    assert table.header == ["text", ""]
    assert table.rows == [["a fine film", datetime.date(2023, 3, 15)]]


def test_a_long_text_among_many_short_ones_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It could stand in every cell, so the sheet is read in bounded memory, with the same rows."""
    asked: list[bytes] = []
    read = xls_sandbox.read
    monkeypatch.setattr(xls_sandbox, "read", lambda *of: asked.append(of[0]) or read(*of))
    table = excel_reading.read(one_text(20_000, cells=1, others=8_999), "a.xlsx", 0)
    assert len(asked) == 1
    assert table.header == ["text"]
    assert table.rows == [["x" * 20_000], *[["text"]] * 8_999]
    assert [*table.numbers] == [*range(2, 9_002)]
    assert excel_reading.read(one_text(20_000, cells=9), "a.xlsx", 0).rows == [["x" * 20_000]] * 9
    assert len(asked) == 1
