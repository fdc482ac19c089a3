"""A process that has imported every library and runs the command in forks of itself.

Importing takes longer than most faults. Each fork is a process and a session of its own, killed by
the same signals; it runs the command's own entry point and ends as Python does. What it starts in
turn is forked, too: see `tests.warm`.

Read from standard input, a line each: a job as JSON, with `arguments` of the command (or `look`),
`folder`, `environment`, `files` (a path that `.out`, `.err`, `.pid` and `.end` are added to), and
`limit` (bytes that a file may have), `die_at` (see `cuts`) or null. `.end` holds the exit status
as `os.waitpid` gives it, and the most memory used, in KiB.
"""

from __future__ import annotations

import json
import os
import resource
import select
import sys
from pathlib import Path
from typing import Any

from tests import warm


def main() -> None:
    """Take jobs until standard input ends."""
    from incumbent.cli import main

    warm.load()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    jobs: dict[int, str] = {}
    waiting = b""
    while True:
        if select.select([0], [], [], 0.02)[0]:
            read = os.read(0, 1 << 16)
            if not read:
                return
            waiting += read
        while b"\n" in waiting:
            line, _, waiting = waiting.partition(b"\n")
            job = json.loads(line)
            child = os.fork()
            if child == 0:
                _become(job)
                main.main(job["arguments"]) if job["arguments"] else _look()
                return
            jobs[child] = job["files"]
            _write(f"{job['files']}.pid", str(child))
        while jobs:
            ended, status, used = os.wait4(-1, os.WNOHANG)
            if not ended:
                break
            if ended in jobs:  # a library's child may have been left to it, too
                _write(f"{jobs.pop(ended)}.end", f"{status} {used.ru_maxrss}")


def _write(path: str, text: str) -> None:
    draft = Path(f"{path}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _become(job: dict[str, Any]) -> None:
    """Take the place, the environment and the limits of a job."""
    os.setsid()
    os.chdir(job["folder"])
    warm.take(job["environment"])
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, kind in ((1, "out"), (2, "err")):
        file = os.open(f"{job['files']}.{kind}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, number)
    from incumbent.runtime import environment

    environment.prepare()
    if job["limit"] is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], job["limit"]))
    warm.help_children()
    if job["die_at"] is not None:
        from tests.faults.cuts import die_at

        die_at(job["die_at"])


def _look() -> None:
    from tests.faults.state import look

    sys.stdout.write(json.dumps(look()) + "\n")


if __name__ == "__main__":
    main()
