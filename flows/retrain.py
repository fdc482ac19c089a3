"""Retrain a classifier, from labelled spreadsheets to a decision about the title."""

from __future__ import annotations

from prefect import flow

from incumbent.config import Config
from incumbent.retraining.retraining_identity import Retraining
from incumbent.retraining.retraining_outcome import Clock, Outcome
from incumbent.runtime import environment
from tasks import announce, show
from tasks.evaluate import evaluate
from tasks.ingest import ingest
from tasks.preprocess import choose, preprocess
from tasks.promote import promote
from tasks.register import register
from tasks.repeat import repeat
from tasks.report import report
from tasks.track_run import about, find_earlier, too_little_new, tracked
from tasks.train import train
from tasks.validate import validate


@flow(
    name="retrain",
    flow_run_name="retrain {config.model_name}",
    on_failure=[announce.failure],
)
def retrain(config: Config = Config()) -> Outcome:  # noqa: B008  a frozen model
    """Retrain the classifier, and promote the result if it earns the title.

    Args:
        config: Everything about the run; the defaults retrain on the embedded film reviews.

    Raises:
        DataError: if the data cannot be read, or is refused.
        StageError: if a stage fails for another reason.
    """
    environment.prepare()
    environment.quiet()
    show.tidy_logs()
    clock = Clock(config.timeouts)
    with clock("ingest"):
        dataset = ingest(config)
        retraining = Retraining.of(dataset, config)
        skipped = find_earlier(retraining, config) or too_little_new(dataset, config)
    if skipped is not None:
        return skipped.model_copy(update={"timings": clock.timings})
    config = choose(dataset, config)
    with tracked(retraining, config) as run:
        with clock("validate"):
            verdict = validate(dataset, config, retraining, run)
        with clock("preprocess"):
            encoded = preprocess(verdict.dataset, config)
        with clock("train"):
            trained = train(encoded, config, retraining, run)
        with clock("evaluate"):
            result = evaluate(trained, verdict.dataset, config.evaluation, retraining, run)
        seed_accuracies: tuple[float, ...] = ()
        if config.promotion.seeds > 1:
            with clock("repeat"):
                seed_accuracies = repeat(encoded, verdict.dataset, result, config, retraining, run)
        with clock("register"):
            version = register(
                trained, result, verdict.dataset, config, retraining, run, about(), seed_accuracies
            )
        with clock("promote"):
            entry, champion = promote(
                version, result, verdict.dataset, config, run, about(), seed_accuracies
            )
        outcome = Outcome.decided(
            entry, version, champion, result.metrics() | verdict.metrics, run,
            about()["prefect.flow_run_id"], retraining.folder, clock.timings,
        )  # fmt: skip
        with clock("report"):
            report(outcome, entry, result, verdict, trained, config, run)
    return outcome
