"""The process that unpickles a predictor has no network, and so much memory and time."""

from __future__ import annotations

import os
import pickle
import socket
from pathlib import Path
from typing import Any

import pytest

from incumbent.config import ImportingConfig, ServingConfig
from incumbent.errors import StageError, StageTimedOut
from incumbent.importing import conversion_client, saved_predictor

pytestmark = pytest.mark.slow


class Runs:
    """Whoever unpickles it runs a program."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __reduce__(self) -> Any:
        return exec, (self.program,)


@pytest.mark.parametrize(
    ("program", "limits", "error", "part"),
    [
        ("import socket; socket.create_connection(('127.0.0.1', {port}), 5)", {}, StageError,
         "OSError: .*Network is unreachable"),
        ("rows = [bytearray(1 << 28) for _ in range(1000)]", {"memory_gib": 2}, StageError,
         r"takes more memory than importing.memory_gib allows \(2 GiB\)"),
        ("import time; time.sleep(600)", {"minutes": 0.05}, StageTimedOut,
         r"longer than importing.minutes allows \(0.05\)"),
        ("import os; os._exit(7)", {}, StageError,
         "ended with code 7 before it had exported it"),
    ],
    ids=["network", "memory", "time", "exit"],
)  # fmt: skip
def test_a_hostile_pickle_gets_neither_network_nor_memory_nor_time(
    tmp_path: Path, program: str, limits: dict[str, float], error: type[Exception], part: str
) -> None:
    folder = tmp_path / "predictor"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        hostile = Runs(program.replace("{port}", str(port)))
        (folder / saved_predictor.PICKLE).write_bytes(pickle.dumps(hostile))
        (folder / saved_predictor.MODEL).touch()
        saved = saved_predictor.take(saved_predictor.find(folder), tmp_path)
        said: list[str] = []
        with pytest.raises(error, match=part) as raised:
            conversion_client.convert(
                saved, ["a text"], tmp_path / "served" / "predictor", "text", ServingConfig(),
                ImportingConfig.model_validate(limits), said.append,
            )  # fmt: skip
        with pytest.raises(BlockingIOError):
            server.accept()
    assert "Traceback" not in str(raised.value)
    if os.getuid() == 0:
        assert said == []
