"""A test set whose labels were corrected is another one, and the refusal says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from incumbent.config import DataConfig
from incumbent.data import ingestion
from incumbent.decision.evidence import Reign
from incumbent.errors import DataRefused
from incumbent.title import contest


def test_a_corrected_test_set_is_refused_with_what_was_corrected(tmp_path: Path) -> None:
    rows = "text,label\nt one,x\nt two,y\n"
    (tmp_path / "train.csv").write_text(rows.replace("t ", "a "))
    (tmp_path / "test.csv").write_text(f"{rows}T  one,y\n")
    config = DataConfig(
        train=str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"),
        on_disagreement="latest",
    )  # fmt: skip
    corrected = ingestion.ingest(config, tmp_path / "work").test
    frozen = Reign(number=1, test_digest="0" * 64)
    with pytest.raises(DataRefused, match=r"1 label replaced \(1 by test\.csv\)") as refused:
        contest._same_test_set(frozen, "tickets", corrected, new_reign=False)
    assert "a corrected test set is another one. Put the frozen file back" in str(refused.value)
    contest._same_test_set(frozen, "tickets", corrected, new_reign=True)
