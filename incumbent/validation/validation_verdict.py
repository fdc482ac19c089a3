"""The findings of a validation, and whether the data is accepted."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from incumbent.data.datasets import Dataset
from incumbent.validation.check_base import Side


class Finding(BaseModel):
    """What one check found in one split."""

    model_config = ConfigDict(frozen=True)

    split: Side
    name: str
    severity: Literal["error", "warn"]
    passed: bool
    count: int
    """Rows concerned; for `classes`, classes missing; 0 where it isn't about single rows."""
    message: str
    """What is wrong and what to do, or, when it passed, what holds."""
    rows: tuple[int, ...] = ()
    """The first 20 rows concerned, as the user's program numbers them."""
    where: str = ""
    """The same rows in words: of several files, each with its own."""
    examples: tuple[str, ...] = ()
    """The first 3 texts concerned, cut to 80 characters."""


class BadRow(BaseModel):
    """A row that fails by itself."""

    model_config = ConfigDict(frozen=True)

    row: int
    """As `training_files` numbers it."""
    cells: tuple[Literal["text", "label"], ...]
    """Which of its cells are wrong."""
    reason: str
    """What is wrong, for the person who wrote the row."""


class Verdict(BaseModel):
    """The outcome of a validation, and the dataset that goes on."""

    model_config = ConfigDict(frozen=True)

    dataset: Dataset
    """As it was given; without what was left out of it."""
    passed: bool
    findings: tuple[Finding, ...]
    dropped: int
    """Rows taken from train, because test holds their text or their class is too rare."""
    bad_rows: tuple[BadRow, ...] = ()
    """Those taken from train because they fail by themselves, the first `rows_set_aside.MOST`."""
    data_docs: Path
    """Folder with `index.html`."""

    @property
    def rows_set_aside(self) -> int:
        """How many rows were taken from train because they fail by themselves."""
        return self.dataset.train.set_aside

    @property
    def metrics(self) -> dict[str, float]:
        """What was set aside, as a number to record; nothing where nothing was."""
        return {"rows_set_aside": float(self.rows_set_aside)} if self.rows_set_aside else {}

    def refusal(self) -> str:
        """Why the data was refused, in plain words: file, rows, examples and what to do."""
        parts: list[str] = []
        for split in ("train", "test"):
            failed = [f for f in self.findings if f.split == split and refuses(f)]
            if failed:
                source = (self.dataset.train if split == "train" else self.dataset.test).source
                parts += [f"{source} ({split}) was refused:", *map(_explained, failed)]
        page = self.data_docs / "index.html"
        return "\n".join([*parts, f"All findings: {page}"]) if parts else ""


def refuses(finding: Finding) -> bool:
    """Whether the data is refused for it."""
    return finding.severity == "error" and not finding.passed


def _explained(finding: Finding) -> str:
    lines = [f"  - {finding.message}"]
    if finding.rows:
        more = finding.count - len(finding.rows)
        rest = f" and {more:,} more" if more > 0 else ""
        lines.append(f"    Rows {finding.where}{rest}.")
    lines += [f"    e.g. {example!r}" for example in finding.examples]
    return "\n".join(lines)
