"""`create` gives the classifier that a config names.

Importing this module is cheap, and so is `create`: TensorFlow is loaded when a model is built, as
texts are tokenized without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from incumbent.config import PreprocessingConfig, TrainingConfig
from incumbent.runtime import environment

if TYPE_CHECKING:
    from incumbent.classifiers.classifier_base import Classifier


def create(
    training: TrainingConfig,
    preprocessing: PreprocessingConfig,
    classes: tuple[str, ...],
    workdir: Path,
    *,
    multilabel: bool = False,
) -> Classifier:
    """Return the classifier that `training.model` names.

    Args:
        training: The model and how it is trained.
        preprocessing: How text becomes its input.
        classes: What it tells apart, sorted.
        workdir: Where converted weights are kept.
        multilabel: Whether a text may have any of the classes.

    Raises:
        ConfigError: if its weights cannot be had.
    """
    if "auto" in (training.model, training.epochs):
        raise ValueError("training.model and training.epochs are to be chosen first: see `choice`")
    environment.prepare()
    if training.model in ("nbsvm", "logreg"):
        from incumbent.classifiers.nbsvm import NbsvmClassifier

        return NbsvmClassifier(training, preprocessing, classes, workdir, multilabel)
    if training.model == "fasttext":
        from incumbent.classifiers.fasttext import FastTextClassifier

        return FastTextClassifier(training, preprocessing, classes, workdir, multilabel)
    if training.model == "bert":
        from incumbent.classifiers.keras_bert import BertClassifier

        return BertClassifier(training, preprocessing, classes, workdir, multilabel)
    if training.model == "features":
        from incumbent.classifiers.features import FeaturesClassifier

        return FeaturesClassifier(training, preprocessing, classes, workdir, multilabel)
    if training.model == "blend":
        from incumbent.classifiers.blend import BlendClassifier

        return BlendClassifier(training, preprocessing, classes, workdir, multilabel)
    from incumbent.classifiers.transformer import TransformerClassifier

    return TransformerClassifier(training, preprocessing, classes, workdir, multilabel)
