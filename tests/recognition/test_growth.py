"""What a file is made of to keep a reader busy, takes no more time than other files of its size."""

from __future__ import annotations

import time

import pytest

from incumbent.recognition import html_tables, text_encodings

SIZE = 60_000  # each took from ten seconds to minutes, where time grew with the square
ENOUGH = 3  # seconds, for what takes some hundredths


@pytest.mark.parametrize("noise", ["<" + "a" * SIZE, "<a:" + "a" * SIZE])
def test_a_page_of_tags_that_do_not_end(noise):
    start = time.process_time()
    rows = html_tables.tables(f"<table><tr><td>x</td></tr></table>{noise}", "a.xls")
    assert rows == [[["x"]]]
    assert time.process_time() - start < ENOUGH


def test_long_lines_of_ascii_before_a_letter_that_is_none():
    data = b"x" * SIZE + b"\ncaf\xe9\n"
    start = time.process_time()
    assert text_encodings.decode(data, "a.csv", "auto")[0].endswith("café\n")
    assert time.process_time() - start < ENOUGH
