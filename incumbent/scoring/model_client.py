"""Ask a registered model for labels and probabilities; `model_process` answers."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from incumbent.errors import RegistryError, StageError
from incumbent.runtime.child_processes import Ahead
from incumbent.scoring import model_process
from incumbent.tracking.registry_reads import Version
from incumbent.tracking.registry_writes import Registry

_TIMED = 128  # texts whose prediction is timed, at most


class Answers(NamedTuple):
    """What a registered model answered, and what it took.

    `frame` has the columns `label` and `probability_<class>`, one row a text; `seconds_per_row` is
    that of the last texts, without loading; `megabytes` are those of the predictor's files;
    `thresholds` are the probabilities from which on it predicts each of several labels. `earlier`
    says that it had answered the same texts before, and was not asked again.
    """

    frame: pd.DataFrame
    seconds_per_row: float | None
    megabytes: float
    thresholds: dict[str, float]
    earlier: bool = False


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

    Its files must be those that were registered: see `model_integrity`.

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
    earlier = not fresh and answer.is_file()
    if not earlier:
        question = answer.with_suffix(f".texts.{os.getpid()}")
        partial = answer.with_suffix(f".partial.{os.getpid()}")
        pd.DataFrame({"text": texts}).to_parquet(question)
        request = model_process.Request(
            tracking_uri=registry.uri, model_uri=version.uri, texts=question, answers=partial,
            model_digest=version.model_digest, predictor_digest=version.predictor_digest,
            timed=min(timed, _TIMED),
        )  # fmt: skip
        try:
            code, errors = _ask(request)
            if code < 0:
                raise StageError(
                    f"Version {version.version} of {version.name} was killed by signal "
                    f"{-code} while it answered: was there too little memory? Run again."
                )
            if code:
                lines = errors.strip().splitlines() or [f"exit code {code}"]
                raise RegistryError(
                    f"Version {version.version} of {version.name} does not answer: {lines[-1]}"
                )
            partial.replace(answer)
        finally:
            question.unlink(missing_ok=True)
    frame = pd.read_parquet(answer)
    kept = frame.attrs
    return Answers(
        frame, kept["seconds_per_row"], kept["megabytes"], kept.get("thresholds", {}), earlier
    )  # fmt: skip


_processes = Ahead(model_process.__name__)


def ahead() -> contextlib.AbstractContextManager[None]:
    """Within this context, `expect` may start a process ahead; if none asks it, it ends here."""
    return _processes.allowed()


def expect() -> None:
    """Start the process for the next `score` within `ahead`: its imports take seconds."""
    _processes.expect()


def _ask(request: model_process.Request) -> tuple[int, str]:
    """The exit code of answering, and what was written to standard error."""
    with _processes.taken() as process:
        process.ask(request)
        return process.process.wait(), process.errors()


@dataclass(frozen=True)
class Model:
    """A registered model, loaded into this process as consumers load it.

    `text_columns` are the columns of texts, most often one, in the data that it was trained on.
    """

    text_columns: tuple[str, ...]
    predict: Callable[[list[str]], pd.DataFrame]
    """Texts (n,) to n rows: `label`, and `probability_<class>` for each class."""


@contextlib.contextmanager
def opened(version: Version) -> Iterator[Model]:
    """Load a version's files as they were registered; they are there while the context lasts.

    Raises:
        RegistryError: if it cannot be loaded, or is not what was registered.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    from incumbent.tracking import model_integrity

    with contextlib.ExitStack() as files:
        try:
            folder = files.enter_context(
                model_integrity.copied(version.uri, version.model_digest, version.predictor_digest)
            )
            model = mlflow.pyfunc.load_model(str(folder))
        except (MlflowException, OSError, RegistryError) as error:
            raise RegistryError(
                f"Version {version.version} of {version.name} cannot be loaded: {error}. Give the "
                "title to another (`incumbent rollback`), or restore its files."
            ) from error
        # What an earlier release registered does not say its column.
        column = getattr(model.unwrap_python_model(), "text_column", "text")
        columns = (column,) if isinstance(column, str) else tuple(column)
        yield Model(columns, model.predict)


def predict(version: Version, texts: list[str]) -> list[dict[str, Any]]:
    """Predict a few texts in this process: for each its `label` and `probabilities` by class.

    Raises:
        RegistryError: if the version cannot be loaded, or is not what was registered.
    """
    with opened(version) as model:
        answers = model.predict(texts)
    labels = answers.pop("label")
    answers.columns = [str(name).removeprefix("probability_") for name in answers.columns]
    return [
        {"label": label, "probabilities": probabilities}
        for label, probabilities in zip(labels, answers.to_dict("records"), strict=True)
    ]
