"""Malformed files of many formats are read, or refused by name, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from incumbent.config import DataConfig
from incumbent.errors import DataError
from incumbent.tables import training_files
from tests.faults import corpus


@pytest.mark.slow
def test_newer_formats_are_read_or_refused_by_name(tmp_path: Path) -> None:
    config, faults, good = DataConfig(), [], 0
    for name, data in corpus.newer(0, 2):
        path = str(corpus.put(tmp_path, name, data))
        try:
            for frame in training_files.parts(training_files.expand(path), config):
                good += len(frame)
        except DataError as error:
            if name not in str(error):
                faults.append(f"{name}: the message does not name it: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            faults.append(f"{name}: {type(error).__name__}: {error}")
    assert faults == []
    assert good > 10 * len(corpus.ROWS)
