"""What is shown of an error of the MLflow store."""

from __future__ import annotations

import pytest

from incumbent.store import reason

READ_ONLY = "(sqlite3.OperationalError) attempt to write a readonly database"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            f"(raised as a result of Query-invoked autoflush; ...)\n{READ_ONLY}\n[SQL: ...]",
            READ_ONLY,
        ),
        (f"{READ_ONLY}\n[SQL: ...]", READ_ONLY),
        ("", "ValueError('')"),
    ],
)
def test_the_line_that_says_what_happened(text: str, shown: str) -> None:
    assert reason(ValueError(text)) == shown
