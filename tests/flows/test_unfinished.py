"""Runs that end before their time: whoever comes next decides and writes what was left undone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from incumbent.errors import StageError
from tests.conftest import Command

pytestmark = pytest.mark.slow

CONFIG = """\
data: {sample: 400}
training: {model: nbsvm, learning_rate: 0.01, epochs: 3}
evaluation: {bootstrap_samples: 100}
promotion: {min_accuracy: 0.5, on_baseline: "off"}
"""


def test_what_a_run_left_undone_is_done(
    here: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("config.yaml").write_text(CONFIG, encoding="utf-8")

    def retrain(seed: int) -> tuple[int, dict[str, Any], str]:
        code, out, err = command(
            "retrain", "--config", "config.yaml", "--set", f"training.seed={seed}", "--json"
        )
        return code, json.loads(out or "{}"), err

    def history() -> list[tuple[int, str]]:
        _, out, _ = command("history", "--json")
        return [(entry["version"], entry["decision"]) for entry in json.loads(out)]

    with monkeypatch.context() as patch:
        patch.setattr("flows.retrain.promote", _fail)
        code, _, err = retrain(1)
    assert (code, history()) == (4, []), err

    with monkeypatch.context() as patch:
        patch.setattr("flows.retrain.report", _fail)
        code, _, err = retrain(2)
    assert code == 4
    assert "version 1, left by a run that ended: promoted" in err
    decided = history()
    assert decided[0] == (1, "promoted")
    assert [version for version, _ in decided] == [1, 2]

    for seed in (2, 1):
        code, outcome, err = retrain(seed)
        assert code == 0, err
        assert (outcome["version"], outcome["decision"]) == decided[seed - 1]
        assert Path(outcome["report"]).is_file()
        code, outcome, err = retrain(seed)
        assert (code, outcome["decision"]) == (0, "skipped"), err
    assert history() == decided


def _fail(*_: object, **__: object) -> None:
    raise StageError("The disk is full.")
