"""What a file system refuses is said in a line, wherever it comes up."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from incumbent.cli import main
from incumbent.runtime import failure_explanations


def _full() -> OSError:
    """As the system raises it."""
    with (
        Path("/dev/full").open("wb", buffering=0) as file,
        pytest.raises(OSError, match="space") as raised,
    ):
        file.write(b"a checkpoint")
    return raised.value


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "Free space"), (errno.EDQUOT, "quota"), (errno.EFBIG, "limit"),
        (errno.EROFS, "writable"), (errno.EIO, "failing"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_file_and_what_to_do(number: int, remedy: str) -> None:
    said = failure_explanations.of_disk(
        OSError(number, "whatever h5py puts here,\nin lines", "model.h5")
    )
    assert said is not None
    assert "model.h5" in said
    assert remedy in said
    assert "\n" not in said


def test_it_is_found_behind_a_library_s_own_error() -> None:
    wrapped = RuntimeError("cannot save the model")
    wrapped.__cause__ = _full()
    assert failure_explanations.of_disk(wrapped) == failure_explanations.of_disk(_full())


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "no"), ValueError("no")])
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert failure_explanations.of_disk(error) is None


def test_the_command_ends_as_of_a_failed_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main._failed(_full()) == 4
    said = capsys.readouterr().err
    assert said == "incumbent: No space left on device. Free space on its disk, and run again.\n"


def test_the_log_has_it_once_and_without_a_traceback() -> None:
    from tasks import show  # imports Prefect

    error = _full()
    records = [
        logging.LogRecord("prefect", 40, "", 0, "it failed", (), (type(error), error, None))
        for _ in range(2)
    ]
    assert [show._plain(record) for record in records] == [True, False]
    assert records[0].getMessage().startswith("No space left on device")
    assert records[0].exc_info is None
    assert "Traceback" not in logging.Formatter().format(records[0])
