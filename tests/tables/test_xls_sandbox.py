"""Old workbooks are read as calamine reads them, or refused before they take the memory."""

from __future__ import annotations

import contextlib
import datetime
import io
import random

import pytest
from python_calamine import CalamineError, CalamineWorkbook

from incumbent.errors import DataError
from incumbent.tables import excel_reading, xls_sandbox
from tests import biff

HEADER = (biff.text(2, 1, "text"), biff.text(2, 2, "label"))


def test_all_kinds_of_cells_are_what_calamine_makes_of_them() -> None:
    data = biff.workbook(
        *HEADER,
        biff.text(3, 1, "naïve 😀\n"), biff.number(3, 2, 1e300),
        biff.number(4, 1, 45000, biff.DATE), biff.number(4, 2, 45000.25, biff.MOMENT),
        biff.number(6, 1, 1.25, biff.DURATION), biff.truth(6, 2, True), biff.number(7, 2, 7),
    )  # fmt: skip
    cells = xls_sandbox.read(data, 0)
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(data)).get_sheet_by_index(0)
    assert cells.names == ["Sheet1"]
    assert cells.start == sheet.start == (2, 1)
    assert cells.rows == sheet.to_python()
    assert cells.rows[1:] == [
        ["naïve 😀\n", 1e300],
        [datetime.date(2023, 3, 15), datetime.datetime(2023, 3, 15, 6)],
        ["", ""],
        [datetime.timedelta(days=1, hours=6), True],
        ["", 7.0],
    ]
    assert [type(cell) for row in cells.rows for cell in row] == [
        type(cell) for row in sheet.to_python() for cell in row
    ]


def test_many_rows_come_in_their_order() -> None:
    data = biff.workbook(*(biff.number(row, 0, row) for row in range(1_050)))
    assert xls_sandbox.read(data, "Sheet1").rows == [[float(row)] for row in range(1_050)]


def test_a_sheet_that_is_not_there_and_one_that_is_blank() -> None:
    data = biff.workbook()
    for sheet, part in (
        ("Sheet", "Did you mean 'Sheet1'"),
        (1, "has no sheet number 1"),
        (0, "is empty"),
    ):
        with pytest.raises(DataError, match=part):
            excel_reading.read(data, "a.xls", sheet)


@pytest.mark.parametrize(
    "data",
    [
        biff.workbook(*HEADER, biff.number(65_535, 65_535, 1)),
        biff.workbook(*HEADER, biff.number(65_535, 255, 1)),
        biff.workbook(*HEADER, rows=(1 << 32) - 1, columns=65_535),
        biff.workbook(*(biff.shared(row, 0) for row in range(60_000)), shared="😀" * 2_000),
        biff.workbook(*(biff.shared(row, 0) for row in range(16_000)), shared="😀" * 2_000),
    ],
    ids=["beyond the format", "the last cell", "absurd dimensions", "one text", "less often"],
)
def test_memory_that_no_workbook_of_that_size_needs_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.xls needs far more memory .* save it as \.xlsx"):
        excel_reading.read(data, "a.xls", 0)


def test_damage_is_told_from_other_errors() -> None:
    data = biff.workbook(*HEADER)
    rng = random.Random(1)  # noqa: S311
    for _ in range(10):
        changed = bytearray(data)
        for _ in range(8):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        with contextlib.suppress(CalamineError, xls_sandbox.TooMuch):
            xls_sandbox.read(bytes(changed), 0)
