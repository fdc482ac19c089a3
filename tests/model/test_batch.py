"""A table scored by the champion of a real retraining."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Command, Place, document

pytestmark = pytest.mark.slow

TEXTS = ["A gripping, beautifully shot film.", "", "=cmd|' /C calc'!A0", "Dull, and far too long."]


@pytest.fixture
def table(first: tuple[Place, dict[str, Any]], tmp_path: Path) -> Path:
    frame = pd.DataFrame({"id": range(7, 11), "Reviews": TEXTS, "label": list("abcd")})
    frame.insert(3, "id", -1.5, allow_duplicates=True)
    path = tmp_path / "in.csv"
    frame.to_csv(path, index=False)
    return path


def test_each_row_has_the_champions_answer(
    command_there: Command, champion: Any, table: Path
) -> None:
    output = table.with_name("out.parquet")
    summary = document(command_there, "score", str(table), str(output))
    scored = pd.read_parquet(output)
    assert list(scored.columns) == [
        "id", "Reviews", "input_label", "id_2", "label", "probability_neg", "probability_pos",
    ]  # fmt: skip
    assert scored["id"].tolist() == ["7", "8", "9", "10"]
    assert scored["Reviews"].tolist() == TEXTS
    there = [0, 2, 3]
    expected = champion.predict([TEXTS[row] for row in there])
    found = scored.loc[there, list(expected.columns)].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected.astype({"label": object}), check_dtype=False)
    assert scored.loc[1, "label"] is None
    assert scored.loc[1, ["probability_neg", "probability_pos"]].isna().all()
    assert summary == {
        "model_name": "reviews", "version": 1, "output": str(output), "rows": 4, "empty": 1,
        "labels": expected["label"].value_counts().sort_index().to_dict(),
    }  # fmt: skip


def test_the_flow_does_the_same(
    first: tuple[Place, dict[str, Any]], table: Path, prefect_server: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from flows.score import score

    place, _ = first
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.store)
    output = table.with_name("flow.xlsx")
    assert score(str(table), str(output)).rows == len(TEXTS)
    assert pd.read_excel(output)["label"].notna().sum() == len(TEXTS) - 1


def test_mistakes_are_told(command_there: Command, table: Path) -> None:
    for arguments, code, message in (
        ((str(table), "out.docx"), 2, ".docx cannot be written"),
        (("none.csv", "out.csv"), 3, "There is no file none.csv"),
        ((str(table), "out.csv", "--text-column", "Review"), 3, "Did you mean 'Reviews'?"),
        ((str(table), "out.csv", "--model", "none"), 2, "No model 'none' is registered"),
        ((str(table), "out.csv", "--alias", "none"), 2, "has the alias 'none'"),
    ):
        found, _, err = command_there("score", *arguments)
        assert found == code, err
        assert message in err
        assert "Traceback" not in err
    assert not Path("out.csv").exists()
