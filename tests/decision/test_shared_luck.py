"""What contests against one champion share, from their stored rows."""

from __future__ import annotations

import numpy as np
import pytest

from incumbent.decision.evidence import Evidence
from incumbent.decision.shared_luck import correlation, improvement
from tests.evaluation.cases import build, drawn


def case(challenger: int, **known: object) -> Evidence:
    """One of two challengers to the same champion."""
    truth, models = drawn(np.random.default_rng(0), 600, (1.6, 1.5, 1.4))
    return build(truth, models[challenger], models[2], **known)  # type: ignore[arg-type]


def test_two_challengers_share_what_the_champion_is_wrong_on() -> None:
    rho = correlation(improvement(case(0)), improvement(case(1)))
    assert 0.3 < rho < 0.8
    assert correlation(improvement(case(0)), improvement(case(0))) == pytest.approx(1)


def test_rows_that_another_format_numbers_otherwise_are_the_same_rows() -> None:
    """A workbook counts its header, a Parquet file begins at 0; the digest is the same."""
    ours, theirs = case(0), case(1)
    expected = correlation(improvement(ours), improvement(theirs))
    numbered = Evidence(theirs.case, theirs.rows.assign(row=theirs.rows["row"] + 2))
    assert correlation(improvement(ours), improvement(numbered)) == expected


def test_rows_that_are_not_shared_share_nothing() -> None:
    half = np.arange(600) < 300
    first = case(0, seen=list(np.where(half, "", "champion")))
    second = case(0, seen=list(np.where(half, "champion", "")))
    assert correlation(improvement(first), improvement(second)) == 0
    assert correlation(improvement(case(0)), improvement(first)) == pytest.approx(
        0.5**0.5, abs=0.02
    )


def test_groups_and_rows_of_the_same_numbers_share_nothing_that_is_known() -> None:
    """As where `data.group_column` was set between two contests."""
    grouped = improvement(case(0, groups=np.arange(600)))
    assert correlation(grouped, improvement(case(1, groups=np.arange(600)))) > 0.3
    assert correlation(grouped, improvement(case(1))) == 0
