"""Read a workbook in a process with bounded memory, where it cannot be inspected first.

calamine makes room for all cells between the first and the last of every sheet, and ends its
process when there is none: a few bytes of an old workbook (.xls) can ask for any amount. To find
that out beforehand would take a second parser of two binary formats; so the system's own limit
stands guard instead, and the process that ends is not ours.
"""

from __future__ import annotations

import datetime
import io
import json
import resource
import signal
import subprocess
import sys
import tempfile
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetVisibleEnum

from incumbent.recognition.bomb_limits import MAX_RATIO, SUSPECT_BYTES
from incumbent.runtime import confinement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

_MEMORY = 768 << 20  # bytes of address space; room for 12 million cells
_MEMORY_PER_BYTE = 11  # of the file, beside what is read: calamine holds a text up to nine times
_ROWS = 100  # that are encoded at once: quicker than one, and little memory
_TOO_MUCH = 3  # the exit code, if it is not calamine that ends the process
_KILLED = (-signal.SIGABRT, -signal.SIGKILL)  # by calamine, and by a system that has none left

# The types of cells that JSON does not have, each as an object of one key: its name.
_WRITTEN: dict[str, Callable[[Any], object]] = {
    "datetime": datetime.datetime.isoformat,
    "date": datetime.date.isoformat,
    "time": datetime.time.isoformat,
    "timedelta": lambda span: [span.days, span.seconds, span.microseconds],
}
_READ: dict[str, Callable[[Any], object]] = {
    "datetime": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "time": datetime.time.fromisoformat,
    "timedelta": lambda parts: datetime.timedelta(*parts),
}


class TooMuch(Exception):
    """A workbook needs more memory than it is allowed."""


class Cells(NamedTuple):
    """One sheet of a workbook."""

    names: list[str]
    """Of all its sheets."""
    hidden: frozenset[int]
    """The numbers of those that are not shown."""
    position: int
    """The number of this one; -1 if there is no such sheet."""
    start: tuple[int, int]
    """Row and column, both from 0, of the first cell."""
    rows: list[list[Any]]
    """As calamine gives them."""
    merged: list[tuple[int, int, int]]
    """First row, last row and column of cells that are merged, as far as calamine knows."""


def position(names: Sequence[str], hidden: Collection[int], sheet: str | int | None) -> int:
    """The number of a sheet, by its name or number; None for the first that is not hidden.

    It is -1 if there is no such sheet.
    """
    if sheet is None:
        return next((at for at in range(len(names)) if at not in hidden), 0)
    if isinstance(sheet, str):
        return names.index(sheet) if sheet in names else -1
    return sheet if 0 <= sheet < len(names) else -1


def read(data: bytes, sheet: str | int | None, size: int | None = None) -> Cells:
    """Read a sheet, by name or number; None for the first that is not hidden.

    Args:
        data: The workbook.
        sheet: Which one.
        size: Bytes of the file that it was unpacked from, which the limits follow; None if it is
            that file.

    Raises:
        CalamineError: if `data` is no workbook, or damaged.
        PasswordError: if it is protected by one.
        TooMuch: if it needs much more memory than it has bytes.
    """
    with tempfile.TemporaryFile() as answer:
        done = subprocess.run(  # noqa: S603  ours
            [sys.executable, "-m", __name__, json.dumps([sheet, size or len(data)])],
            input=data, stdout=answer, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip
        if done.returncode in (_TOO_MUCH, *_KILLED):
            raise TooMuch
        if done.returncode:
            raise RuntimeError(f"{__name__} failed: {done.stderr.decode(errors='replace')}")
        answer.seek(0)
        decode = json.JSONDecoder(object_hook=_cell).decode
        head = json.loads(answer.readline())
        if head.get("protected"):
            raise PasswordError
        if "damaged" in head:
            raise CalamineError(head["damaged"])
        rows = [row for line in answer for row in decode(line.decode())]
    merged = [(top, bottom, left) for top, bottom, left in head["merged"]]
    start = tuple(head["start"])
    return Cells(head["names"], frozenset(head["hidden"]), head["position"], start, rows, merged)


def _cell(tagged: dict[str, Any]) -> object:
    [(kind, written)] = tagged.items()
    return _READ[kind](written)


def _tagged(cell: object) -> dict[str, object]:
    kind = type(cell).__name__
    return {kind: _WRITTEN[kind](cell)}


def main() -> None:
    """Within that process: the workbook on standard input, lines of JSON out."""
    data = sys.stdin.buffer.read()
    sheet, size = json.loads(sys.argv[1])
    confinement.limit(resource.RLIMIT_AS, _MEMORY + len(data) + _MEMORY_PER_BYTE * size)
    confinement.limit(resource.RLIMIT_CORE, 0)
    room = max(SUSPECT_BYTES, MAX_RATIO * size)  # bytes out: one text can stand in many cells
    try:
        for line in _lines(data, sheet):
            room -= sys.stdout.buffer.write(line.encode() + b"\n")
            if room < 0:
                sys.exit(_TOO_MUCH)
        sys.stdout.buffer.flush()
    except MemoryError:
        sys.exit(_TOO_MUCH)


def _lines(data: bytes, sheet: str | int | None) -> Iterator[str]:
    """What was found, then the rows if there is such a sheet."""
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        names = workbook.sheet_names
        shown = [one.visible == SheetVisibleEnum.Visible for one in workbook.sheets_metadata]
        hidden = [number for number, one in enumerate(shown) if not one]
        at = position(names, hidden, sheet)
        about: dict[str, Any] = {"names": names, "hidden": hidden, "position": at}
        if not 0 <= at < len(names):
            yield json.dumps(about | {"start": (0, 0), "merged": []})
            return
        cells = workbook.get_sheet_by_index(at)
        merged = cells.merged_cell_ranges or []
    except PasswordError:
        yield json.dumps({"protected": True})
    except BaseException as error:
        # The latter is calamine's, of a broken workbook; it can't be imported.
        if not isinstance(error, CalamineError) and type(error).__name__ != "PanicException":
            raise
        yield json.dumps({"damaged": str(error)})
    else:
        spans = [(first[0], last[0], first[1]) for first, last in merged if last[0] > first[0]]
        yield json.dumps(about | {"start": cells.start or (0, 0), "merged": spans})
        if cells.start:  # it begins with the rows above, which are blank
            rows = islice(cells.iter_rows(), cells.start[0], None)
            encode = json.JSONEncoder(default=_tagged, ensure_ascii=False).encode
            while part := list(islice(rows, _ROWS)):
                yield encode(part)


if __name__ == "__main__":
    main()
