"""The `incumbent` command. Heavy libraries are imported by the commands that need them."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from incumbent import __version__, config_loading
from incumbent.cli import (
    console,
    flow_run,
    import_command,
    labels_command,
    plan_command,
    serve_command,
    server_commands,
    sweep_command,
    title_commands,
)
from incumbent.errors import ConfigError, IncumbentError, StageError
from incumbent.runtime import failure_explanations, interrupts

if TYPE_CHECKING:
    from incumbent.config import Config
    from incumbent.retraining.retraining_outcome import Outcome

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with the exit code of the README.

    If whoever reads standard output stops reading, as `head` does, the command ends with 0.
    """
    interrupts.listen()
    code = _run(arguments)
    interrupts.forget()
    gc.freeze()  # the end of Python would look through a million objects, for seconds
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
        interrupts.ignore()
        said, code = "interrupted", _INTERRUPTED
    elif isinstance(error, IncumbentError):
        said, code = str(error), error.exit_code
    elif os.environ.get("INCUMBENT_DEBUG"):
        raise error
    elif known := failure_explanations.of_disk(error):
        said, code = known, StageError.exit_code
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
    """A text classifier holds the title until a challenger earns it.

    \b
    Examples:
      incumbent retrain --config configs/reviews.yaml
      incumbent predict "A gripping, beautifully shot film."
      incumbent score new.xlsx scored.xlsx
      incumbent models
      incumbent history
      incumbent explain 1
      incumbent rollback --reason "wrong answers about refunds"

    \b
    Exit codes: 0 done, whatever the decision; 2 wrong usage or config; 3 the data was refused;
    4 a stage failed; 130 interrupted; 1 it hung and was ended, or INCUMBENT_DEBUG=1 shows a
    traceback.
    """


