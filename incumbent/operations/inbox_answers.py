"""Answers to labellers: beside each file of a watched place a page says what became of it.

For `tickets.xlsx` there is `tickets.xlsx.html` in a folder `_answers`, and
`tickets.xlsx.to-correct.xlsx` with the rows that were set aside. The folder keeps both out of the
data: neither the inbox nor a `data.train` that names the place looks into it. So a corrected
workbook is moved out of it, and is taken under its own name.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from incumbent.errors import DataError
from incumbent.operations import inbox_listing
from incumbent.tables import fsspec_files
from incumbent.validation.check_base import count

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from jinja2 import Template

    from incumbent.operations.inbox_files import Seen, Watched

_PAGE, _SHEET = ".html", ".to-correct{}.xlsx"
_NUMBERS = ("", *(f"-{number}" for number in range(2, 10)))
_FAILURES = 3  # answers that cannot be written, after which a look writes no more
# What only the owner of a config can act on.
_FOR_OWNERS = re.compile(r"\b(?:data|validation|evaluation|preprocessing|tracking)\.[a-z_]+")
_OR_SET = re.compile(r"[;,] or (?:set|lower|raise|name|change)\b[^.;]*(?:\.[a-z_]+[^.;]*)+")
_SENTENCES = re.compile(r"(?<=[.?!])\s+(?=[A-Z'\"])")


def deliver(place: str, watched: Watched) -> tuple[Watched, str]:
    """Write the answers that are not there yet.

    Returns:
        What is known of the place; and why an answer could not be written, if one could not.
    """
    files, failures, reason = dict(watched.files), 0, ""
    for name, seen in watched.files.items():
        if seen.looked is None or seen.answered == _digest(page(name, seen)):
            continue
        try:
            files[name] = _delivered(place, name, seen)
        except DataError as error:
            reason, failures = str(error), failures + 1
            if failures == _FAILURES:
                break
    return watched.model_copy(update={"files": files}), reason


def withdraw(place: str, gone: Mapping[str, Seen | None]) -> None:
    """Delete the answers to files that are gone; a workbook that somebody changed is left.

    Of a file that only waited, nothing is known.
    """
    for name, seen in gone.items():
        try:
            if seen is not None:
                _remove_sheet(place, seen)
            page_of = inbox_listing.beside(name, _PAGE)
            fsspec_files.remove(inbox_listing.address(place, page_of))
        except DataError:  # it is as stale as it was
            continue


def _delivered(place: str, name: str, seen: Seen) -> Seen:
    """Write one answer, the workbook first, which the page names."""
    local = Path(seen.workbook)
    content = local.read_bytes() if seen.workbook and local.is_file() else b""
    if not content or hashlib.sha256(content).hexdigest() != seen.sheet[1]:
        _remove_sheet(place, seen)
        seen = seen.model_copy(update={"sheet": ("", "")})
        if content:
            seen = seen.model_copy(update={"sheet": _write_sheet(place, name, content)})
    html = page(name, seen)
    address = inbox_listing.address(place, inbox_listing.beside(name, _PAGE))
    fsspec_files.write(address, html.encode())
    return seen.model_copy(update={"answered": _digest(html)})


def _write_sheet(place: str, name: str, content: bytes) -> tuple[str, str]:
    """Write a workbook beside a file; one of that name that somebody changed is left."""
    own = hashlib.sha256(content).hexdigest()
    for number in _NUMBERS:
        sheet = inbox_listing.beside(name, _SHEET.format(number))
        there = _digest_at(inbox_listing.address(place, sheet))
        if there in ("", own):
            if not there:
                fsspec_files.write(inbox_listing.address(place, sheet), content)
            return sheet, own
    return "", own


def _remove_sheet(place: str, seen: Seen) -> None:
    name, own = seen.sheet
    if name and _digest_at(inbox_listing.address(place, name)) == own:
        fsspec_files.remove(inbox_listing.address(place, name))


def _digest_at(address: str) -> str:
    """The digest of a file's contents; "" if there is none."""
    if not fsspec_files.exists(address):
        return ""
    with fsspec_files.opened(address) as file:
        return hashlib.sha256(file.read()).hexdigest()


def _digest(html: str) -> str:
    return hashlib.sha256(html.encode()).hexdigest()[:16]


