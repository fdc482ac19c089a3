"""The process that trains one model; it can be started ahead.

A process gives all GPU memory back when it ends, however it ends. This one makes its imports,
TensorFlow's above all, before it reads its one request, a line of JSON, from standard input. How
training goes, and what came of it, are lines of JSON on standard output, each a kind and a content;
whatever libraries print goes to standard error. It ends when its input does, and so with whoever
started it. At SIGINT it stops in good order.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from incumbent.classifiers import catalogue
from incumbent.config import PreprocessingConfig, ServingConfig, TrainingConfig
from incumbent.encoders.encoded_texts import Encoded
from incumbent.errors import IncumbentError, MemoryExhausted, StageError
from incumbent.kernels import ktrain_import
from incumbent.runtime import child_processes, environment, failure_explanations, interrupts
from incumbent.training.callbacks import Progress

_INTERRUPTED = 130


class Request(BaseModel):
    """What to train, on what, and where it goes: the arguments of `create` and of `fit`."""

    model_config = ConfigDict(frozen=True)

    training: TrainingConfig
    preprocessing: PreprocessingConfig
    workdir: Path
    encoded: Encoded
    folder: Path
    text_column: str | tuple[str, ...]
    serving: ServingConfig
    parts: int = 1


class _Messages:
    """Writes lines of JSON where standard output was, which now is standard error."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def send(self, kind: str, content: Any) -> None:
        self._file.write(json.dumps([kind, content]) + "\n")
        self._file.flush()

    def say(self, line: str) -> None:
        self.send("said", line)

    def on_step(self, progress: Progress) -> None:
        self.send("progress", asdict(progress))


def train(request: Request, messages: _Messages) -> None:
    """Train, and tell what came of it: a `TrainedModel`, or an error."""
    from incumbent.training import fitting

    try:
        classifier = catalogue.create(
            request.training, request.preprocessing, request.encoded.classes, request.workdir,
            multilabel=request.encoded.multilabel,
        )  # fmt: skip
        trained = fitting.fit(
            classifier, request.encoded, request.folder, request.text_column, request.serving,
            messages.on_step, messages.say, request.parts,
        )  # fmt: skip
    except MemoryExhausted as error:
        messages.send("exhausted", {"message": str(error), **vars(error)})
    except IncumbentError as error:
        messages.send("refused", [type(error).__name__, str(error)])
    except Exception as error:  # noqa: BLE001  the parent raises it
        if known := failure_explanations.of_disk(error):
            messages.send("refused", [StageError.__name__, known])
        else:
            said = f"{type(error).__name__}: {error}"
            messages.send("failed", [said, traceback.format_exc()])
    else:
        messages.send("trained", trained.model_dump(mode="json"))


def _main() -> None:
    messages = _Messages()
    requests = child_processes.listen()
    interrupts.listen()
    # The parent interrupts this process by SIGINT, though it may itself ignore that and have handed
    # it down (`nohup`, a shell's background).
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        environment.prepare()
        environment.quiet()
        with environment.importing():
            ktrain_import.load()
        train(Request.model_validate_json(requests.get()), messages)
    except KeyboardInterrupt:
        interrupts.ignore()
        sys.exit(_INTERRUPTED)
    finally:
        gc.freeze()  # the end of Python would look through all objects, while a flow waits for it


if __name__ == "__main__":
    _main()
