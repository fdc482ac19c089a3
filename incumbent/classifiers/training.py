"""Train a classifier with ktrain's learner, and save the predictor as ktrain does."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from incumbent import encoding, predictor
from incumbent.classifiers import devices, finder, libraries
from incumbent.classifiers.base import Built, Classifier, Rows
from incumbent.classifiers.callbacks import Progress, step_reporter
from incumbent.config import TrainingConfig
from incumbent.plots import learning_rates


class TrainedModel(BaseModel):
    """A trained classifier: the saved ktrain predictor, and how it came about.

    `steps` are those taken; `learning_rate` is the peak rate used; `metrics` are those of the
    epoch whose weights were kept; `plot` is the learning-rate finder's curve, if it ran.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    device: str
    rows: int
    validation_rows: int
    steps: int
    learning_rate: float
    metrics: dict[str, float]
    plot: Path | None = None


def fit(
    classifier: Classifier,
    encoded: encoding.Encoded,
    folder: Path,
    text_column: str,
    on_step: Callable[[Progress], None],
    say: Callable[[str], None],
) -> TrainedModel:
    """Fine-tune on the training rows, and save a ktrain predictor into `folder`.

    Some rows are held out of train, stratified, to watch the training; the test split is not
    read. A finished `folder` is taken as it is: nothing is trained twice.

    Args:
        classifier: What to train.
        encoded: The encoded dataset.
        folder: Where the predictor goes.
        text_column: The name that consumers' frames give the text.
        on_step: Told how training goes, now and then.
        say: Told the device, and the learning rate if it was looked for.

    Raises:
        TrainingDiverged: if the loss is not finite; the learning rate is named.
    """
    manifest = folder.with_name("trained.json")
    if manifest.is_file() and folder.is_dir():
        found = TrainedModel.model_validate_json(manifest.read_text(encoding="utf-8"))
        plot = manifest.with_name(found.plot.name) if found.plot else None
        return found.model_copy(update={"folder": folder, "plot": plot})
    folder.parent.mkdir(parents=True, exist_ok=True)
    device = devices.prepare()
    say(device)
    train, validation = _rows(encoded, classifier.training)
    with libraries.quiet(), libraries.scratch():
        fitted = _fit(classifier, train, validation, folder.parent, on_step, say)
        fitted.predictor.save(str(folder))
    classifier.complete(folder)
    predictor.save_settings(
        folder,
        classes=classifier.classes,
        text_column=text_column,
        truncation=classifier.preprocessing.truncation,
        max_length=classifier.preprocessing.max_length,
        batch_size=classifier.training.batch_size,
    )
    trained = TrainedModel(
        folder=folder, device=device, rows=len(train.labels), plot=fitted.plot,
        validation_rows=len(validation.labels), steps=fitted.steps,
        learning_rate=fitted.learning_rate, metrics=fitted.metrics,
    )  # fmt: skip
    encoding.write_atomically(manifest, trained.model_dump_json(indent=1))
    return trained


class _Fitted(NamedTuple):
    predictor: Any
    learning_rate: float
    plot: Path | None
    steps: int
    metrics: dict[str, float]


def _fit(
    classifier: Classifier,
    train: Rows,
    validation: Rows,
    folder: Path,
    on_step: Callable[[Progress], None],
    say: Callable[[str], None],
) -> _Fitted:
    """Build the model, look for the learning rate if asked to, and run the schedule."""
    import ktrain
    import tensorflow as tf

    config = classifier.training
    tf.keras.utils.set_random_seed(config.seed)
    with libraries.uninterrupted():
        built = classifier.build(train, validation)
        _compile(built)
    rate, plot = config.learning_rate, None
    if rate == "auto":
        found = finder.find(built.model, built.train, config.batch_size, config.lr_find_steps)
        _compile(built)
        rate = found.chosen
        plot = learning_rates(
            found.rates, found.losses, found.chosen, folder / "learning_rates.png"
        )
        say(f"learning rate {rate:.2g}, found in {len(found.rates)} steps")
    learner = ktrain.get_learner(
        built.model, train_data=built.train, val_data=built.validation,
        batch_size=config.batch_size, eval_batch_size=config.batch_size,
    )  # fmt: skip
    total = math.ceil(len(train.labels) / config.batch_size) * config.epochs
    reporter = step_reporter(total, on_step)
    _train(learner, config, float(rate), reporter)
    return _Fitted(
        ktrain.get_predictor(learner.model, built.preprocessor, batch_size=config.batch_size),
        float(rate), plot, reporter.step, _kept(reporter.epochs, config.schedule),
    )  # fmt: skip


def _rows(encoded: encoding.Encoded, config: TrainingConfig) -> tuple[Rows, Rows]:
    whole = Rows(*encoding.load(encoded.train))
    training, validation = encoding.hold_out(whole.labels, config.validation_fraction, config.seed)
    return whole.take(training), whole.take(validation)


def _compile(built: Built) -> None:
    """Give the model an optimizer of its own: ktrain's default is one object for all models."""
    import tensorflow as tf

    built.model.compile(
        loss=built.loss, optimizer=tf.keras.optimizers.legacy.Adam(), metrics=["accuracy"]
    )


def _kept(epochs: list[dict[str, float]], schedule: str) -> dict[str, float]:
    """The metrics of the epoch whose weights the model has after training.

    Keras's early stopping, on in `triangular` only, restores those of the best epoch.
    """
    if schedule == "triangular":
        return min(epochs, key=lambda metrics: metrics["validation_loss"])
    return epochs[-1]


def _train(learner: Any, config: TrainingConfig, rate: float, reporter: Any) -> None:
    """Run the schedule; see ktrain's `Learner` for what each does."""
    options = {"callbacks": [reporter], "verbose": 0}
    if config.schedule == "onecycle":
        learner.fit_onecycle(rate, config.epochs, **options)
    elif config.schedule == "triangular":
        learner.autofit(rate, config.epochs, early_stopping=config.early_stopping, **options)
    else:
        learner.fit(rate, config.epochs, cycle_len=1, **options)
