"""Rows that belong together are compared together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from incumbent.config import DataConfig
from incumbent.data import datasets, ingestion
from incumbent.errors import StageError
from incumbent.title.evidence_gathering import groups_of
from incumbent.title.undecided_challengers import _columns_of


def test_groups_are_read_with_the_test_rows_and_numbered_in_their_order(tmp_path: Path) -> None:
    rows = 40
    frame = pd.DataFrame(
        {
            "text": [f"text number {i} of them" for i in range(rows)],
            "label": np.where(np.arange(rows) % 2, "yes", "no"),
            "customer": [("", "ada", "bob", "ada")[i % 4] for i in range(rows)],
        }
    )
    frame.to_csv(tmp_path / "test.csv", index=False)
    frame.assign(text=frame["text"] + " too").drop(columns="customer").to_csv(
        tmp_path / "train.csv", index=False
    )
    config = DataConfig(
        train=str(tmp_path / "train.csv"), test=str(tmp_path / "test.csv"), group_column="customer"
    )
    dataset = ingestion.ingest(config, tmp_path, ())
    groups = groups_of(datasets.load(dataset.test), "customer")
    assert groups is not None
    assert groups[:8].tolist() == [0, 1, 2, 1, 3, 1, 2, 1]  # nobody's rows are each by itself
    plain = ingestion.ingest(config.model_copy(update={"group_column": ""}), tmp_path, ())
    assert plain.test.digest == dataset.test.digest
    assert groups_of(datasets.load(plain.test), "") is None
    with pytest.raises(StageError, match="without the column 'customer'"):
        groups_of(datasets.load(plain.test), "customer")


@pytest.mark.parametrize("name", ["text", "label", "length"])
def test_a_group_column_is_one_of_its_own(name: str) -> None:
    with pytest.raises(ValueError, match="a column of its own is needed"):
        DataConfig(group_column=name)


def test_a_group_column_that_is_named_like_the_default_of_another_can_be_kept() -> None:
    data = DataConfig(
        train="a.csv", test="b.csv", text_column="body", label_columns="kind", group_column="label"
    )
    kept = _columns_of(data)
    assert (kept.group_column, kept.text_column, kept.train) == (
        "label",
        "body",
        DataConfig().train,
    )
