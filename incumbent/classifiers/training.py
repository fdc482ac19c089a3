"""Train a classifier with ktrain's learner, and save the predictor as ktrain does."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
        return TrainedModel.model_validate_json(manifest.read_text(encoding="utf-8"))
    config = classifier.training
    device = devices.prepare()
    say(device)
    train, validation = _rows(encoded, config)
    with libraries.quiet(), libraries.scratch():
        import ktrain
        import tensorflow as tf

        tf.keras.utils.set_random_seed(config.seed)
        built = classifier.build(train, validation)
        _compile(built)
        rate, plot = config.learning_rate, None
        if rate == "auto":
            found = _find(built, config)
            rate, plot = found.chosen, folder.parent / "learning_rates.png"
            folder.parent.mkdir(parents=True, exist_ok=True)
            learning_rates(found.rates, found.losses, found.chosen, plot)
            say(f"learning rate {rate:.2g}, found in {len(found.rates)} steps")
        learner = ktrain.get_learner(
            built.model, train_data=built.train, val_data=built.validation,
            batch_size=config.batch_size, eval_batch_size=config.batch_size,
        )  # fmt: skip
        steps = math.ceil(len(train.labels) / config.batch_size) * config.epochs
        reporter = step_reporter(steps, on_step)
        _train(learner, config, float(rate), reporter)
        ktrain.get_predictor(learner.model, built.preprocessor, batch_size=config.batch_size).save(
            str(folder)
        )
    classifier.complete(folder)
    predictor.save_settings(
        folder,
        classes=classifier.classes,
        text_column=text_column,
        truncation=classifier.preprocessing.truncation,
        max_length=classifier.preprocessing.max_length,
        batch_size=config.batch_size,
    )
    trained = TrainedModel(
        folder=folder, device=device, rows=len(train.labels), plot=plot,
        validation_rows=len(validation.labels), steps=reporter.step, learning_rate=float(rate),
        metrics=_kept(reporter.epochs, config.schedule),
    )  # fmt: skip
    encoding.write_atomically(manifest, trained.model_dump_json(indent=1))
    return trained


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


def _find(built: Built, config: TrainingConfig) -> finder.FoundRate:
    found = finder.find(built.model, built.train, config.batch_size, config.lr_find_steps)
    _compile(built)
    return found


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
