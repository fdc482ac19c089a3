"""Retrain when new data arrives."""

from __future__ import annotations

from prefect import flow

from incumbent.operations.inbox_files import only_look
from incumbent.runtime import environment, time_limits
from incumbent.runtime.url_secrets import public
from tasks import announce, show
from tasks.collect_inbox import find_target, hand_over, take

_HOURS = 0.5
"""A look takes seconds, and minutes where files are large; what it has seen is kept."""


@flow(name="watch", on_failure=[announce.failure])
def watch(
    place: str = "data/inbox",
    deployment: str = "retrain/reviews",
    settle_seconds: float = 10.0,
) -> str | None:
    """Look once for new files in a place, and start a retraining on them; gives its flow run.

    Beside each file, in a folder `_answers`, a page then says what became of it.

    Args:
        place: A folder, or any fsspec URL of one, with its sub-folders. Hidden, temporary and lock
            files are left alone, and what systems leave in folders.
        deployment: The deployment of the flow `retrain` that is started; its training data and
            the files in the place make up the run's.
        settle_seconds: A file that does not change for so long is complete.

    Raises:
        ConfigError: if there is no such deployment.
        DataError: if the place cannot be looked into.
        StageError: if no Prefect server answers, or the place does not.
    """
    environment.prepare()
    environment.quiet()
    show.tidy_logs()
    with time_limits.whole("watch", _HOURS + settle_seconds / 3600):
        target = find_target(deployment)
        with only_look(place, target.workdir) as free:
            if not free:
                show.say("another look into %s is under way", public(place))
                return None
            watched = take(place, settle_seconds, target)
            return hand_over(place, watched, target) if watched else None
