"""Have a model trained by `trainer_process`, so that this process never loads TensorFlow."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from incumbent import errors
from incumbent.classifiers.classifier_base import Classifier
from incumbent.config import ServingConfig
from incumbent.encoders import encoded_texts
from incumbent.errors import MemoryExhausted, StageError
from incumbent.runtime.child_processes import Ahead, Process
from incumbent.training import checkpoints, trainer_process
from incumbent.training.callbacks import Progress
from incumbent.training.fitting import TrainedModel, finished

_PATIENCE = 15.0  # seconds that an interrupted training has to save its step and end
_TAIL = 5  # last lines of standard error that are shown when it ended without a word

_LESS = (
    "Set preprocessing.max_length lower, training.freeze_embeddings to true or, on a GPU, "
    "training.precision to mixed_float16; or end what else uses the memory."
)

_processes = Ahead(trainer_process.__name__, talks=True)


def ahead() -> contextlib.AbstractContextManager[None]:
    """Within this context, `expect` may start a process ahead; if none asks it, it ends here."""
    return _processes.allowed()


def expect() -> None:
    """Start the process for the next `fit` within `ahead`: TensorFlow takes long to import."""
    _processes.expect()


def fit(
    classifier: Classifier,
    encoded: encoded_texts.Encoded,
    folder: Path,
    text_column: str | tuple[str, ...],
    serving: ServingConfig,
    on_step: Callable[[Progress], None],
    say: Callable[[str], None],
) -> TrainedModel:
    """As `fitting.fit`, in a process of its own.

    Where memory runs out, another process goes on from the last checkpoint with each batch in twice
    as many parts, so that updates and schedule stay as they were. An interrupt is passed on, and
    waited for: it saves the step that is running.

    Raises:
        IncumbentError: as `fitting.fit` does.
        StageError: if it fails for another reason, or the process is killed.
    """
    if known := finished(folder):
        checkpoints.clear(folder.with_name("checkpoints"))
        return known
    request = trainer_process.Request(
        training=classifier.training, preprocessing=classifier.preprocessing,
        workdir=classifier.workdir, encoded=encoded, folder=folder, text_column=text_column,
        serving=serving,
    )  # fmt: skip
    while True:
        try:
            return _attempt(request, on_step, say)
        except MemoryExhausted as error:
            if error.rows == 1:
                raise StageError(f"{error} {_LESS}") from error
            request = request.model_copy(update={"parts": 2 * error.parts})
            say(f"{error} Going on with each batch in {request.parts} parts, one after the other.")


def _attempt(
    request: trainer_process.Request,
    on_step: Callable[[Progress], None],
    say: Callable[[str], None],
) -> TrainedModel:
    step = ""

    def told(progress: Progress) -> None:
        nonlocal step
        step = f"after step {progress.step} of {progress.total}"
        on_step(progress)

    with _processes.taken() as process:
        process.ask(request)
        try:
            for line in process.said:
                kind, content = json.loads(line)
                if kind == "trained":
                    return TrainedModel.model_validate(content)
                _heed(kind, content, told, say)
        except BaseException:  # an interrupt, a time limit, a store that does not answer
            if step:
                _stop(process)
            raise  # before the first step there is nothing to save
        raise _death(process, step or "before its first step")


def _heed(
    kind: str, content: Any, on_step: Callable[[Progress], None], say: Callable[[str], None]
) -> None:
    """Pass on what the process told of, be it an error."""
    if kind == "progress":
        on_step(Progress(**content))
    elif kind == "said":
        say(content)
    elif kind == "exhausted":
        raise MemoryExhausted(**content)
    elif kind == "refused":
        name, message = content
        raise getattr(errors, name)(message)
    else:
        said, trace = content
        say(trace)
        raise StageError(
            f"Training failed: {said}\nThis is not a mistake of yours that incumbent knows; the "
            "log of the run has the traceback."
        )


def _stop(process: Process) -> None:
    """Interrupt it, and wait until it has saved what it was at."""
    impatience = threading.Timer(_PATIENCE, process.process.kill)
    impatience.start()
    try:
        process.process.send_signal(signal.SIGINT)
        for _ in process.said:  # to its end; a full pipe would hold it up
            pass
    finally:
        impatience.cancel()


def _death(process: Process, step: str) -> StageError:
    """Why it ended without a word."""
    code = process.process.wait()
    if code == -signal.SIGKILL:
        return StageError(
            f"The training process was killed (SIGKILL) {step}: the system does that when memory "
            "runs out. Run the same again, and it resumes at the last checkpoint. If it is killed "
            "again, set training.batch_size or preprocessing.max_length lower, or end what else "
            "uses the memory."
        )
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    lines = process.errors().strip().splitlines()[-_TAIL:]
    return StageError(
        f"The training process {how} {step}. Run the same again, and it resumes at the last "
        f"checkpoint. Its last words:\n{chr(10).join(lines) or '(none)'}"
    )
