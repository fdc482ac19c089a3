"""Import a predictor that ktrain saved, from its files to a decision about the title."""

from __future__ import annotations

from prefect import flow

from incumbent.config import Config
from incumbent.importing.saved_predictor import Saved
from incumbent.retraining.retraining_identity import Retraining
from incumbent.retraining.retraining_outcome import Clock, Outcome
from incumbent.runtime import environment
from tasks import announce, show
from tasks.convert import as_trained, convert, read_test_set
from tasks.evaluate import evaluate
from tasks.promote import promote
from tasks.register import register
from tasks.report import report
from tasks.track_run import about, find_imported, tracked
from tasks.validate import validate


@flow(
    name="import",
    flow_run_name="import {config.model_name}",
    on_failure=[announce.failure],
)
def import_predictor(saved: Saved, config: Config) -> Outcome:
    """Import a predictor, and promote it if it earns the title. This runs the code in its pickle.

    Args:
        saved: The copy of the predictor.
        config: The test set, and the rules by which it is measured and judged.

    Raises:
        DataError: if the test set cannot be read, or is refused.
        StageError: if a stage fails for another reason.
    """
    environment.prepare()
    environment.quiet()
    show.tidy_logs()
    clock = Clock(config.timeouts)
    with clock("ingest"):
        dataset = read_test_set(config)
        retraining = Retraining.of_import(dataset, config, saved.digest)
        skipped = find_imported(retraining, config)
    if skipped is not None:
        return skipped.model_copy(update={"timings": clock.timings})
    facts: dict[str, object] = {
        "imported.source": saved.source,
        "imported.pickle_sha256": saved.pickle_digest,
    }
    with tracked(retraining, config, "import", **facts) as run:
        with clock("convert"):
            done, dataset = convert(saved, dataset, config, retraining)
            trained = as_trained(saved, done, retraining)
            config = config.model_copy(
                update={"training": config.training.model_copy(update={"model": done.kind})}
            )
        with clock("validate"):
            verdict = validate(dataset, config, retraining, run)
        with clock("evaluate"):
            result = evaluate(trained, verdict.dataset, config.evaluation, retraining, run)
        tags = {**about(), "incumbent.imported": saved.pickle_digest}
        with clock("register"):
            version = register(trained, result, verdict.dataset, config, retraining, run, tags)
        with clock("promote"):
            entry, champion = promote(version, result, verdict.dataset, config, run, tags)
        outcome = Outcome.decided(
            entry, version, champion, result.metrics(), run, tags["prefect.flow_run_id"],
            retraining.folder, clock.timings,
        )  # fmt: skip
        with clock("report"):
            report(outcome, entry, result, verdict, trained, config, run, facts)
    return outcome
