"""The process that answers for a registered model, started before it is asked anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from incumbent.scoring import model_client

pytestmark = pytest.mark.slow


def _alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _children() -> set[int]:
    threads = Path("/proc/self/task").glob("*/children")
    return {int(pid) for thread in threads for pid in thread.read_text().split()}


def _gone(pids: set[int], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while any(map(_alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(_alive, pids))


def _until_imported(pid: int) -> None:
    """Wait until a process that answers has loaded the last of its libraries."""
    end = time.monotonic() + 120
    while "/tokenizers." not in Path(f"/proc/{pid}/maps").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_it_has_no_library_of_training_and_no_model() -> None:
    code = (
        "import sys\n"
        "from incumbent.scoring import model_process\n"
        "model_process._load_libraries()\n"
        "print(*sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(found.stdout.split())
    assert {"incumbent.scoring.model_process", "mlflow.pyfunc", "onnxruntime"} <= loaded
    assert not loaded & {"tensorflow", "ktrain", "prefect", "great_expectations"}
    assert not loaded & {"incumbent.predictor", "predictor"}


def test_unasked_it_does_not_outlive_its_context() -> None:
    before = _children()
    with model_client.ahead():
        model_client.expect()
        model_client.expect()
        waiting = _children() - before
        assert len(waiting) == 1
    assert not any(map(_alive, waiting))


def test_outside_of_the_context_none_is_started() -> None:
    before = _children()
    model_client.expect()
    assert _children() == before


@pytest.mark.parametrize("imported", [False, True])
def test_it_ends_with_whoever_started_it(imported: bool) -> None:
    """Killed as it makes its imports, and as it waits for what it is asked."""
    code = (
        "import time\n"
        "from pathlib import Path\n"
        "from incumbent.scoring import model_client\n"
        "with model_client.ahead():\n"
        "    model_client.expect()\n"
        "    print(Path('/proc/self/task').joinpath(str(__import__('os').getpid()),"
        " 'children').read_text(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    waiting = {int(pid) for pid in parent.stdout.readline().split()}
    assert waiting
    assert all(map(_alive, waiting))
    if imported:
        (pid,) = waiting
        _until_imported(pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert _gone(waiting, 10)
