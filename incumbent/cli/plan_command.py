"""The command `incumbent plan`."""

from __future__ import annotations

import click

from incumbent.cli import console


@click.command()
@click.option("--config", "path", type=click.Path(), help="Config file (YAML).")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Override one key, like data.test=test.xlsx; VALUE is YAML.")  # fmt: skip
@console.as_json
def plan(path: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Say which gain the test set can show, and how many rows would show a smaller one.

    \b
    Examples:
      incumbent plan
      incumbent plan --config configs/tickets.yaml --json
    """
    from incumbent import config_loading

    config = config_loading.load(path, overrides)
    with console.standard_output_for_results():
        from incumbent.title import test_set_plan
        from incumbent.tracking.registry_writes import Registry

        found = test_set_plan.plan(Registry(), config)
    if as_json:
        console.print_json(found.model_dump(mode="json"))
        return
    seen = (
        f"as at the contest of version {found.measured_at}" if found.measured_at
        else "as two real models usually do"
    )  # fmt: skip
    click.echo(
        f"{found.model_name}: {found.in_words()} (two models differ on "
        f"{found.pair.disagreement:.0%} of them, {seen})."
    )
    console.print_table(
        ["contest", "level", "smallest gain"],
        [[c.contest, f"{c.level:.2g}", _points(c.gain)] for c in found.contests],
        empty="",
    )
    console.print_table(
        ["gain", "test rows needed", "missing"],
        [[_points(r.gain), _count(r.rows), _count(r.missing)] for r in found.rows_for],
        empty="",
    )


def _points(gain: float | None) -> str:
    return "none" if gain is None else f"{100 * gain:.1f} points"


def _count(rows: int | None) -> str:
    return "more than 10,000,000" if rows is None else f"{rows:,}"


COMMANDS = (plan,)
