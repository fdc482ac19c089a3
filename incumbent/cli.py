"""The `incumbent` command. Heavy libraries are imported by the commands that need them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from incumbent import __version__, interrupts
from incumbent.errors import ConfigError, IncumbentError

if TYPE_CHECKING:
    from incumbent.registry import Registry, Version

_INTERRUPTED = 130
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def _model_name(_context: click.Context, _option: click.Parameter, name: str | None) -> str | None:
    from incumbent.config import MODEL_NAME

    if name is not None and not re.match(MODEL_NAME, name):
        raise click.BadParameter("letters, digits, '.', '_' and '-' are expected")
    return name


_MODEL = click.option(
    "--model", "name", default="reviews", show_default=True, callback=_model_name,
    help="Name of the registered model.",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with the exit code of the README.

    If whoever reads standard output stops reading, as `head` does, the command ends with 0.
    """
    interrupts.listen()
    code = _run(arguments)
    if code == _INTERRUPTED:
        interrupts.ignore()
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=arguments, prog_name="incumbent", standalone_mode=False)
    except click.ClickException as error:
        with contextlib.suppress(BrokenPipeError):
            error.show()
        return ConfigError.exit_code
    except SystemExit:  # click's way to end when it can't write
        if not _reader_left():
            raise
        return 0
    except click.Abort as abort:  # click's for an interrupt, and for an EOFError
        return _failed(abort.__cause__ or KeyboardInterrupt())
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  told below
        return _failed(error)
    return code if isinstance(code, int) else 0


def _failed(error: BaseException) -> int:
    """Say why the command failed; gives the exit code."""
    if interrupts.caused(error):
        said, code = "interrupted", _INTERRUPTED
    elif isinstance(error, IncumbentError):
        said, code = str(error), error.exit_code
    elif os.environ.get("INCUMBENT_DEBUG"):
        raise error
    else:  # the last resort: a stage that failed unforeseen
        said = (
            f"{type(error).__name__}: {error}\n"
            "This is not a mistake of yours that incumbent knows. Set INCUMBENT_DEBUG=1 for the "
            "traceback."
        )
        code = IncumbentError.exit_code
    with contextlib.suppress(BrokenPipeError):
        click.echo(f"incumbent: {said}", err=True)
    return code


def _reader_left() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(1, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="incumbent")
def cli() -> None:
    r"""A text classifier holds the title until a challenger earns it.

    \b
    Examples:
      incumbent retrain --config configs/reviews.yaml
      incumbent predict "A gripping, beautifully shot film."
      incumbent models
      incumbent history

    \b
    Exit codes: 0 done, whatever the decision; 2 wrong usage or config; 3 the data was refused;
    4 a stage failed; 130 interrupted.
    """


