from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from incumbent.cli import main

HEAVY = ("tensorflow", "great_expectations", "mlflow", "prefect", "ktrain", "pandas")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from incumbent.cli import main\n"
        "try: main.main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"heavy = [m for m in {HEAVY} if m in sys.modules]; assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize("command", [c for c in main.cli.commands.values() if c.name != "data"])
def test_every_command_has_an_example(command: click.Command) -> None:
    assert f"incumbent {command.name}" in (command.help or "")


def commands(group: click.Group = main.cli, path: str = "") -> Iterator[tuple[str, click.Command]]:
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


@pytest.mark.parametrize(("path", "command"), commands())
def test_help_shows_each_example_on_a_line_of_its_own(path: str, command: click.Command) -> None:
    shown = command.get_help(click.Context(command, info_name=f"incumbent{path}"))
    assert r"\b" not in shown
    assert "\b" not in shown
    examples = re.findall(r"^ *(incumbent .+)$", command.help or "", re.MULTILINE)
    assert set(examples) <= {line.strip() for line in shown.splitlines()}


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(here: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """The command in this process: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main.main(arguments)
        return int(ended.value.code or 0), *capfd.readouterr()

    return run


@pytest.fixture
def trial(store: Path) -> None:
    """A registry with one model, whose two versions await a decision."""
    from incumbent.tracking.registry_writes import Registry

    client = Registry().client
    client.create_registered_model("trial")
    for _ in range(2):
        version = client.create_model_version("trial", "nowhere:/model")
    client.set_registered_model_alias("trial", "challenger", version.version)


@pytest.mark.slow
def test_without_any_model_there_is_no_history(store: Path, run: Run) -> None:
    code, out, _ = run("history")
    assert (code, out) == (0, "No decision about 'reviews' is on record yet.\n")
    code, _, err = run("history", "--model", "nothere")
    assert code == 2
    assert "No model 'nothere' is registered" in err
    assert "none yet" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["history"], ["history", "--model", "nothere"], ["explain", "1"]]
)
def test_an_unknown_model_is_wrong_usage(arguments: list[str], trial: None, run: Run) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "is registered at" in err
    assert "there are trial." in err


@pytest.mark.slow
def test_a_model_without_decisions_has_an_empty_history(trial: None, run: Run) -> None:
    assert run("history", "--model", "trial")[:2] == (
        0, "No decision about 'trial' is on record yet.\n",
    )  # fmt: skip


@pytest.mark.slow
def test_predict_names_the_aliases_that_there_are(trial: None, run: Run) -> None:
    code, _, err = run("predict", "--model", "trial", "fine")
    assert code == 2
    assert "No version of 'trial' has the alias 'champion'. Try --alias challenger." in err


def test_a_bad_name_is_refused_in_the_same_words(run: Run) -> None:
    words = "letters, digits, '.', '_' and '-' are expected"
    assert words in run("predict", "--model", "a b", "fine")[2]
    assert words in run("retrain", "--set", "model_name=a b")[2]


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
        main.main(arguments)
    captured = capfd.readouterr()
    assert ended.value.code == 2
    assert said in captured.err
    assert not captured.out
    assert "Traceback" not in captured.err
