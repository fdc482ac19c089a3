"""What the commands share: standard output and error, JSON, tables, common options."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

import click

_OPTION = re.compile(r"-[A-Za-z]\w*|--[A-Za-z][A-Za-z-]*(=.*)?", re.DOTALL)

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def model_name(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    """Check the name of a registered model, as click's callback."""
    from incumbent.config import MODEL_NAME, MODEL_NAME_IN_WORDS

    if name is not None and not re.match(MODEL_NAME, name):
        raise click.BadParameter(MODEL_NAME_IN_WORDS)
    return name


model = click.option(
    "--model", "name", default="reviews", show_default=True, callback=model_name,
    help="Name of the registered model.",
)  # fmt: skip

alias = click.option("--alias", default="champion", show_default=True, help="Alias of the version.")


class TextsCommand(click.Command):
    """A command whose arguments are texts: one that begins with a dash need not be an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Tell options from texts, and have click read the texts as such."""
        valued = {
            name
            for option in self.params
            if isinstance(option, click.Option) and not option.is_flag
            for name in option.opts
        }
        options: list[str] = []
        texts: list[str] = []
        left = iter(args)
        for argument in left:
            if argument == "--":
                texts += left
            elif _OPTION.fullmatch(argument):
                options.append(argument)
                if argument in valued:
                    options += itertools.islice(left, 1)
            else:
                texts.append(argument)
        return super().parse_args(ctx, [*options, "--", *texts])


@contextlib.contextmanager
def standard_output_for_results() -> Iterator[None]:
    """Send whatever libraries and subprocesses print to standard error."""
    from incumbent.runtime import environment

    environment.prepare()
    environment.quiet()
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)


def print_json(document: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(_without_nan(document), indent=2, ensure_ascii=False))


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN; null stands for a number that does not exist."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return value


def print_table(header: list[str], rows: list[list[Any]], empty: str) -> None:
    """Print rows under a header, in columns; or what to say if there are none."""
    if not rows:
        click.echo(empty)
        return
    cells = [header, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def named(version: int | None) -> str:
    """A version in words; nobody, if there is none."""
    return f"version {version}" if version is not None else "nobody"
