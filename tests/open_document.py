"""Write .ods files as LibreOffice does, as far as tests need it; no library here writes one."""

from __future__ import annotations

import io
import zipfile
from html import escape

_SPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "table", "text", "style")
)
_TYPE = "application/vnd.oasis.opendocument.spreadsheet"
MANIFEST = (
    '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
    f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{_TYPE}"/>'
    "</manifest:manifest>"
)


def cell(value: object, more: str = "") -> str:
    """A cell of text, number, truth or nothing; a line break parts paragraphs."""
    if value is None or value == "":
        return f"<table:table-cell {more}/>"
    if isinstance(value, bool):
        kind = f'office:value-type="boolean" office:boolean-value="{str(value).lower()}"'
    elif isinstance(value, int | float):
        kind = f'office:value-type="float" office:value="{value}"'
    else:
        kind = 'office:value-type="string"'
    lines = "".join(f"<text:p>{escape(line)}</text:p>" for line in str(value).split("\n"))
    return f"<table:table-cell {kind} {more}>{lines}</table:table-cell>"


def row(*values: object, more: str = "") -> str:
    """A row of such cells, or of their XML."""
    cells = (v if isinstance(v, str) and v.startswith("<table:") else cell(v) for v in values)
    return f"<table:table-row {more}>{''.join(cells)}</table:table-row>"


def workbook(before: str = "", **sheets: str) -> bytes:
    """A workbook of sheets by name, each the XML of its rows; one named `hidden…` is not shown.

    `before` is what leads the XML.
    """
    tables = "".join(
        f'<table:table table:name="{name}" table:style-name="{_style(name)}">{rows}</table:table>'
        for name, rows in sheets.items()
    )
    styles = "".join(
        f'<style:style style:name="{name}" style:family="table">'
        f'<style:table-properties table:display="{display}"/></style:style>'
        for name, display in (("shown", "true"), ("hidden", "false"))
    )
    content = (
        f"{before}<office:document-content {_SPACES}><office:automatic-styles>{styles}"
        f"</office:automatic-styles><office:body><office:spreadsheet>{tables}"
        "</office:spreadsheet></office:body></office:document-content>"
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", _TYPE, zipfile.ZIP_STORED)
        archive.writestr("META-INF/manifest.xml", MANIFEST)
        archive.writestr("content.xml", content)
    return stream.getvalue()


def _style(name: str) -> str:
    return "hidden" if name.startswith("hidden") else "shown"
