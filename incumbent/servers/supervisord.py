"""supervisord, which keeps processes running: started, found again, and ended.

Each process carries a mark in its environment, which its children inherit: the folder that it
belongs to, and which part it is. So a process is known by what it is and not by a number in a
file, which another may have by now, and whoever lost its parent is found as well.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from incumbent.errors import StageError

FOLDER_MARK = "INCUMBENT_UP"
"""The variable that marks a process with its folder."""
_PART_MARK = "INCUMBENT_UP_PART"
_CONFIG = "supervisord.conf"
_LOG_SIZE = "10MB"
_LOGS = 3  # rotated logs that are kept of each part
_TERM_SECONDS = 20  # that a part has to end in good order
_FOR_EVER = 1_000_000  # tries: a year has nights on which a server is away for long


class Process(BaseModel):
    """A process of a folder; `part` is empty for the supervisor itself."""

    model_config = ConfigDict(frozen=True)

    pid: int
    parent: int
    part: str


def start(
    folder: Path, parts: Mapping[str, Sequence[str]], environment: Mapping[str, str], root: Path
) -> None:
    """Start supervisord, which starts the parts in their order and again whenever one ends.

    Args:
        folder: For its configuration and all logs; marks the processes.
        parts: The command of each part.
        environment: Of all parts.
        root: Their working directory.

    Raises:
        StageError: if supervisord refuses.
    """
    lines = [
        "[supervisord]", f"directory = {_escaped(str(root))}",
        f"logfile = {_escaped(str(folder / 'supervisor.log'))}", f"logfile_maxbytes = {_LOG_SIZE}",
        f"logfile_backups = {_LOGS}", f"pidfile = {_escaped(str(folder / 'supervisor.pid'))}",
        *(["user = root"] if os.getuid() == 0 else []),
    ]  # fmt: skip
    for number, (part, command) in enumerate(parts.items()):
        lines += [
            f"[program:{part}]", f"command = {_escaped(shlex.join(command))}",
            f"environment = {_PART_MARK}={part}", f"priority = {number}",
            f"stdout_logfile = {_escaped(str(folder / f'{part}.log'))}", "redirect_stderr = true",
            f"stdout_logfile_maxbytes = {_LOG_SIZE}", f"stdout_logfile_backups = {_LOGS}",
            "autorestart = true", f"startretries = {_FOR_EVER}", "startsecs = 5",
            f"stopwaitsecs = {_TERM_SECONDS}", "stopasgroup = true", "killasgroup = true",
        ]  # fmt: skip
    config = folder / _CONFIG
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run(  # noqa: S603  a fixed command
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
        env={**environment, FOLDER_MARK: str(folder)}, check=False, capture_output=True, text=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise StageError(
            f"supervisord could not start ({said[-1] if said else f'exit {done.returncode}'}); its "
            f"configuration is {config}."
        )


def processes(folder: Path) -> list[Process]:
    """All processes that bear the mark of a folder and have not ended."""
    return [
        found
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (found := _process(int(entry.name), folder)) is not None
    ]


def supervisor(folder: Path) -> Process | None:
    """The supervisor of a folder, if it runs."""
    return _head(processes(folder))


def main_processes(folder: Path) -> dict[str, Process]:
    """The process that the supervisor started for each part, of those that run."""
    found = processes(folder)
    head = _head(found)
    return {p.part: p for p in found if head is not None and p.part and p.parent == head.pid}


def orphans(folder: Path) -> list[Process]:
    """The processes whose parent is gone: what a killed one left."""
    found = processes(folder)
    known = {process.pid for process in found}
    return [process for process in found if process.part and process.parent not in known]


def end(ended: Iterable[Process], folder: Path, seconds: float) -> None:
    """End processes: SIGTERM, and SIGKILL for those that are there after so many seconds.

    None is signalled that is no longer the one it was.
    """
    handles: dict[int, Process] = {}
    try:
        for process in ended:
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(process.pid)
                # The handle is of whoever has the number now.
                if _process(process.pid, folder) == process:
                    handles[handle] = process
                else:
                    os.close(handle)
        for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, seconds)):
            for handle in handles:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
            limit = time.monotonic() + patience
            while time.monotonic() < limit:
                if not any(_process(p.pid, folder) == p for p in handles.values()):
                    return
                time.sleep(0.1)
    finally:
        for handle in handles:
            os.close(handle)


def _head(found: Sequence[Process]) -> Process | None:
    """The supervisor among processes; what it forks bears no part's mark for a moment either."""
    unmarked = {process.pid for process in found if not process.part}
    return next((p for p in found if p.pid in unmarked and p.parent not in unmarked), None)


def _process(pid: int, folder: Path) -> Process | None:
    """A process, if it bears the mark of a folder and has not ended."""
    place = Path("/proc") / str(pid)
    try:
        # A process that has ended and is not waited for yet (a zombie) has an empty environment.
        pairs = (place / "environ").read_bytes().split(b"\0")
        status = (place / "status").read_text(errors="replace")
    except OSError:  # it ended, or is another user's
        return None
    marks = dict(pair.partition(b"=")[::2] for pair in pairs if pair.startswith(b"INCUMBENT_UP"))
    if marks.get(FOLDER_MARK.encode()) != os.fsencode(folder):
        return None
    parent = int(status.partition("\nPPid:")[2].split()[0])
    return Process(pid=pid, parent=parent, part=marks.get(_PART_MARK.encode(), b"").decode())


def _escaped(text: str) -> str:
    """As supervisord's configuration wants it."""
    return text.replace("%", "%%")
