"""No library reports usage home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "loads",
    [
        "from incumbent.runtime import environment; environment.prepare(); import onnxruntime",
        "from incumbent import predictor\n"
        "try: predictor._session('none.onnx', 1)\n"
        "except Exception as error: assert 'NoSuchFile' in type(error).__name__",
    ],
)
def test_onnxruntime_keeps_no_identity(loads: str, tmp_path: Path) -> None:
    """Where it reports to its maker it keeps one, in the temporary folder."""
    known = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(
        [sys.executable, "-c", loads], env={**known, "TMPDIR": str(tmp_path)}, check=True
    )
    assert list(tmp_path.iterdir()) == []
