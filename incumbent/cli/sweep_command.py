"""The command `incumbent sweep`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from incumbent.cli import console, flow_run

if TYPE_CHECKING:
    from incumbent.sweeps.sweep_outcome import SweepOutcome

_UNITS = {"h": 1.0, "m": 1 / 60, "s": 1 / 3600}  # hours
_PART = r"(\d+(?:\.\d+)?)([hms])"


def _hours(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """A time like 2h, 90m or 1h30m, in hours."""
    if text is None:
        return None
    hours = sum(float(number) * _UNITS[unit] for number, unit in re.findall(_PART, text))
    if not re.fullmatch(f"(?:{_PART})+", text) or hours == 0:
        raise click.BadParameter(f"{text!r} is no time; 2h, 90m or 1h30m is expected")
    return hours


@click.command()
@click.option("--config", "path", type=click.Path(), help="Config file (YAML).")
@click.option("--space", "space_path", type=click.Path(path_type=Path), required=True,
              help="Space file (YAML): the config keys that vary, and their values.")  # fmt: skip
@click.option("--trials", type=click.IntRange(min=1), required=True,
              help="Trials there are to be, of all commands that share the sweep.")  # fmt: skip
@click.option("--budget", "hours", callback=_hours, metavar="TIME",
              help="Begin no further trial after so long, like 2h or 90m.")  # fmt: skip
@click.option("--storage", default="", metavar="URL",
              help="Database of the trials, sqlite:///… or postgresql://…; else one beside the "
              "MLflow store.")  # fmt: skip
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Override one key, like training.epochs=2; VALUE is YAML.")  # fmt: skip
@console.as_json
def sweep(
    path: str | None, space_path: Path, trials: int, hours: float | None, storage: str,
    overrides: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Search for better settings on training rows that are held out, and retrain with the best.

    The same command again resumes a sweep that was ended; at the same time, on this machine or on
    another that has the same data and storage, it shares it.

    \b
    Examples:
      incumbent sweep --space configs/spaces/reviews.yaml --trials 20
      incumbent sweep --config configs/imdb.yaml --space space.yaml --trials 50 --budget 2h
    """
    from incumbent import config_loading
    from incumbent.runtime import url_secrets
    from incumbent.sweeps import search_space, trial_database

    space = search_space.SearchSpace.read(space_path)
    config = config_loading.load(path, overrides)
    trial_database.check(storage)
    # Prefect records what a flow is given.
    settings = config_loading.without_secrets(config, os.environ)
    hidden = url_secrets.hidden(storage, "INCUMBENT_SWEEP_STORAGE", os.environ)

    def start() -> SweepOutcome:
        from flows.sweep import sweep as flow

        outcome: SweepOutcome = flow(settings, space.written(), trials, hours, hidden)
        return outcome

    with console.standard_output_for_results():
        outcome = flow_run.run(start)
    if not as_json and outcome.value is not None:
        best = search_space.in_words(outcome.best)
        click.echo(
            f"best of {outcome.trials} trials: held-out log loss {outcome.value:.4f} with {best}"
        )
    flow_run.tell(outcome, as_json)


COMMANDS = (sweep,)
