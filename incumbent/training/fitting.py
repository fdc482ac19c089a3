"""Train a classifier with ktrain's learner, and save the predictor as ktrain does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from incumbent.classifiers import int8_or_float32_export
from incumbent.classifiers.classifier_base import Built, Classifier, Rows
from incumbent.classifiers.int8_or_float32_export import Served
from incumbent.config import ServingConfig, TrainingConfig
from incumbent.encoders import encoded_texts
from incumbent.errors import TrainingDiverged
from incumbent.evaluation import label_thresholds
from incumbent.evaluation.plots import learning_rates
from incumbent.kernels import ktrain_import
from incumbent.predictor import Predictor, add_settings
from incumbent.runtime.atomic_files import write_atomically
from incumbent.training import checkpoints, devices, learning_rate_finder, random_state, schedules
from incumbent.training.callbacks import Progress, step_reporter
from incumbent.training.checkpoints import Checkpoints
from incumbent.training.learning_rate_finder import FoundRate

_ENOUGH = 20  # held-out rows from which on the same answer for all tells something
_ASKED = 32  # of them, that are asked for together: most models show at once that they differ


class TrainedModel(BaseModel):
    """A trained classifier: the saved ktrain predictor, what is served, how it came about.

    `steps` are those taken; `learning_rate` is the peak rate used; `metrics` are those of the
    epoch whose weights were kept, and what was fitted besides; `plot` is the learning-rate
    finder's curve, if it ran. `parts` is how many each batch was worked off in; 1 for whole ones.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    served: Served
    device: str
    rows: int
    validation_rows: int
    steps: int
    learning_rate: float
    metrics: dict[str, float]
    plot: Path | None = None
    parts: int = 1


def finished(folder: Path) -> TrainedModel | None:
    """What was trained already, its predictor in `folder`; None if it was not."""
    manifest = folder.with_name("trained.json")
    if not (manifest.is_file() and folder.is_dir() and served_folder(folder).is_dir()):
        return None
    known = TrainedModel.model_validate_json(manifest.read_text(encoding="utf-8"))
    plot = manifest.with_name(known.plot.name) if known.plot else None
    served = known.served.model_copy(update={"folder": served_folder(folder)})
    return known.model_copy(update={"folder": folder, "plot": plot, "served": served})


