"""The page about the house says what the code says, and no wing is crowded."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_and_the_picture_are_those_of_the_imports() -> None:
    # In a process of its own: Python 3.11's parser fails where another thread parses too
    # (https://github.com/python/cpython/issues/106905), as libraries of other tests may.
    done = subprocess.run(
        [sys.executable, "docs/architecture.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_wing_says_what_it_is_for_and_has_fourteen_modules_at_most() -> None:
    wings = sorted((ROOT / "incumbent").glob("*/__init__.py"))
    assert len(wings) > 10
    assert [wing for wing in wings if not re.match(r'"""\w', wing.read_text("utf-8"))] == []
    assert [wing for wing in wings if len(list(wing.parent.glob("*.py"))) > 15] == []
