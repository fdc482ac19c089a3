"""The header is the first row that can be one; what is called like a column further down is not."""

from __future__ import annotations

import pytest

from incumbent.recognition import csv_dialects, header_rows

ONE, TWO = ["review"], ["text", "label"]


@pytest.mark.parametrize(
    ("wanted", "rows", "first"),
    [
        (ONE, ["id,Review (customer),type", "1,good,x", "2,bad,review"], 0),
        (ONE, ["id,Review (customer),type", "2,bad,review"], 0),
        (ONE, ["id,REVIEW,type", "1,good,x", "2,bad,review"], 0),
        (TWO, ["Text (required),Label (pos/neg)", "good,pos", "text,label"], 0),
        (TWO, ["Text (required),Label (pos/neg)", "text,label", "good,pos"], 1),
        (ONE, ["Review (2024),,", "as of Monday", ",,", "id,review,type"], 3),
        (ONE, ["Review", "id,review,type", "1,good,x"], 1),
        (ONE, ["Review (customer)", "good", "review"], 0),
        (ONE, ["Feedback", "id,Review (customer),type", "1,good,review"], 1),
    ],
)
def test_the_first_row_that_holds_the_names(wanted, rows, first):
    found = header_rows.find([row.split(",") for row in rows], wanted)
    assert found is not None
    assert (found.first, found.names) == (first, rows[first].split(","))


def test_the_delimiter_whose_header_stands_first():
    text = "Betreff;Text\nAlt;gut\n1,5 Sterne;gut, text, super\n"
    found = csv_dialects.sniff(text, ["Text"], ",")
    assert (found.delimiter, found.header) == (";", (0, 0, ["Betreff", "Text"]))
