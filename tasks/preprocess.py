"""Choose the model that the data wants, and turn texts into its input."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from incumbent.classifiers import catalogue, choice
from incumbent.config import Config
from incumbent.data.datasets import Dataset
from incumbent.encoders import encoded_texts
from incumbent.encoders.encoded_texts import Encoded
from tasks import show
from tasks.retry_policy import RETRIES


def choose(dataset: Dataset, config: Config) -> Config:
    """The config with a model and its epochs in place of `auto`; the log says why.

    Raises:
        ConfigError: if `training.class_weights` names labels that there are none of.
    """
    training, reason = choice.chosen(config.training, dataset)
    if reason:
        show.say("%s", reason)
    return config.model_copy(update={"training": training})


def encode(dataset: Dataset, config: Config) -> Encoded:
    """The texts of both splits as the model reads them.

    Raises:
        ConfigError: if the weights whose tokenizer is wanted cannot be had.
    """
    workdir = Path(config.tracking.workdir)
    classifier = catalogue.create(
        config.training, config.preprocessing, dataset.classes, workdir,
        multilabel=dataset.multilabel,
    )  # fmt: skip
    return encoded_texts.encode(
        dataset, classifier.tokenize, classifier.recipe, config.preprocessing.max_length, workdir
    )


@task(cache_policy=NO_CACHE, **RETRIES)
def preprocess(dataset: Dataset, config: Config) -> Encoded:
    """Tokenize both splits as ktrain does, unless that was done before.

    Raises:
        ConfigError: if the weights whose tokenizer is wanted cannot be had.
    """
    encoded = encode(dataset, config)
    splits = (("train", encoded.train), ("test", encoded.test))
    show.table(
        "tokens",
        [{"split": name, "rows": s.rows, **s.lengths.model_dump()} for name, s in splits],
        f"Token lengths; {config.preprocessing.max_length} are kept, from the "
        f"{config.preprocessing.truncation.replace('_', ' and ')}",
    )
    lengths = encoded.train.lengths
    show.say(
        "%s: %s tokens at the median, %s at 99 %%, %s of %s training rows cut to %s",
        "tokenized before" if encoded.cached else "tokenized",
        lengths.median, lengths.p99, f"{lengths.truncated:,}", f"{encoded.train.rows:,}",
        config.preprocessing.max_length,
    )  # fmt: skip
    return encoded
