"""Stands in for the training process: does what STANDIN says, and imports no TensorFlow."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from incumbent.errors import MemoryExhausted, TrainingDiverged
from incumbent.training import trainer_process
from incumbent.training.callbacks import Progress


def fit(*arguments: Any) -> None:
    *_, on_step, say, parts = arguments
    what = os.environ["STANDIN"]
    if what == "exhaust":
        raise MemoryExhausted(f"There is no memory for {16 // parts} rows.", 16 // parts, parts)
    say("on a CPU")
    on_step(Progress(3, 9, 1, {"train_loss": 0.5}))
    if what == "diverge":
        raise TrainingDiverged("The loss is nan.")
    if what == "be killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "crash":
        sys.stderr.write("CUDA is lost\n")
        sys.stderr.flush()
        os.abort()
    if what == "interrupt the parent":
        time.sleep(1)  # until it knows of the step
        os.kill(os.getpid(), signal.SIGTERM)  # which is not for this process
        try:
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(60)
        finally:
            Path(os.environ["STANDIN_SAVED"]).touch()
    sys.stdout.write(f"{1 / 0}")


if __name__ == "__main__":
    from incumbent.kernels import ktrain_import
    from incumbent.training import fitting

    ktrain_import.load = lambda: None
    fitting.fit = fit
    trainer_process._main()
