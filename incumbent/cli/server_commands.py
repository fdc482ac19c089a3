"""The commands about this machine: up, down, status and notices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from incumbent.cli import console

if TYPE_CHECKING:
    from incumbent.operations.status import Status

_REASON = 60  # characters of a decision's reason, so that a line fits a screen


@click.command()
@console.as_json
def up(as_json: bool) -> None:
    """Start a Prefect server, an MLflow server and a worker here, with all deployments.

    Returns when all answer; what runs already is left alone. They are started again whenever one
    ends. Ports: INCUMBENT_PREFECT_PORT (4200), INCUMBENT_MLFLOW_PORT (5000). Database:
    INCUMBENT_DATABASE_URL (PostgreSQL; SQLite without). Login: INCUMBENT_AUTH (user:password, which
    both then ask of everyone). Runs that train at a time: INCUMBENT_TRAININGS (1).

    \b
    Examples:
      incumbent up
      INCUMBENT_MLFLOW_PORT=5001 incumbent up
    """
    import os

    with console.standard_output_for_results():
        from incumbent.operations import notice_channels as given
        from incumbent.servers import up_and_down as machine
        from incumbent.servers.ports_and_commands import Servers
        from incumbent.servers.prefect_api_client import PrefectApi

        servers = Servers.of(os.environ, Path.cwd())
        machine.up(servers)
        wanted, settings = given.load(Path.cwd() / given.FILE), servers.environment()
        # Applying takes seconds. What was sent until now has to end with its last address, too.
        if given.configured(wanted, settings) or given.sent(PrefectApi(f"{servers.prefect}/api")):
            given.apply(wanted, settings)
    if as_json:
        console.print_json({**servers.public(), "logs": str(servers.folder), **servers.clients})
        return
    click.echo(f"Prefect: {servers.prefect}")
    click.echo(f"MLflow:  {servers.mlflow}")
    click.echo(f"logs:    {servers.folder}")
    exports = " ".join(f"{key}={value}" for key, value in servers.clients.items())
    click.echo(f"To have your own commands use them: export {exports}")
    if servers.login:
        click.echo("They ask for a login: keep INCUMBENT_AUTH set for your commands, too.")


@click.command()
@console.as_json
def down(as_json: bool) -> None:
    """Stop what `incumbent up` started here: runs first, then the worker and the servers.

    \b
    Example:
      incumbent down
    """
    with console.standard_output_for_results():
        from incumbent.servers import up_and_down as machine

        ran = machine.down(Path.cwd())
    if as_json:
        console.print_json({"stopped": ran})
        return
    click.echo("stopped" if ran else "nothing ran here")


@click.command()
@click.option("--max-age", type=click.FloatRange(min=0), default=30.0, show_default=True,
              metavar="DAYS", help="A champion older than this is wrong.")  # fmt: skip
@console.as_json
def status(max_age: float, as_json: bool) -> None:
    """Show in one screen what is scheduled, running, last decided, and wrong.

    Looks at the servers that PREFECT_API_URL and MLFLOW_TRACKING_URI name, else at those of
    `incumbent up`, else at the local store alone.

    \b
    Examples:
      incumbent status
      incumbent status --max-age 14 --json
    """
    import os

    with console.standard_output_for_results():
        from incumbent.operations import status as standing

        found = standing.look(os.environ, Path.cwd(), max_age)
    if as_json:
        console.print_json(found.model_dump(mode="json"))
        return
    _print(found)


@click.command()
@console.as_json
def notices(as_json: bool) -> None:
    """Have the Prefect server send notices as deployments/notices.yaml asks.

    Addresses come from the environment variables that the file names. `incumbent up` does the same
    on its own server.

    \b
    Example:
      INCUMBENT_NOTICE_SLACK=https://hooks.slack.com/services/... incumbent notices
    """
    import os

    with console.standard_output_for_results():
        from incumbent.operations import notice_channels as given
        from incumbent.servers import up_and_down as machine

        started = machine.recorded(Path.cwd()) or {}
        there = {"PREFECT_API_URL": f"{started['prefect']}/api"} if "prefect" in started else {}
        told = given.apply(given.load(Path.cwd() / given.FILE), {**there, **os.environ})
    if as_json:
        console.print_json(told)
        return
    console.print_table(
        ["notice", "channels"],
        [[notice, ", ".join(channels) or "-"] for notice, channels in told.items()],
        empty="none",
    )


COMMANDS = (up, down, status, notices)


def _short(reason: str) -> str:
    """Its beginning; `incumbent history` has the whole."""
    return reason if len(reason) <= _REASON else f"{reason[: _REASON - 3]}..."


def _print(found: Status) -> None:
    for server in found.servers:
        said = "answers" if server.answers else "DOES NOT ANSWER"
        where = f"{said} at {server.address}" if server.address else "none; `make up` starts one"
        click.echo(f"{server.name}: {where}")
    click.echo("\nscheduled")
    console.print_table(
        ["  deployment", "schedule", "next run"],
        [[f"  {s.deployment}", s.schedule, s.next or "-"] for s in found.scheduled],
        empty="  nothing",
    )
    click.echo("\nrunning")
    console.print_table(
        ["  run", "state", "since"],
        [[f"  {run.run}", run.state, run.since or "-"] for run in found.running],
        empty="  nothing",
    )
    click.echo("\nlast decided")
    console.print_table(
        ["  model", "champion", "age", "decision", "time", "reason"],
        [
            [
                f"  {title.model_name}", console.named(title.champion),
                "-" if title.age is None else f"{title.age:.1f} days",
                f"version {title.version} {title.decision}" if title.decision else "-",
                title.time or "-", _short(title.reason or "-"),
            ]
            for title in found.models
        ],
        empty="  no model yet; `incumbent retrain` makes the first",
    )  # fmt: skip
    skipped = [f"  {title.model_name}: {title.skipped}" for title in found.models if title.skipped]
    if skipped:
        click.echo("\nskipped since")
        click.echo("\n".join(skipped))
    click.echo("\nwrong")
    for trouble in found.wrong or ["nothing"]:
        click.echo(f"  {trouble}")
