"""Texts and styles that a workbook keeps apart from its sheets are found, wherever zip has them."""

from __future__ import annotations

import datetime
import io
import zipfile

import pytest

from incumbent import spreadsheets

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


def workbook(**names: str) -> bytes:
    """Of these parts, some under another name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in PARTS.items():
            archive.writestr(names.get(name.rpartition("/")[2].partition(".")[0], name), content)
    return file.getvalue()


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"sharedStrings": "xl/SharedStrings.xml", "styles": "xl/Styles.xml"},
        {"sharedStrings": r"xl\sharedStrings.xml", "styles": r"xl\styles.xml"},
    ],
    ids=["plain", "another case", "backslashes"],
)
def test_texts_and_dates(names: dict[str, str]) -> None:
    table = spreadsheets.read(workbook(**names), "a.xlsx", "A & B")
    assert table.where == "a.xlsx, sheet 'A & B'"
    assert table.header == ["text", ""]
    assert table.rows == [["a fine film", datetime.date(2023, 3, 15)]]