@cli.command()
@click.option("--config", "path", type=click.Path(), help="Config file (YAML).")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Override one key, like training.epochs=2; VALUE is YAML.")  # fmt: skip
@_JSON
def retrain(path: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    r"""Retrain, and promote the result if it earns the title.

    Without a config, the embedded film reviews are used.

    \b
    Examples:
      incumbent retrain
      incumbent retrain --config configs/imdb.yaml --set data.sample=500
      incumbent retrain --set training.seed=2 --json
    """
    from incumbent import config

    settings = config.load(path, overrides)
    with _standard_output_for_results():
        from flows.retrain import retrain as flow

        interrupts.start_server()
        outcome = flow(settings)
    if as_json:
        _print_json(outcome.model_dump(mode="json"))
        return
    metrics = outcome.metrics
    click.echo(f"{outcome.decision}: {outcome.reason}")
    if "accuracy" in metrics:
        click.echo(
            f"accuracy {metrics['accuracy']:.2%} ({metrics['accuracy_low']:.2%} to "
            f"{metrics['accuracy_high']:.2%}), NBSVM baseline {metrics['baseline_accuracy']:.2%}"
        )
    click.echo(f"champion of {outcome.model_name}: {_named(outcome.champion_version)}")
    if outcome.report:
        click.echo(f"report: {outcome.report}")


@cli.command()
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@_MODEL
@click.option("--alias", default="champion", show_default=True, help="Alias of the version.")
@_JSON
def predict(texts: tuple[str, ...], name: str, alias: str, as_json: bool) -> None:
    r"""Classify texts with a registered model.

    \b
    Examples:
      incumbent predict "A gripping, beautifully shot film."
      incumbent predict --model intents --alias challenger --json "how do I reset my card"
    """
    with _standard_output_for_results():
        from incumbent import scoring
        from incumbent.registry import Registry

        registry = Registry()
        version = _aliased(registry, name, alias)
        answers = scoring.predict(version, list(texts))
    rows = [{"text": text, **answer} for text, answer in zip(texts, answers, strict=True)]
    if as_json:
        _print_json({"model_name": name, "version": version.version, "predictions": rows})
        return
    for row in rows:
        shown = ", ".join(f"{label} {p:.3f}" for label, p in row["probabilities"].items())
        click.echo(f"{row['label']}  ({shown})  {row['text']}")


@cli.command()
@click.option("--model", "name", callback=_model_name, help="Only this registered model.")
@_JSON
def models(name: str | None, as_json: bool) -> None:
    r"""List the versions of the models, with aliases and metrics.

    \b
    Examples:
      incumbent models
      incumbent models --model reviews --json
    """
    with _standard_output_for_results():
        from incumbent.registry import Registry

        registry = Registry()
        names = [_known(registry, name)] if name else registry.names()
        rows = [_version_row(registry, v) for n in names for v in registry.versions(n)]
    if as_json:
        _print_json(rows)
        return
    _print_table(
        ["model", "version", "aliases", "decision", "accuracy", "interval", "created"],
        [
            [
                row["model_name"], row["version"], ", ".join(row["aliases"]) or "-",
                row["decision"] or "-", _percent(row["metrics"], "accuracy"),
                _interval(row["metrics"]), row["created"],
            ]
            for row in rows
        ],
        empty="No model is registered yet; `incumbent retrain` makes the first.",
    )  # fmt: skip


@cli.command()
@_MODEL
@_JSON
def history(name: str, as_json: bool) -> None:
    r"""Show every decision about a model, the oldest first.

    \b
    Examples:
      incumbent history
      incumbent history --model intents --json
    """
    with _standard_output_for_results():
        from incumbent.registry import Registry

        records = [r for v in Registry().versions(name) if (r := v.record())]
    records.sort(key=lambda record: (record["time"], record["version"]))
    if as_json:
        _print_json(records)
        return
    _print_table(
        ["time", "version", "decision", "champion", "accuracy", "reason"],
        [
            [
                r["time"], r["version"], r["decision"], _named(r["champion"]),
                f"{r['accuracy']['value']:.2%}", r["reason"],
            ]
            for r in records
        ],
        empty=f"No decision about {name!r} is on record yet.",
    )  # fmt: skip


@cli.group()
def data() -> None:
    """Write the data that comes with incumbent."""


@data.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@_JSON
def reviews(folder: Path, as_json: bool) -> None:
    r"""Write the embedded film reviews to DIR as train.xlsx and test.xlsx.

    \b
    Example:
      incumbent data reviews data/
    """
    from incumbent import reviews as embedded

    train, test = embedded.write(folder)
    if as_json:
        _print_json({"train": str(train), "test": str(test)})
        return
    click.echo(f"wrote {train} and {test}: columns Reviews and Sentiment")


@cli.command()
@_JSON
def doctor(as_json: bool) -> None:
    r"""Say what works here, what doesn't, and what to do about it.

    \b
    Example:
      incumbent doctor
    """
    with _standard_output_for_results():
        from incumbent import doctor as checks

        findings = checks.examine()
    if as_json:
        _print_json([finding.model_dump() for finding in findings])
    else:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name}: {finding.message}")
    if not all(finding.ok for finding in findings):
        raise click.exceptions.Exit(IncumbentError.exit_code)


@contextlib.contextmanager
def _standard_output_for_results() -> Iterator[None]:
    """Send whatever libraries and subprocesses print to standard error."""
    from incumbent import environment

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


def _aliased(registry: Registry, name: str, alias: str) -> Version:
    version = registry.by_alias(_known(registry, name), alias)
    if version is not None:
        return version
    raise ConfigError(
        f"No version of {name!r} has the alias {alias!r}. `incumbent models` lists the aliases."
    )


def _known(registry: Registry, name: str) -> str:
    known = registry.names()
    if name in known:
        return name
    raise ConfigError(
        f"No model {name!r} is registered at {registry.uri}; there are "
        f"{', '.join(known) or 'none yet'}."
    )


def _version_row(registry: Registry, version: Version) -> dict[str, Any]:
    from datetime import UTC, datetime

    return {
        "model_name": version.name,
        "version": version.version,
        "aliases": list(version.aliases),
        "decision": version.tags.get("incumbent.decision"),
        "metrics": registry.metrics(version.run_id) if version.run_id else {},
        "run_id": version.run_id,
        "created": datetime.fromtimestamp(version.created, UTC).isoformat(timespec="seconds"),
        "uri": version.uri,
    }


def _print_json(document: Any) -> None:
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


def _print_table(header: list[str], rows: list[list[Any]], empty: str) -> None:
    if not rows:
        click.echo(empty)
        return
    cells = [header, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def _percent(metrics: dict[str, float], name: str) -> str:
    return f"{metrics[name]:.2%}" if name in metrics else "-"


def _interval(metrics: dict[str, float]) -> str:
    if "accuracy_low" not in metrics:
        return "-"
    return f"{metrics['accuracy_low']:.2%} to {metrics['accuracy_high']:.2%}"


def _named(version: int | None) -> str:
    return f"version {version}" if version is not None else "nobody"
