"""The quick look at a sheet's XML sees what the thorough one sees, or leaves it to that one."""

from __future__ import annotations

import random
import re

from incumbent.tables import xlsx_limits_and_formulas

PARTS = [
    b'<c r="A1" t="inlineStr"><is><t>r=&quot;K1&quot;</t></is></c>',
    b'<c r="B2"><f>1+1</f><v>2</v></c>',
    b'<c r="C3" s="1"/>',
    b'<c r="D4">\n<f t="shared" si="0"/><v>1</v></c>',
    b'<c r="H8"><v>1</v><f>late</f></c>',
    b'<cols><col min="1"/></cols>',
    b'<row r="9">',
    b'<c r="AB12" t="e"><v>#N/A</v></c>',
    b'<c s="1" r="E5"><f>2</f></c>',
    b'<x:c r="F6"><x:f>2</x:f></x:c>',
    b"<c r='G7'><f>3</f></c>",
    b"<c><v>1</v></c>",
    b'<c\tr="J10"><f>5</f></c>',
    b"<f>",
]


def test_it_finds_every_cell_and_formula() -> None:
    chance = random.Random(1)  # noqa: S311
    answered = 0
    for _ in range(5_000):
        xml = b"".join(chance.choices(PARTS, k=chance.randint(1, 5)))
        quick = xlsx_limits_and_formulas._plain(xml)
        if quick is None:
            continue
        answered += 1
        rows, letters, _, formulas = quick
        assert sorted(formulas) == sorted(xlsx_limits_and_formulas._any(xml)[-1]), xml
        for column, row in re.findall(rb"""<c[^<>]*\br=["']([A-Z]+)(\d+)""", xml):
            assert column in letters, xml
            assert row in rows, xml
    assert answered > 500


def test_it_answers_for_workbooks_as_programs_write_them() -> None:
    assert xlsx_limits_and_formulas._plain(b"".join(PARTS[:4] + PARTS[5:8])) is not None
    for odd in [PARTS[4], *PARTS[8:]]:
        assert xlsx_limits_and_formulas._plain(PARTS[0] + odd) is None, odd
