"""A worker that is killed in its first trial; run as `python -m tests.sweeps.killed URL`."""

from __future__ import annotations

import json
import os
import signal
import sys

from incumbent.sweeps.search_space import SearchSpace
from incumbent.sweeps.shared_study import Attempt, Result, SharedStudy
from tests.sweeps.spaces import SPACE


def killed(attempt: Attempt) -> Result:
    attempt.recorded_in(f"run {attempt.number}")
    sys.stdout.write(json.dumps(attempt.values))
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


if __name__ == "__main__":
    study = SharedStudy("sweep", sys.argv[1], SearchSpace.of(SPACE), 1)
    study.run(3, float("inf"), killed, print)