def wait(place: str, names: Collection[str]) -> None:
    """Say beside files that cannot be looked into that they wait."""
    for name in names:
        said = [
            "This file cannot be looked at now, for a reason that is not in it. It is tried again "
            "at each look. You need do nothing."
        ]
        html = _rendered(name, kind="part", headline="It waits", said=said)
        address = inbox_listing.address(place, inbox_listing.beside(name, _PAGE))
        with suppress(DataError):  # the log says what it waits for
            fsspec_files.write(address, html.encode())


def page(name: str, seen: Seen) -> str:
    """The answer to a file as HTML: styles inline, no scripts, every value escaped."""
    kind = "refused" if seen.refused else "part" if seen.set_aside else "taken"
    sheet = posixpath.basename(seen.sheet[0])
    more = seen.faulty - len(seen.faults)
    return _rendered(
        name,
        kind=kind,
        headline={"refused": "Not taken", "part": "Taken in part", "taken": "Taken"}[kind],
        looked=seen.looked.strftime("%-d %B %Y, %H:%M UTC") if seen.looked else "",
        said=_said(seen, kind),
        problems=[plain(problem) for problem in seen.problems] if kind == "refused" else [],
        steps=_steps(seen, kind, sheet, posixpath.basename(name)),
        workbook=sheet,
        link=quote(sheet),
        faults=seen.faults,
        rows_title="The rows that were set aside" if kind == "part" else "The rows to correct",
        more=f"And {count(more, 'row')} more." if more > 0 else "",
    )


def _rendered(name: str, **more: object) -> str:
    """The page; what is not given leaves no trace on it."""
    nothing: dict[str, object] = {
        "looked": "", "problems": (), "steps": (), "workbook": "", "link": "", "faults": (),
        "rows_title": "", "more": "",
    }  # fmt: skip
    return _template().render(nothing | {"file": posixpath.basename(name)} | more)


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template("answer.html.j2")


def _said(seen: Seen, kind: str) -> list[str]:
    if kind == "refused":
        lines = ["Nothing of this file is used, until it is corrected."]
        if seen.faulty and not seen.problems:
            lines = [
                f"{seen.faulty:,} of {count(seen.rows, 'row')} need a correction. Until then, "
                "nothing of this file is used."
            ]
    else:
        lines = [f"{_rows(seen.rows, 'is', 'are')} taken: the next training uses them."]
        if seen.set_aside:
            lines.append(
                f"{_rows(seen.set_aside, 'was', 'were')} set aside, to be corrected. Nothing is "
                "lost."
            )
    if seen.leaked:
        lines.append(
            f"{_rows(seen.leaked, 'is', 'are')} left out: the same texts stand in the test set, by "
            "which the model is measured. You need do nothing."
        )
    if seen.unlabelled:
        lines.append(
            f"{_rows(seen.unlabelled, 'has', 'have')} no label. That is no mistake: they wait "
            "until somebody labels them."
        )
    return lines


def _rows(number: int, verb: str, of_many: str) -> str:
    return f"{count(number, 'row')} {verb if number == 1 else of_many}"


def _steps(seen: Seen, kind: str, sheet: str, file: str) -> list[str]:
    where = f"the folder that {file} is in"
    new = [
        "If a label is right, and new, tell the person who runs incumbent. Once it is known, this "
        "file is looked at again by itself."
    ] * bool(seen.unknown)
    if kind == "part" and sheet:
        return [
            "Open the workbook with these rows. It says what is wrong with each; wrong cells are "
            "yellow:",
            "Correct the rows, and save the workbook.",
            f"Put it into {where}. It is looked at like any new file. (In the folder "
            f"{inbox_listing.ANSWERS}, nobody looks at it.)",
            *new,
        ]
    if kind == "taken":
        return []
    return [
        "Correct your file, and save it.",
        f"Put it into {where} again, under the same name. This page is then written anew.",
        *new,
        "If you do not know what is meant, show this page to the person who runs incumbent.",
    ]


def plain(problem: str) -> str:
    """A message without the settings that a labeller need not know; what was found stays."""
    found, *sentences = _SENTENCES.split(_OR_SET.sub("", problem))
    return " ".join([found, *(part for part in sentences if not _FOR_OWNERS.search(part))])
