"""Score texts with a registered model, in a process of its own.

MLflow puts a model's code on `sys.path` and leaves modules that are imported already as they
are: two versions in one process would share the first one's code. So each is loaded alone.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from incumbent.errors import RegistryError
from incumbent.registry import Registry, Version


def score(registry: Registry, version: Version, texts: list[str], cache: Path) -> pd.DataFrame:
    """Predict texts through the version's own saved predictor.

    Args:
        registry: Where the version is.
        version: Whose predictor to use.
        texts: The texts, (n,).
        cache: Folder of earlier answers, by version and texts.

    Returns:
        What the pyfunc answers: `label`, and `probability_<class>` for each class; (n, 1 + k).

    Raises:
        RegistryError: if the version cannot be loaded or does not answer.
    """
    digest = hashlib.sha256(f"{registry.uri} {version.uri} {version.source}".encode())
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    cache.mkdir(parents=True, exist_ok=True)
    answer = cache / f"{digest.hexdigest()[:32]}.parquet"
    if not answer.is_file():
        question = answer.with_suffix(f".texts.{os.getpid()}")
        partial = answer.with_suffix(f".partial.{os.getpid()}")
        pd.DataFrame({"text": texts}).to_parquet(question)
        try:
            done = subprocess.run(  # noqa: S603  our own interpreter and module
                [sys.executable, "-m", __name__, registry.uri, version.uri, question, partial],
                check=False, capture_output=True, text=True,
            )  # fmt: skip
            if done.returncode:
                lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
                raise RegistryError(
                    f"Version {version.version} of {version.name} does not answer: {lines[-1]}"
                )
            partial.replace(answer)
        finally:
            question.unlink(missing_ok=True)
    return pd.read_parquet(answer)


def predict(version: Version, texts: list[str]) -> list[dict[str, Any]]:
    """Predict a few texts in this process: for each its `label` and `probabilities` by class.

    Raises:
        RegistryError: if the version cannot be loaded.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    from incumbent.classifiers import libraries

    libraries.load()
    try:
        answers = mlflow.pyfunc.load_model(version.uri).predict(texts)
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"Version {version.version} of {version.name} cannot be loaded: {error}"
        ) from error
    labels = answers.pop("label")
    answers.columns = [str(name).removeprefix("probability_") for name in answers.columns]
    return [
        {"label": label, "probabilities": probabilities}
        for label, probabilities in zip(labels, answers.to_dict("records"), strict=True)
    ]


def _main(tracking_uri: str, model_uri: str, question: str, answer: str) -> None:
    from incumbent import environment

    environment.prepare()
    environment.quiet()
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)
    model = mlflow.pyfunc.load_model(model_uri)
    model.predict(pd.read_parquet(question)).to_parquet(answer)


if __name__ == "__main__":
    _main(*sys.argv[1:])
