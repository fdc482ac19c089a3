"""The commands `incumbent labels suspects` and `incumbent labels next`."""

from __future__ import annotations

from pathlib import Path

import click

from incumbent.cli import console

_config = click.option("--config", "path", type=click.Path(), help="Config file (YAML).")
_set = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Override one key, like data.sample=2000; VALUE is YAML.",
)  # fmt: skip
_out = click.option(
    "--out", "output", type=click.Path(path_type=Path), required=True, metavar="FILE",
    help="The workbook (.xlsx).",
)  # fmt: skip


@click.group()
def labels() -> None:
    """Workbooks for labellers: labels that are probably wrong, and rows to label next.

    \b
    Examples:
      incumbent labels suspects --out suspects.xlsx
      incumbent labels next pool.csv --count 200 --out next.xlsx
    """


@labels.command()
@_out
@click.option("--count", type=click.IntRange(min=1), default=500, show_default=True,
              help="Most rows to write.")  # fmt: skip
@_config
@_set
@click.option("--model", "name", callback=console.model_name,
              help="A registered model whose label is to stand beside.")  # fmt: skip
@console.alias
@console.as_json
def suspects(
    output: Path, count: int, path: str | None, overrides: tuple[str, ...], name: str | None,
    alias: str, as_json: bool,
) -> None:  # fmt: skip
    """Write the training rows whose label is probably wrong, the most certain first.

    Fill in the right labels where there is a wrong one, and put the workbook into the inbox.

    \b
    Examples:
      incumbent labels suspects --out suspects.xlsx
      incumbent labels suspects --out suspects.xlsx --config configs/tickets.yaml --count 100
    """
    from incumbent import config_loading

    config = config_loading.load(path, overrides)
    with console.standard_output_for_results():
        from incumbent.labelling import labelling_commands

        labelling_commands.check_output(config, output)
        version = labelling_commands.version_of(config, name, alias) if name else None
        done = labelling_commands.write_suspects(config, output, count, version)
    if as_json:
        console.print_json(done.model_dump(mode="json"))
        return
    more = f", the {done.written:,} most certain of them" if done.written < done.found else ""
    click.echo(
        f"{done.found:,} of {done.rows:,} labels are probably wrong{more} in {done.output}: fill "
        f"in the column {done.label_column!r}"
    )


@labels.command("next")
@click.argument("pool", metavar="POOL")
@_out
@click.option("--count", type=click.IntRange(min=1, max=10_000), default=200, show_default=True,
              help="Rows to write.")  # fmt: skip
@_config
@_set
@click.option("--model", "name", callback=console.model_name,
              help="Registered model that guesses; else that of the config, and if it has no "
              "champion, a quick classifier.")  # fmt: skip
@console.alias
@click.option("--text-column", help="POOL's column of the texts; else that of the training data.")
@console.as_json
def next_rows(
    pool: str, output: Path, count: int, path: str | None, overrides: tuple[str, ...],
    name: str | None, alias: str, text_column: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Write those unlabelled rows of POOL that would teach most, each with a guess.

    POOL is a path or URL of a table in any format that training reads; rows that have a label are
    left out. A tenth of the rows is drawn at random, and marked.

    \b
    Examples:
      incumbent labels next pool.csv --count 200 --out next.xlsx
      incumbent labels next queries.parquet --out next.xlsx --config configs/tickets.yaml
    """
    from incumbent import config_loading

    config = config_loading.load(path, overrides)
    with console.standard_output_for_results():
        from incumbent.labelling import labelling_commands

        labelling_commands.check_output(config, output, pool)
        version = labelling_commands.version_of(config, name, alias)
        done = labelling_commands.write_next(
            config, pool, output, count, version, text_column=text_column,
            note=lambda line: click.echo(line, err=True),
        )  # fmt: skip
    if as_json:
        console.print_json(done.model_dump(mode="json"))
        return
    fewer = f" (no more of them differ; {count:,} were asked for)" if done.written < count else ""
    click.echo(
        f"{done.written:,} of {done.pool:,} unlabelled rows in {done.output}{fewer}, "
        f"{done.at_random:,} of them drawn at random; labels guessed by {done.guessed_by}: correct "
        f"the column {done.label_column!r}"
    )


COMMANDS = (labels,)
