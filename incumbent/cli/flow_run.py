"""Run a flow for a command, under a Prefect server of its own if there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from incumbent.cli import console

if TYPE_CHECKING:
    from incumbent.retraining.retraining_outcome import Outcome

T = TypeVar("T")


def run(start: Callable[[], T], *, trains: bool = True) -> T:
    """What a flow comes to that `start` imports and calls; say whether it trains a model."""
    from incumbent.runtime import environment

    with environment.importing():
        import flows.retrain  # noqa: F401  what takes long, before the server is waited for
        from incumbent.servers import temporary_prefect_server
        from incumbent.training import trainer_client
        from tasks import show
    with trainer_client.ahead(), temporary_prefect_server.errors():
        if trains:
            trainer_client.expect()
        temporary_prefect_server.start(meanwhile=_load_libraries)
        show.leave_errors_to_the_command()
        return start()


def tell(outcome: Outcome, as_json: bool) -> None:
    """Print what came of a retraining."""
    if as_json:
        console.print_json(outcome.model_dump(mode="json"))
        return
    metrics = outcome.metrics
    click.echo(f"{outcome.decision}: {outcome.reason}")
    if "accuracy" in metrics:
        click.echo(
            f"accuracy {metrics['accuracy']:.2%} ({metrics['accuracy_low']:.2%} to "
            f"{metrics['accuracy_high']:.2%}), NBSVM baseline "
            + (f"{metrics['baseline_accuracy']:.2%}" if "baseline_accuracy" in metrics else "none")
        )
    click.echo(f"champion of {outcome.model_name}: {console.named(outcome.champion_version)}")
    if outcome.report:
        click.echo(f"report: {outcome.report}")


def _load_libraries() -> None:
    """Import what takes longest, and every run needs."""
    from incumbent.runtime import environment
    from incumbent.validation import great_expectations_runner

    environment.prepare()
    environment.quiet()
    with environment.importing():
        great_expectations_runner.load_library()
