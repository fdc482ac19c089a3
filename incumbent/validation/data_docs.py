"""Write Data Docs that need no network: a summary in plain words, and a page for each split.

Great Expectations' own pages take their styles and scripts from six other hosts. Here they are
left out and a small style sheet stands in; the summary, `index.html`, is ours.
"""

from __future__ import annotations

import html
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from incumbent.validation.validation_verdict import Finding

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; margin: 0 auto; max-width: 72rem;
       padding: 1.5rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { border-bottom: 1px solid #d5dae0; padding: .4rem .6rem; text-align: left;
         vertical-align: top; }
.found { overflow-wrap: anywhere; min-width: 20rem; }
q { display: block; color: #4d5761; }
ul { padding-left: 1.2rem; }
.error, .text-danger { color: #b3261e; } .warn, .text-warning { color: #8a5a00; }
.passed, .text-success { color: #1a6b34; }
.fa-check-circle::before { content: "passed"; } .fa-times::before { content: "failed"; }
.fa-exclamation-triangle::before { content: "raised"; }
.invisible, footer, .navbar, #ge-cta-footer, .modal, .btn { display: none; }
@media (prefers-color-scheme: dark) {
  body { background: #14181d; color: #e4e8ec; } q { color: #a7b0ba; } a { color: #8ab4f8; }
  th, td { border-color: #38414b; }
  .error, .text-danger { color: #ff9d94; } .warn, .text-warning { color: #f2c14e; }
  .passed, .text-success { color: #7ed79b; }
}
"""
_SCRIPTS = re.compile(r"<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_LINKS = re.compile(r"""\shref=(?:"[^"#][^"]*"|'[^'#][^']*')""")  # to pages that are not made here
_REMOTE = re.compile(r"<(?:link|img)\b[^>]*https?:[^>]*>", re.IGNORECASE)


def write(folder: Path, title: str, findings: Sequence[Finding], pages: Mapping[str, str]) -> None:
    """Write `index.html` and the rendered `pages` (split → HTML) to `folder`, each atomically.

    Raises:
        DataError: if the folder cannot be made or written to.
    """
    files = {f"{name}.html": _offline(page) for name, page in pages.items()}
    files["index.html"] = _summary(title, findings, list(pages))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".draft.") as scratch:
            for name, content in files.items():
                draft = Path(scratch, name)
                draft.write_text(content, encoding="utf-8")
                os.replace(draft, folder / name)  # noqa: PTH105 - the atomic one
    except OSError as error:
        raise DataError(
            f"The Data Docs cannot be written to {folder} ({error.strerror or error}). Set "
            "tracking.workdir to a folder that you may write to, with free space."
        ) from None


def _offline(page: str) -> str:
    """A page without scripts, and with our styles for those from other hosts."""
    page = _LINKS.sub("", _REMOTE.sub("", _SCRIPTS.sub("", page)))
    return page.replace("</head>", f'<meta charset="utf-8"><style>{_STYLE}</style></head>', 1)


def _summary(title: str, findings: Sequence[Finding], pages: Sequence[str]) -> str:
    order = {"error": 0, "warn": 1}
    failed = sorted((f for f in findings if not f.passed), key=lambda f: order[f.severity])
    rows = "".join(map(_row, [*failed, *(f for f in findings if f.passed)]))
    links = " · ".join(f'<a href="{page}.html">{page} in detail</a>' for page in pages)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1><p>{links}</p>"
        "<table><tr><th>Split</th><th>Result</th><th>What was found</th><th>Rows</th></tr>"
        f"{rows}</table></body></html>\n"
    )


def _row(finding: Finding) -> str:
    result = "passed" if finding.passed else finding.severity
    quotes = "".join(f"<q>{html.escape(example)}</q>" for example in finding.examples)
    rows = html.escape(finding.where)
    more = f" and {finding.count - len(finding.rows):,} more" if finding.rows else ""
    return (
        f'<tr><td>{finding.split}</td><td class="{result}">{result}</td>'
        f'<td class="found">{html.escape(finding.message)}{quotes}</td>'
        f"<td>{rows}{more if finding.count > len(finding.rows) else ''}</td></tr>"
    )
