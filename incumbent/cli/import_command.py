"""The command `incumbent import`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from incumbent.cli import console, flow_run
from incumbent.errors import ConfigError

if TYPE_CHECKING:
    from incumbent.retraining.retraining_outcome import Outcome


@click.command("import")
@click.argument("source", metavar="PATH", type=click.Path(path_type=Path))
@click.option("--test", required=True, metavar="FILE", help="The labelled test set.")
@click.option("--trust", is_flag=True, help="Run the code in the predictor's pickle: it is yours.")
@click.option("--model", "name", callback=console.model_name,
              help="Name of the registered model; else that of the config.")  # fmt: skip
@click.option("--config", "path", type=click.Path(), help="Config file (YAML).")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Override one key, like data.text_column=message; VALUE is YAML.")  # fmt: skip
@console.as_json
def import_predictor(
    source: Path, test: str, trust: bool, name: str | None, path: str | None,
    overrides: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Make a predictor that ktrain saved a version, and promote it if it earns the title.

    PATH is the folder that `predictor.save` wrote, or a ZIP of it. To load it is to run the code in
    its pickle, so nothing is loaded without --trust. It is measured on the test set as any
    challenger is; its training rows are unknown, which the reason of the decision says.

    \b
    Examples:
      incumbent import predictor/ --test test.xlsx
      incumbent import predictor.zip --test test.xlsx --trust --model tickets
      incumbent import predictor/ --test test.csv --trust --config configs/tickets.yaml --json
    """
    from incumbent import config_loading
    from incumbent.importing import saved_predictor

    # One of them alone is no config; the rows to train on are not read.
    given = [*overrides, *(f"data.{side}={json.dumps(test)}" for side in ("train", "test"))]
    given += [f"model_name={name}"] if name else []
    settings = config_loading.without_secrets(config_loading.load(path, given), os.environ)
    found = saved_predictor.find(source)
    if not trust:
        raise ConfigError(found.warning())

    def start() -> Outcome:
        from flows.import_predictor import import_predictor as flow

        outcome: Outcome = flow(saved, settings)
        return outcome

    with console.standard_output_for_results():
        saved = saved_predictor.take(found, Path(settings.tracking.workdir))
        outcome = flow_run.run(start, trains=False)
    flow_run.tell(outcome, as_json)


COMMANDS = (import_predictor,)
