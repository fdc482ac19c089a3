"""A flow with one task that takes its turn as a training does, in a process of its own.

python -m tests.faults.turns SECONDS PATIENCE RENEWAL: how long the task works, how long the server
is waited for, and after how many seconds the lease of the slot is renewed. It says `working` and
`done`; if it fails it ends with 4 and a line, as the command does.
"""

from __future__ import annotations

import sys
import time

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from incumbent.errors import IncumbentError
from incumbent.servers import prefect_outages, temporary_prefect_server
from tasks import await_training_slot, show
from tasks.retry_policy import RETRIES


@task(cache_policy=NO_CACHE, **RETRIES)
@await_training_slot.taken()
def train(seconds: float) -> None:
    """Work for so long."""
    show.say("working")
    time.sleep(seconds)
    show.say("done")


@flow
def retrain(seconds: float) -> None:
    """Do the one task."""
    show.tidy_logs()
    train(seconds)


def main(seconds: float, patience: float, renewal: float) -> None:
    """Run the flow as the command does."""
    prefect_outages.PATIENCE, await_training_slot._RENEWAL = patience, renewal
    try:
        with temporary_prefect_server.errors():
            temporary_prefect_server.reach()
            show.leave_errors_to_the_command()
            retrain(seconds)
    except IncumbentError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
