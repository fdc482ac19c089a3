"""The commands about one machine: its servers, and how everything stands."""

from __future__ import annotations

from pathlib import Path

import click

from incumbent import console


@click.command()
@console.as_json
def up(as_json: bool) -> None:
    """Start a Prefect server, an MLflow server and a worker here, with all deployments.

    Returns when all answer; what runs already is left alone. They are started again whenever one
    ends. Ports: INCUMBENT_PREFECT_PORT (4200), INCUMBENT_MLFLOW_PORT (5000). Database:
    INCUMBENT_DATABASE_URL (PostgreSQL; SQLite without).

    \b
    Examples:
      incumbent up
      INCUMBENT_MLFLOW_PORT=5001 incumbent up
    """
    import os

    with console.standard_output_for_results():
        from incumbent import up as machine
        from incumbent.servers import Servers

        servers = Servers.of(os.environ, Path.cwd())
        machine.up(servers)
    if as_json:
        console.print_json({**servers.public(), "logs": str(servers.folder), **servers.clients})
        return
    click.echo(f"Prefect: {servers.prefect}")
    click.echo(f"MLflow:  {servers.mlflow}")
    click.echo(f"logs:    {servers.folder}")
    exports = " ".join(f"{key}={value}" for key, value in servers.clients.items())
    click.echo(f"To have your own commands use them: export {exports}")


@click.command()
@console.as_json
def down(as_json: bool) -> None:
    """Stop what `incumbent up` started here: runs first, then the worker and the servers.

    \b
    Example:
      incumbent down
    """
    with console.standard_output_for_results():
        from incumbent import up as machine

        ran = machine.down(Path.cwd())
    if as_json:
        console.print_json({"stopped": ran})
        return
    click.echo("stopped" if ran else "nothing ran here")


COMMANDS = (up, down)