@cli.command()
@click.option("--config", "path", type=click.Path(), help="Config file (YAML).")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Override one key, like training.epochs=2; VALUE is YAML.")  # fmt: skip
@console.as_json
def retrain(path: str | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Retrain, and promote the result if it earns the title.

    Without a config, the embedded film reviews are used.

    \b
    Examples:
      incumbent retrain
      incumbent retrain --config configs/imdb.yaml --set data.sample=500
      incumbent retrain --set training.seed=2 --json
    """
    from incumbent.runtime import environment

    # Prefect records what a flow is given.
    settings = config_loading.without_secrets(config_loading.load(path, overrides), os.environ)
    with console.standard_output_for_results():
        with environment.importing():
            from incumbent.retraining import earlier_retrainings
        outcome = earlier_retrainings.of(settings) or _retrained(settings)
    flow_run.tell(outcome, as_json)


def _retrained(settings: Config) -> Outcome:
    def start() -> Outcome:
        from flows.retrain import retrain as flow

        outcome: Outcome = flow(settings)
        return outcome

    return flow_run.run(start)


@cli.command(cls=console.TextsCommand)
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@console.model
@console.alias
@console.as_json
def predict(texts: tuple[str, ...], name: str, alias: str, as_json: bool) -> None:
    """Classify texts with a registered model.

    A text may begin with a dash; one that looks like an option comes after --.

    \b
    Examples:
      incumbent predict "A gripping, beautifully shot film."
      incumbent predict --model intents --alias challenger --json "how do I reset my card"
      incumbent predict -- -awful
    """
    with console.standard_output_for_results():
        from incumbent.scoring import model_client
        from incumbent.tracking.registry_writes import Registry

        version = Registry().aliased(name, alias)
        answers = model_client.predict(version, list(texts))
    rows = [{"text": text, **answer} for text, answer in zip(texts, answers, strict=True)]
    if as_json:
        console.print_json({"model_name": name, "version": version.version, "predictions": rows})
        return
    for row in rows:
        shown = ", ".join(f"{label} {p:.3f}" for label, p in row["probabilities"].items())
        click.echo(f"{row['label']}  ({shown})  {row['text']}")


@cli.command()
@click.argument("source", metavar="INPUT")
@click.argument("output", metavar="OUTPUT", type=click.Path(path_type=Path))
@console.model
@console.alias
@click.option(
    "--text-column", multiple=True, metavar="NAME",
    help="Column of the texts, or of a part of them; else those of the training data.",
)  # fmt: skip
@click.option("--sheet", help="Sheet, by name or number (the first is 0); else that of the column.")
@click.option("--encoding", default="auto", show_default=True, help="Of CSV, TSV and JSON.")
@click.option(
    "--header-row", metavar="ROW", type=click.IntRange(min=1),
    help="Number of the row with the names of the columns; else the first that has that of texts.",
)  # fmt: skip
@click.option(
    "--delimiter", default="", metavar="SIGN",
    help="Of CSV: one character, or tab; else the one that gives the column of texts.",
)  # fmt: skip
@console.as_json
def score(
    source: str, output: Path, name: str, alias: str, text_column: tuple[str, ...],
    sheet: str | None,
    encoding: str, header_row: int | None, delimiter: str, as_json: bool,
) -> None:  # fmt: skip
    """Classify each row of a table with a registered model.

    INPUT is a path or URL of a table in any format that training reads; OUTPUT a file with the same
    rows and the columns label and probability_<class>, in the format of its extension: .xlsx .csv
    .tsv .jsonl .ndjson .parquet.

    \b
    Examples:
      incumbent score new.xlsx scored.xlsx
      incumbent score s3://bucket/queries.parquet scored.csv --model intents --text-column query
    """
    with console.standard_output_for_results():
        from tqdm import tqdm

        from incumbent.scoring import table_scoring
        from incumbent.tracking.registry_writes import Registry

        version = Registry().aliased(name, alias)
        with tqdm(unit="row", disable=not sys.stderr.isatty(), leave=False) as bar:
            summary = table_scoring.score(
                version, source, output, text_columns=text_column,
                sheet=int(sheet) if sheet and sheet.isdecimal() else sheet, encoding=encoding,
                header_row=header_row, delimiter=delimiter, on_rows=bar.update,
                note=lambda line: click.echo(line, err=True),
            )  # fmt: skip
    if as_json:
        console.print_json(summary.model_dump(mode="json"))
        return
    shares = ", ".join(f"{label} {n:,}" for label, n in summary.labels.items())
    blank = f", {summary.empty:,} without text left blank" if summary.empty else ""
    click.echo(
        f"scored {summary.rows:,} rows with version {summary.version} of {name} into {output}: "
        f"{shares}{blank}"
    )


@cli.group()
def data() -> None:
    """Write the data that comes with incumbent."""


@data.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--films", is_flag=True, help="Add the column Film: of which film a review is.")
@console.as_json
def reviews(folder: Path, films: bool, as_json: bool) -> None:
    """Write the embedded film reviews to DIR as train.xlsx and test.xlsx.

    \b
    Example:
      incumbent data reviews data/
    """
    from incumbent.data import embedded_reviews as embedded

    train, test = embedded.write(folder, films=films)
    if as_json:
        console.print_json({"train": str(train), "test": str(test)})
        return
    named = "Reviews, Sentiment and Film" if films else "Reviews and Sentiment"
    click.echo(f"wrote {train} and {test}: columns {named}")


@cli.command()
@console.as_json
def doctor(as_json: bool) -> None:
    """Say what works here, what doesn't, and what to do about it.

    \b
    Example:
      incumbent doctor
    """
    with console.standard_output_for_results():
        from incumbent.operations import doctor as checks

        findings = checks.examine()
    if as_json:
        console.print_json([finding.model_dump() for finding in findings])
    else:
        for finding in findings:
            click.echo(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name}: {finding.message}")
    if not all(finding.ok for finding in findings):
        raise click.exceptions.Exit(IncumbentError.exit_code)


for _command in (
    *import_command.COMMANDS,
    *labels_command.COMMANDS,
    *plan_command.COMMANDS,
    *serve_command.COMMANDS,
    *sweep_command.COMMANDS,
    *title_commands.COMMANDS,
    *server_commands.COMMANDS,
):
    cli.add_command(_command)