def fit(
    classifier: Classifier,
    encoded: encoded_texts.Encoded,
    folder: Path,
    text_column: str | tuple[str, ...],
    serving: ServingConfig,
    on_step: Callable[[Progress], None],
    say: Callable[[str], None],
    parts: int = 1,
) -> TrainedModel:
    """Fine-tune on the training rows, save a ktrain predictor, and export what is served of it.

    Some rows are held out of train, stratified, to watch the training; the test split is not
    read. A finished `folder` is taken as it is: nothing is trained twice. One that was ended before
    its time goes on at its last checkpoint.

    Args:
        classifier: What to train.
        encoded: The encoded dataset.
        folder: Where the predictor goes; the served model goes beside it.
        text_column: The name that consumers' frames give the text, or those of its parts.
        serving: In what precision it is served.
        on_step: Told how training goes, now and then.
        say: Told the device, the learning rate if it was looked for, the step at which a training
            is resumed, and the precision.
        parts: How many each batch is worked off in, for want of memory; more, if this training
            was found to need more before.

    Raises:
        MemoryExhausted: if memory does not hold a part of a batch.
        StageError: if the model cannot be exported.
        TrainingDiverged: if the loss is not finite; the learning rate is named.
    """
    manifest, kept = folder.with_name("trained.json"), folder.with_name("checkpoints")
    if known := finished(folder):
        checkpoints.clear(kept)
        return known
    folder.parent.mkdir(parents=True, exist_ok=True)
    ktrain_import.load()
    device = devices.prepare()
    say(device)
    train, validation = split(encoded, classifier.training)
    from incumbent.training import resuming

    with ktrain_import.quiet(), ktrain_import.scratch():
        identity = resuming.identity(classifier, encoded.key)
        minutes = classifier.training.checkpoint_minutes
        try:
            with Checkpoints.opened(kept, identity, minutes, say) as saved:
                parts = max(parts, (saved.noted("parts") or {}).get("parts", 1))
                saved.note("parts", {"parts": parts})
                fitted = _fit(classifier, train, validation, saved, on_step, say, parts)
        except TrainingDiverged:  # as it would again
            checkpoints.clear(kept)
            raise
        fitted.predictor.save(str(folder))
    classifier.complete(folder)
    served = int8_or_float32_export.serve(
        classifier, fitted.exact(folder), fitted.predictor.preproc, validation.then(train),
        served_folder(folder), text_column, serving,
    )  # fmt: skip
    say(str(served))
    found = classifier.supplement(served.folder, folder, train, validation)
    if found:
        say(", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in found.items()))
        last = int(classifier.training.epochs)
        on_step(Progress(fitted.steps, fitted.steps, last, found))
    if classifier.multilabel and serving.thresholds == "fitted":
        say(_fit_thresholds(served.folder, classifier.classes, validation))
    if warning := _one_answer(served.folder, validation, fitted.learning_rate):
        say(warning)
    trained = TrainedModel(
        folder=folder, served=served, device=device, rows=len(train.labels), plot=fitted.plot,
        validation_rows=len(validation.labels), steps=fitted.steps,
        learning_rate=fitted.learning_rate, metrics=fitted.metrics | found, parts=parts,
    )  # fmt: skip
    write_atomically(manifest, trained.model_dump_json(indent=1))
    checkpoints.clear(kept)
    return trained


def _fit_thresholds(folder: Path, classes: tuple[str, ...], held_out: Rows) -> str:
    """Serve each label from a probability that was fitted on held-out rows, and say so."""
    probabilities = Predictor().load(folder).probabilities(held_out.texts)
    found = label_thresholds.fit(held_out.labels, probabilities).round(4).tolist()
    add_settings(folder, thresholds=dict(zip(classes, found, strict=True)))
    return (
        f"labels are predicted from probabilities of {min(found):.2f} to {max(found):.2f} on, by "
        f"{len(held_out.texts):,} held-out rows"
    )


def _one_answer(folder: Path, rows: Rows, rate: float) -> str:
    """A warning if what is served answers the same for all held-out rows; empty if it does not."""
    if len(rows.texts) < _ENOUGH or len(np.unique(rows.labels, axis=0)) < 2:
        return ""
    predictor = Predictor().load(folder)
    answers: set[str] = set()
    for start in range(0, len(rows.texts), _ASKED):
        answers |= set(predictor.answers(rows.texts[start : start + _ASKED])["label"])
        if len(answers) > 1:
            return ""
    return (
        f"warning: the model answers {answers.pop()!r} for all {len(rows.texts):,} held-out rows, "
        "though their labels differ: it may have learned nothing. Give it more rows or "
        f"training.epochs, a higher training.learning_rate than {rate:.2g}, or another "
        "training.model"
    )


def served_folder(predictor: Path) -> Path:
    """Where what is served of a ktrain predictor goes; MLflow keeps the folder's own name."""
    return predictor.parent / "served" / "predictor"


class _Fitted(NamedTuple):
    predictor: Any
    learning_rate: float
    plot: Path | None
    steps: int
    metrics: dict[str, float]

    def exact(self, folder: Path) -> Any:
        """The model in float32: as it was saved in `folder`, if it was trained in less."""
        if self.predictor.model.compute_dtype == "float32":
            return self.predictor.model
        import ktrain

        return ktrain.load_predictor(str(folder)).model


def _fit(
    classifier: Classifier,
    train: Rows,
    validation: Rows,
    saved: Checkpoints,
    on_step: Callable[[Progress], None],
    say: Callable[[str], None],
    parts: int = 1,
) -> _Fitted:
    """Build the model and train it, each batch in so many parts."""
    import tensorflow as tf

    from incumbent.classifiers import losses
    from incumbent.training import gradient_accumulation

    config = classifier.training
    classifier.prepare(train, validation)
    tf.keras.utils.set_random_seed(config.seed)
    with ktrain_import.uninterrupted(), devices.chosen(config) as strategy:
        built = classifier.build(train, validation)
        if (weights := classifier.class_weights(train.labels)) is not None:
            loss = losses.weighted(weights, built.loss, multilabel=classifier.multilabel)
            built = replace(built, loss=loss, saved_loss=built.loss)
        random_state.seed(built.model, config.seed)
        compile_model(built, config)
    noticed = gradient_accumulation.noticed(classifier, strategy.num_replicas_in_sync, parts)
    with gradient_accumulation.in_parts(built.model, parts), noticed:
        return _run(built, config, len(train.labels), saved, on_step, say, parts)


def _run(
    built: Built,
    config: TrainingConfig,
    rows: int,
    saved: Checkpoints,
    on_step: Callable[[Progress], None],
    say: Callable[[str], None],
    parts: int,
) -> _Fitted:
    """Look for the learning rate if asked to, and run the schedule on so many training rows."""
    import ktrain

    from incumbent.training.resuming import Checkpointer

    rate, plot = config.learning_rate, None
    if rate == "auto":
        found = _find_rate(built, config, saved)
        rate = found.chosen
        plot = learning_rates(
            found.rates, found.losses, found.chosen,
            saved.folder.with_name("learning_rates.png"),
        )  # fmt: skip
        say(f"learning rate {rate:.2g}, found in {len(found.rates)} steps")
    learner = ktrain.get_learner(
        built.model, train_data=built.train, val_data=built.validation,
        batch_size=config.batch_size, eval_batch_size=math.ceil(config.batch_size / parts),
    )  # fmt: skip
    total = math.ceil(rows / config.batch_size) * int(config.epochs)
    reporter = step_reporter(total, on_step)
    checkpointer = Checkpointer(saved, reporter)
    if checkpointer.found:
        say(f"resuming at step {checkpointer.found.step} of {total}")
    _train(learner, config, float(rate), reporter, checkpointer)
    if built.saved_loss is not None:
        with devices.chosen(config):
            built.model.compile(
                loss=built.saved_loss, optimizer=built.model.optimizer, metrics=[built.accuracy]
            )
    return _Fitted(
        ktrain.get_predictor(learner.model, built.preprocessor, batch_size=config.batch_size),
        float(rate), plot, reporter.step, schedules.kept(reporter.epochs, config),
    )  # fmt: skip


def _find_rate(built: Built, config: TrainingConfig, saved: Checkpoints) -> FoundRate:
    """Look for the learning rate, unless that was done before; the model is as it was, after."""
    known = saved.noted("learning_rate")
    if known:
        return FoundRate(**known)
    states = random_state.states(built.model)
    found = learning_rate_finder.find(
        built.model, built.train, config.batch_size, config.lr_find_steps
    )
    with devices.chosen(config):
        compile_model(built, config)
    random_state.restore(built.model, states)
    saved.note("learning_rate", asdict(found))
    return found


def split(encoded: encoded_texts.Encoded, config: TrainingConfig) -> tuple[Rows, Rows]:
    """The rows that are trained on, and those that are held out of *train* to watch training."""
    whole = Rows(*encoded_texts.load(encoded.train))
    training, validation = encoded_texts.hold_out(
        whole.labels, config.validation_fraction, config.seed
    )
    return whole.take(training), whole.take(validation)


def compile_model(built: Built, config: TrainingConfig) -> None:
    """Give the model an optimizer of its own: ktrain's default is one object for all models.

    Half precision of the range of float16 needs its loss scaled (Micikevicius et al. 2018).
    """
    import tensorflow as tf

    optimizer = built.optimizer(global_clipnorm=config.clip_norm)
    if tf.keras.mixed_precision.global_policy().name == "mixed_float16":
        optimizer = tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
    built.model.compile(loss=built.loss, optimizer=optimizer, metrics=[built.accuracy])


def _train(
    learner: Any, config: TrainingConfig, rate: float, reporter: Any, checkpointer: Any
) -> None:
    """Run the schedule; the checkpointer learns which callbacks Keras is given in all."""
    run = learner.fit

    def fit(*arguments: Any, callbacks: list[Any], **options: Any) -> Any:
        checkpointer.others = callbacks  # to which ktrain has added, and may add, its own
        return run(*arguments, callbacks=callbacks, **options)

    learner.fit = fit
    try:
        schedules.run(learner, config, rate, [reporter, checkpointer])
    finally:
        checkpointer.hold.end()
