"""The commands about the title: models, history, explain, approve and rollback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from incumbent.cli import console
from incumbent.errors import RegistryError

if TYPE_CHECKING:
    from incumbent.title.ledger import Entry
    from incumbent.tracking.mlflow_runs import Runs
    from incumbent.tracking.registry_reads import Version


@click.command()
@click.option("--model", "name", callback=console.model_name, help="Only this registered model.")
@console.as_json
def models(name: str | None, as_json: bool) -> None:
    """List the versions of the models, with aliases and metrics.

    \b
    Examples:
      incumbent models
      incumbent models --model reviews --json
    """
    with console.standard_output_for_results():
        from incumbent.tracking.mlflow_runs import Runs
        from incumbent.tracking.registry_writes import Registry

        registry, runs = Registry(), Runs()
        names = [registry.known(name)] if name else registry.names()
        rows = [_version_row(runs, v) for n in names for v in registry.versions(n)]
    if as_json:
        console.print_json(rows)
        return
    console.print_table(
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


@click.command()
@console.model
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False),
              help="Draw the champion's accuracy over time into this PNG file.")  # fmt: skip
@console.as_json
def history(name: str, plot: Path | None, as_json: bool) -> None:
    """Show every decision about a model, the oldest first.

    \b
    Examples:
      incumbent history
      incumbent history --plot history.png
      incumbent history --model intents --json
    """
    with console.standard_output_for_results():
        from incumbent.title.ledger import Ledger
        from incumbent.tracking.registry_writes import Registry

        registry = Registry()
        entries = Ledger(registry, name).entries()
        asked = click.get_current_context().get_parameter_source("name")
        if not entries and (asked is ParameterSource.COMMANDLINE or registry.names()):
            registry.known(name)
        if plot:
            from incumbent.title import timeline_plot

            timeline_plot.draw(entries, plot, name)
    if as_json:
        console.print_json([entry.model_dump(mode="json") for entry in entries])
        return
    console.print_table(
        ["time", "version", "decision", "champion", "accuracy", "who", "reason"],
        [
            [
                entry.time, entry.version, entry.decision, console.named(entry.champion),
                _percent(entry.accuracy, "value"), entry.who, entry.reason,
            ]
            for entry in entries
        ],
        empty=f"No decision about {name!r} is on record yet.",
    )  # fmt: skip


@click.command()
@click.argument("version", type=int)
@console.model
@console.as_json
def explain(version: int, name: str, as_json: bool) -> None:
    """Say why a version has the title or has it not, and compute that again from its evidence.

    \b
    Examples:
      incumbent explain 2
      incumbent explain 7 --model intents --json
    """
    with console.standard_output_for_results():
        from incumbent.title import explanation as explaining
        from incumbent.tracking.registry_writes import Registry

        registry = Registry()
        found = explaining.explain(registry, registry.known(name), version)
    if as_json:
        console.print_json(
            {"model_name": name, "version": version, **found.model_dump(mode="json")}
        )
    else:
        for entry in found.entries:
            click.echo(_in_words(entry, name))
        if found.recomputed is not None:
            again = "the same decision, gate by gate" if not found.differences else "NOT THE SAME"
            click.echo(f"Computed again from the stored evidence: {again}.")
        for difference in found.differences:
            click.echo(f"  {difference}")
    if found.differences:
        raise RegistryError(
            f"What the ledger says of version {version} of {name!r} is not what its evidence says."
        )


@click.command()
@click.argument("version", type=int)
@console.model
@click.option("--reason", default="approved", show_default=True, help="Why, for the ledger.")
@console.as_json
def approve(version: int, name: str, reason: str, as_json: bool) -> None:
    """Give the title to a version that waits for approval (promotion.mode: manual).

    \b
    Example:
      incumbent approve 3 --reason "seen by the review board"
    """
    with console.standard_output_for_results():
        from incumbent.title import approval_and_rollback
        from incumbent.tracking.registry_writes import Registry

        registry = Registry()
        entry = approval_and_rollback.approve(registry, registry.known(name), version, reason)
    _moved(entry, name, as_json)


@click.command()
@click.option("--to", "version", type=int, help="This version; else the champion before.")
@click.option("--reason", required=True, help="Why, for the ledger.")
@console.model
@console.as_json
def rollback(version: int | None, reason: str, name: str, as_json: bool) -> None:
    """Give an earlier champion the title back, once it is seen to answer as it did.

    \b
    Examples:
      incumbent rollback --reason "too many wrong refunds"
      incumbent rollback --model intents --to 4 --reason "the last one we trust"
    """
    with console.standard_output_for_results():
        from incumbent.title import approval_and_rollback
        from incumbent.tracking.registry_writes import Registry

        registry = Registry()
        entry = approval_and_rollback.rollback(registry, registry.known(name), version, reason)
    _moved(entry, name, as_json)


COMMANDS = (models, history, explain, approve, rollback)


def _moved(entry: Entry, name: str, as_json: bool) -> None:
    import os

    from incumbent.operations import prefect_events
    from incumbent.servers import up_and_down

    # Who names no server works beside those of `incumbent up`, in the same store.
    started = up_and_down.recorded(Path.cwd()) or {}
    there = f"{started['prefect']}/api" if "prefect" in started else None
    prefect_events.decided(
        entry, name, say=lambda said: click.echo(f"incumbent: {said}", err=True),
        address=os.environ.get("PREFECT_API_URL") or there,
    )  # fmt: skip
    if as_json:
        console.print_json({"model_name": name, **entry.model_dump(mode="json")})
        return
    click.echo(
        f"{entry.decision}: {name}@champion is now version {entry.champion} (it was "
        f"{console.named(entry.previous_champion)})"
    )


def _in_words(entry: Entry, name: str) -> str:
    """One decision, told to someone who was not there."""
    from incumbent.decision.proof_and_ruling import gain_without_luck

    held = console.named(entry.previous_champion)
    lines = [
        f"{name} version {entry.version}: {entry.decision}, {entry.time} by {entry.who} (entry "
        f"{entry.number} of the ledger, reign {entry.reign})",
        f"  {entry.reason}",
        f"  Rule: {entry.rule}. Champion before: {held}; after: {console.named(entry.champion)}.",
    ]
    if entry.new_reign:
        lines.append("  A new reign began with it: another test set, on which both were scored.")
    if found := entry.comparison:
        accuracy = found.accuracy
        lines += [
            f"  Compared on {found.rows:,} test rows ({found.seen_exactly_or_nearly:,} left out, "
            "which a model had trained on or nearly), challenger less champion:",
            f"    accuracy  {100 * accuracy.value:+.2f} points ({100 * accuracy.low:+.2f} to "
            f"{100 * accuracy.high:+.2f}); {found.mcnemar.gained:,} rows gained, "
            f"{found.mcnemar.lost:,} lost, exact McNemar p = {found.mcnemar.p_value:.3g}",
        ]
        won = entry.decision in ("promoted", "waiting", "approved")
        if won and entry.rule == "superiority" and entry.allowance:
            lines.append(
                "    This is the gain of a winner, whose luck is in it: without that it is about "
                f"{100 * gain_without_luck(found, entry.allowance):+.2f} points, and its accuracy "
                "as much lower."
            )
    if allowed := entry.allowance:
        lines.append(
            f"  Contest {allowed.contest} of the reign: it had to reach p <= {allowed.level:.3g}; "
            f"with it {allowed.spent:.3g} of the reign's budget is spent."
        )
    lines += [f"  {gate.verdict:8} {gate.name}: {gate.message}" for gate in entry.gates]
    if entry.test_digest:
        lines.append(
            f"  Frozen test set {entry.test_digest[:12]}, training set "
            f"{entry.train_digest[:12] or 'unknown'}, MLflow run {entry.run_id or 'none'}."
        )
    if entry.labels_replaced:
        counts = ", ".join(f"{side} {rows:,}" for side, rows in entry.labels_replaced.items())
        lines.append(f"  Labels that later ones replaced: {counts}.")
    return "\n".join(lines)


def _version_row(runs: Runs, version: Version) -> dict[str, Any]:
    from datetime import UTC, datetime

    return {
        "model_name": version.name,
        "version": version.version,
        "aliases": list(version.aliases),
        "decision": version.tags.get("incumbent.decision"),
        "metrics": runs.metrics(version.run_id) if version.run_id else {},
        "run_id": version.run_id,
        "created": datetime.fromtimestamp(version.created, UTC).isoformat(timespec="seconds"),
        "uri": version.uri,
    }


def _percent(metrics: dict[str, float], name: str) -> str:
    return f"{metrics[name]:.2%}" if name in metrics else "-"


def _interval(metrics: dict[str, float]) -> str:
    if "accuracy_low" not in metrics:
        return "-"
    return f"{metrics['accuracy_low']:.2%} to {metrics['accuracy_high']:.2%}"
