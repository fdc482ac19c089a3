from __future__ import annotations

import subprocess
import sys

import click
import pytest

from incumbent import cli

HEAVY = ("tensorflow", "great_expectations", "mlflow", "prefect", "ktrain", "pandas")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from incumbent import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"heavy = [m for m in {HEAVY} if m in sys.modules]; assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize("command", [c for c in cli.cli.commands.values() if c.name != "data"])
def test_every_command_has_an_example(command: click.Command) -> None:
    assert f"incumbent {command.name}" in (command.help or "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["retain"], "No such command"),
        (["predict"], "Missing argument"),
        (["retrain", "--config", "nowhere.yaml"], "There is no config file nowhere.yaml"),
        (["retrain", "--set", "training.epoch=2"], "did you mean epochs?"),
        (["retrain", "--set", "training.epochs=[1"], "is not valid YAML"),
    ],
)
def test_wrong_usage_ends_with_2(
    arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    captured = capfd.readouterr()
    assert ended.value.code == 2
    assert said in captured.err
    assert not captured.out
    assert "Traceback" not in captured.err
