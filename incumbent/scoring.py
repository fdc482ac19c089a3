"""Score texts with a registered model, in a process of its own.

MLflow puts a model's code on `sys.path` and leaves modules that are imported already as they
are: two versions in one process would share the first one's code. So each is loaded alone.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from incumbent.classifiers.weights import folder_digest
from incumbent.errors import RegistryError, StageError
from incumbent.registry import Registry, Version

# Texts whose prediction is timed, at most, and how often.
_TIMED, _REPEATS = 128, 3


class Answers(NamedTuple):
    """What a registered model answered, and what it took.

    `frame` has the columns `label` and `probability_<class>`, one row a text; `seconds_per_row` is
    that of the last texts, without loading; `megabytes` are those of the predictor's files.
    """

    frame: pd.DataFrame
    seconds_per_row: float | None
    megabytes: float


def score(
    registry: Registry,
    version: Version,
    texts: list[str],
    workdir: Path,
    *,
    fresh: bool = False,
    timed: int = 0,
) -> Answers:
    """Predict texts through the version's own saved predictor.

    Its files must be those that were registered: see `Version.predictor_digest`.

    Args:
        registry: Where the version is.
        version: Whose predictor to use.
        texts: The texts, (n,).
        workdir: Under which earlier answers are kept, by model and texts.
        fresh: Ask again, whatever it answered earlier.
        timed: So many of the last texts may be used to measure its speed.

    Raises:
        RegistryError: if the version cannot be loaded, is not what was registered, or does not
            answer.
        StageError: if the process is killed.
    """
    digest = hashlib.sha256(f"{version.source} {version.predictor_digest}".encode())
    for text in texts:
        digest.update(hashlib.sha256(text.encode()).digest())
    cache = workdir / "scores"
    cache.mkdir(parents=True, exist_ok=True)
    answer = cache / f"{digest.hexdigest()[:32]}.parquet"
    if fresh or not answer.is_file():
        question = answer.with_suffix(f".texts.{os.getpid()}")
        partial = answer.with_suffix(f".partial.{os.getpid()}")
        pd.DataFrame({"text": texts}).to_parquet(question)
        expected = version.predictor_digest
        try:
            done = subprocess.run(  # noqa: S603  our own interpreter and module
                [
                    sys.executable, "-m", __name__, registry.uri, version.uri, question, partial,
                    expected, str(min(timed, _TIMED)),
                ],
                check=False, capture_output=True, text=True,
            )  # fmt: skip
            if done.returncode < 0:
                raise StageError(
                    f"Version {version.version} of {version.name} was killed by signal "
                    f"{-done.returncode} while it answered: was there too little memory? Run again."
                )
            if done.returncode:
                lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
                raise RegistryError(
                    f"Version {version.version} of {version.name} does not answer: {lines[-1]}"
                )
            partial.replace(answer)
        finally:
            question.unlink(missing_ok=True)
    frame = pd.read_parquet(answer)
    return Answers(frame, frame.attrs["seconds_per_row"], frame.attrs["megabytes"])


def predict(version: Version, texts: list[str]) -> list[dict[str, Any]]:
    """Predict a few texts in this process: for each its `label` and `probabilities` by class.

    Raises:
        RegistryError: if the version cannot be loaded.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

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


def _latency(model: Any, texts: pd.DataFrame) -> float | None:
    """Seconds a row, if there are any: the best of a few, as other work can only add to it."""
    if texts.empty:
        return None
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        model.predict(texts)
        seconds.append(time.perf_counter() - start)
    return min(seconds) / len(texts)


def _main(
    tracking_uri: str, model_uri: str, question: str, answer: str, expected: str, timed: str
) -> None:
    from incumbent import environment

    environment.prepare()
    environment.quiet()
    import mlflow

    mlflow.set_tracking_uri(tracking_uri)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(mlflow.artifacts.download_artifacts(model_uri, dst_path=place))
        predictor = folder / "artifacts" / "predictor"
        if expected and folder_digest(predictor) != expected:  # before anything is loaded
            sys.exit("its files are not those that were registered")
        model = mlflow.pyfunc.load_model(str(folder))
        texts = pd.read_parquet(question)
        frame = model.predict(texts)
        frame.attrs["seconds_per_row"] = _latency(model, texts.tail(int(timed)))
        size = sum(file.stat().st_size for file in predictor.rglob("*") if file.is_file())
        frame.attrs["megabytes"] = size / 1e6
        frame.to_parquet(answer)


if __name__ == "__main__":
    _main(*sys.argv[1:])
