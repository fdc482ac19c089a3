"""The process that loads a registered model and answers; it can be started ahead.

MLflow puts a model's code on `sys.path` and leaves modules that are imported already as they
are: two versions in one process would share the first one's code. So each is loaded alone, in a
process that has seen no other. Its imports take seconds, so it makes them before it reads its
one request, a line of JSON, from standard input. It ends when that input does, and so with whoever
started it, however that ended.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from incumbent.errors import RegistryError
from incumbent.runtime import child_processes, environment

if TYPE_CHECKING:
    import pandas as pd

# For minutes, with back-off: `environment` has none made again, as writes must not be; this reads.
_TRIES = "8"
_REPEATS = 3  # how often a prediction is timed
_TIMED = 256  # about as many texts; more would take longer and say the same


class Request(BaseModel):
    """Which model to ask, what, and where to put its answers.

    `texts` is a Parquet file with the column `text`; `answers` will be one with the columns `label`
    and `probability_<class>`. `model_digest` and `predictor_digest` are those of the registered
    files, if known; some of the last `timed` texts measure its speed.
    """

    model_config = ConfigDict(frozen=True)

    tracking_uri: str
    model_uri: str
    texts: Path
    answers: Path
    model_digest: str
    predictor_digest: str
    timed: int


def answer(request: Request) -> None:
    """Load the model as consumers do, and write its answers, speed and size."""
    import mlflow
    import pandas as pd

    from incumbent.tracking import model_integrity

    mlflow.set_tracking_uri(request.tracking_uri)
    digests = request.model_digest, request.predictor_digest
    with model_integrity.copied(request.model_uri, *digests) as folder:
        model = mlflow.pyfunc.load_model(str(folder))
        texts = pd.read_parquet(request.texts)
        frame = _answers(model, texts)
        frame.attrs["seconds_per_row"] = _latency(model, _some(texts.tail(request.timed)))
        predictor = folder / "artifacts" / "predictor"
        size = sum(file.stat().st_size for file in predictor.rglob("*") if file.is_file())
        frame.attrs["megabytes"] = size / 1e6
        frame.attrs["thresholds"] = _thresholds(predictor)
        frame.to_parquet(request.answers)


def _answers(model: Any, texts: pd.DataFrame) -> pd.DataFrame:
    """What it answers to all texts. Consumers get none to a blank one, which is measured, too."""
    frame: pd.DataFrame = model.predict(texts)
    blank = frame["label"].isna().to_numpy()
    if blank.any():
        answers = model.unwrap_python_model().answers(texts["text"][blank].tolist())
        frame.loc[blank] = answers.to_numpy()
    return frame


def _thresholds(predictor: Path) -> dict[str, float]:
    """The probability from which on each of several labels is predicted; empty for halves."""
    from incumbent.predictor import SETTINGS  # only now that the model's own code is loaded

    settings = predictor / SETTINGS
    if not settings.is_file():  # of a model that others registered
        return {}
    found: dict[str, float] = json.loads(settings.read_text(encoding="utf-8")).get("thresholds", {})
    return found


def _some(texts: pd.DataFrame) -> pd.DataFrame:
    """Every so many-th of the texts, so that long and short ones are among them as in all."""
    return texts.iloc[:: max(1, len(texts) // _TIMED)]


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


def _load_libraries() -> None:
    """Import what any request may need: MLflow with a local store, and what a model runs on."""
    import mlflow.pyfunc
    import mlflow.store.model_registry.sqlalchemy_store
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    import onnxruntime  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import tokenizers  # noqa: F401


def _main() -> None:
    requests = child_processes.listen()
    environment.prepare()
    environment.quiet()
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = _TRIES
    with environment.importing():
        _load_libraries()
    try:
        answer(Request.model_validate_json(requests.get()))
    except RegistryError as error:
        sys.exit(str(error))
    gc.freeze()  # the end of Python would look through all objects, while a flow waits for it


if __name__ == "__main__":
    _main()
