from __future__ import annotations

from pathlib import Path

import click
import pytest

from incumbent.cli import main, sweep_command


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--trials", "3"], "Missing option '--space'"),
        (["--space", "space.yaml"], "Missing option '--trials'"),
        (["--space", "space.yaml", "--trials", "0"], "0 is not in the range x>=1"),
        (["--space", "spaces.yaml", "--trials", "1"], "Did you mean space.yaml?"),
        (["--space", "bad.yaml", "--trials", "1"], "The space in bad.yaml is wrong"),
        (["--space", "space.yaml", "--trials", "1", "--budget", "2 days"], "'2 days' is no time"),
        (["--space", "space.yaml", "--trials", "1", "--budget", "0h"], "2h, 90m or 1h30m"),
        (["--space", "space.yaml", "--trials", "1", "--storage", "x.db"], "is no database"),
        (["--space", "space.yaml", "--trials", "1", "--set", "a=1"], "a: unknown key"),
    ],
)
def test_wrong_usage_ends_with_2_before_anything_is_begun(
    options: list[str], message: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("space.yaml").write_text("training.epochs: {low: 1, high: 2}", encoding="utf-8")
    Path("bad.yaml").write_text("training.epochs: {low: 0, high: 2}", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main.main(["sweep", *options])
    assert ended.value.code == 2
    assert message in capfd.readouterr().err
    assert sorted(path.name for path in here.iterdir()) == ["bad.yaml", "space.yaml"]


@pytest.mark.parametrize(
    ("text", "hours"), [("2h", 2), ("90m", 1.5), ("1h30m", 1.5), ("0.5h", 0.5), ("36s", 0.01)]
)
def test_a_budget_in_hours(text: str, hours: float) -> None:
    command = sweep_command.sweep
    (option,) = [one for one in command.params if one.name == "hours"]
    assert sweep_command._hours(click.Context(command), option, text) == pytest.approx(hours)
