"""Runs two contenders by turns, and makes one row of the table of what they took.

A contender that needs a process of its own speaks JSON, one line a message: its settings come
first on standard input, it answers `{}` once it is ready, and then answers each request.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parent.parent

Answer = dict[str, Any]
Contender = Callable[[Answer], Answer]
"""From a request to an answer; `seconds` is what the round took."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: What is measured.
        peer: What it is measured against, or the unit of a figure that has no peer.
        ratio: How many times quicker than the peer; the figure itself if there is none.
        target: What the ratio should be, at least (a figure: at most); none if it is a report.
        met: Whether it is so.
        spread: Largest less smallest ratio of the rounds, over their median.
        ours: Median of incumbent's rounds, in `unit`.
        theirs: Median of the peer's.
        unit: Of `ours` and `theirs`.
        at_most: Whether the target is an upper bound.
        note: What else is to be known, such as what it was run on.
        sizes: Points (size, cost) of the rows that were measured at several sizes.
    """

    name: str
    peer: str
    ratio: float
    target: float | None
    met: bool
    spread: float
    ours: float | None = None
    theirs: float | None = None
    unit: str = "s"
    at_most: bool = False
    note: str = ""
    sizes: list[tuple[float, float]] = field(default_factory=list)

    def as_json(self) -> Answer:
        """The row as it is written, figures rounded to four digits."""
        return {key: _rounded(value) for key, value in asdict(self).items()}


def versus(
    name: str, peer: str, ours: Sequence[float], theirs: Sequence[float], target: float | None,
    **more: Any,
) -> Row:  # fmt: skip
    """Make a row of paired rounds' seconds: each pair was run one after the other.

    The ratio is the median of the pairs' ratios, as a slow minute of the machine hits a pair.
    """
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    ratio = statistics.median(ratios)
    return Row(
        name, peer, ratio, target, target is None or ratio >= target,
        (max(ratios) - min(ratios)) / ratio,
        ours=statistics.median(ours), theirs=statistics.median(theirs), **more,
    )  # fmt: skip


def figure(
    name: str, unit: str, values: Sequence[float], target: float | None, *, at_most: bool = True,
    **more: Any,
) -> Row:  # fmt: skip
    """Make a row of a figure that has a bound and no peer."""
    value = statistics.median(values)
    met = target is None or (value <= target if at_most else value >= target)
    spread = (max(values) - min(values)) / value if value else 0.0
    return Row(name, unit, value, target, met, spread, unit=unit, at_most=at_most, **more)


def alternate(contenders: Sequence[Contender], request: Answer, rounds: int) -> list[list[Answer]]:
    """Ask each contender in turn, `rounds` times: its answers, in the contenders' order."""
    answers: list[list[Answer]] = [[] for _ in contenders]
    for _ in range(rounds):
        for contender, found in zip(contenders, answers, strict=True):
            found.append(contender(request))
    return answers


def seconds(answers: Sequence[Answer]) -> list[float]:
    """What each round took."""
    return [answer["seconds"] for answer in answers]


class Process:
    """A contender in a process of its own; a context manager that ends it."""

    def __init__(self, settings: Answer, *command: str) -> None:
        """Start `command` (the arguments of this Python, or a whole command) and wait for it."""
        whole = list(command) if Path(command[0]).is_file() else [sys.executable, *command]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        self._process = subprocess.Popen(  # noqa: S603
            whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
        )  # fmt: skip
        self(settings)

    def __call__(self, request: Answer) -> Answer:
        """Send a line, wait for one.

        Raises:
            RuntimeError: if the process ends instead; what it wrote is quoted.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the contender has no pipes")
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: read below why
        line = stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            told = self._errors.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{self._process.args} ended: {told}")
        answer: Answer = json.loads(line)
        return answer

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


def serve(make: Callable[[Answer], Contender]) -> None:
    """Be the other end of `Process`: make a contender of the settings, and answer requests."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    contender: Contender | None = None
    for line in sys.stdin:
        message = json.loads(line)
        answer: Answer = {}
        if contender is None:
            contender = make(message)
        else:
            answer = contender(message)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return value
