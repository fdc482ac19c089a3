"""Processes that begin with their imports done, in place of `python -m MODULE`.

Importing the libraries takes longer than most of what is tested. So a helper imports them once, and
forks itself for each process that is asked for. The fork takes the files, the environment, the
folder, the session and the blocked signals that `subprocess` would have given it, runs the module
as `python -m` does, and becomes a child of whoever asked, who waits for it, signals and kills it
as any other. What it starts in turn is forked likewise, by a helper of its own.

A fork has seen no import fail or be interrupted, and `/proc/PID/environ` shows its helper's
environment: tests of either start their processes as users do.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import resource
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from incumbent.kernels import ktrain_import
from incumbent.runtime import environment
from incumbent.scoring import model_process
from incumbent.servers import temporary_prefect_server
from incumbent.training import trainer_process

# What is forked. What sets its own limits of memory, as `tables.xls_sandbox` does, is not.
MODULES = frozenset(
    {
        "incumbent", model_process.__name__, trainer_process.__name__,
        temporary_prefect_server.__name__,
        "mlflow", "prefect", "tests.training.exhausting", "tests.training.killed",
        "tests.training.share", "tests.faults.zygote", "tests.title.contend", "uvicorn",
    }
)  # fmt: skip
_STARTING = frozenset({"incumbent", "mlflow", "tests.title.contend"})  # that start others
_PRELOAD = (
    "flows.retrain", "great_expectations", "mlflow.server.handlers", "prefect.cli",
    "prefect.server.api.server", "uvicorn",
)  # fmt: skip
_AND_TENSORFLOW = (
    "transformers.models.auto.modeling_tf_auto", "transformers.models.bert.modeling_tf_bert",
    "transformers.onnx",
)  # fmt: skip
_START = 300.0  # seconds that the imports may take on a busy machine
_MESSAGE = 1 << 18  # bytes of a request, the environment among them
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <sys/prctl.h>


class Helper:
    """Who forks; `modules` are those that it does it for, `preload` what it imports first."""

    def __init__(self, asked: socket.socket, modules: frozenset[str]) -> None:
        self.modules = modules
        self.owner = os.getpid()  # whose children they are: no fork of it may ask
        self._socket = asked
        self._lock = threading.Lock()

    def fork(self, job: dict[str, Any], files: Sequence[int]) -> int:
        """Start a process; gives its number.

        The helper's child forks it and ends, so that it falls to its next ancestor that takes such
        orphans: for this moment that is this process.
        """
        with self._lock:
            _take_orphans(True)
            try:
                socket.send_fds(self._socket, [json.dumps(job).encode()], files)
                return int(self._socket.recv(32))
            finally:
                _take_orphans(False)


def _take_orphans(yes: bool) -> None:
    ctypes.CDLL(None).prctl(_SUBREAPER, int(yes), 0, 0, 0)


class Popen(subprocess.Popen[Any]):
    """As `subprocess.Popen`, but for how `python -m MODULE` of a helper's modules begins."""

    helper: Helper

    def _execute_child(self, args: Any, *given: Any) -> None:
        names = ("executable preexec_fn close_fds pass_fds cwd env startupinfo creationflags shell "
                 "p2cread p2cwrite c2pread c2pwrite errread errwrite restore_signals gid gids uid "
                 "umask start_new_session process_group")  # fmt: skip
        asked = dict(zip(names.split(), given, strict=True))
        folder = os.fspath(asked["cwd"] or Path.cwd())
        if not self._is_ours(args, asked) or not Path(folder).is_dir():
            super()._execute_child(args, *given)  # type: ignore[misc]
            return
        environment = os.environ if asked["env"] is None else asked["env"]
        job = {
            "arguments": [os.fspath(argument) for argument in args[2:]],
            "environment": {os.fsdecode(k): os.fsdecode(v) for k, v in environment.items()},
            "folder": folder, "session": bool(asked["start_new_session"]),
            "blocked": [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
            "ignored": signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
            "limit": resource.getrlimit(resource.RLIMIT_FSIZE),
        }  # fmt: skip
        pipes = [asked[n] for n in ("p2cread", "c2pwrite", "errwrite")]
        files = [pipe if pipe != -1 else number for number, pipe in enumerate(pipes)]
        self.pid = self.helper.fork(job, files)
        self._child_created = True
        order = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(asked[name] for name in order))  # type: ignore[attr-defined]

    def _is_ours(self, args: Any, asked: dict[str, Any]) -> bool:
        plain = not (asked["pass_fds"] or asked["preexec_fn"] or asked["shell"])
        plain &= asked["umask"] == asked["process_group"] == -1 and asked["restore_signals"]
        plain &= all(asked[name] is None for name in ("uid", "gid", "gids"))
        return (
            plain
            and os.getpid() == self.helper.owner
            and isinstance(args, (list, tuple))
            and [os.fspath(a) for a in args[:2]] == [sys.executable, "-m"]
            and args[2] in self.helper.modules
        )


@contextmanager
def started(modules: frozenset[str] = MODULES, preload: Sequence[str] = ()) -> Iterator[Helper]:
    """A helper that has made its imports.

    Args:
        modules: What it is to fork.
        preload: What it imports; all libraries if nothing is named.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        helper = subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(theirs.fileno()), *preload],
            cwd=Path(__file__).parent.parent, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        theirs.close()
        try:
            ours.settimeout(_START)
            assert ours.recv(32) == b"ready"
            ours.settimeout(None)
            yield Helper(ours, modules)
        finally:
            ours.close()
            helper.kill()
            helper.wait()


@contextmanager
def patched(helper: Helper) -> Iterator[None]:
    """Have `subprocess` ask a helper as long as the context lasts."""
    before = subprocess.Popen
    subprocess.Popen = type("Popen", (Popen,), {"helper": helper})  # type: ignore[misc]
    try:
        yield
    finally:
        subprocess.Popen = before  # type: ignore[misc]


def help_children() -> None:
    """Fork a helper for what this process, still of one thread, is to start."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        serve(theirs)  # returns in a fork, which ends as Python does
        sys.exit()
    theirs.close()
    helper = Helper(ours, MODULES - _STARTING)
    subprocess.Popen = type("Popen", (Popen,), {"helper": helper})  # type: ignore[misc]


def load() -> None:
    """Import what the command, its servers and its trainings import; nothing is opened."""
    environment.prepare()
    environment.quiet()
    with environment.importing():
        for module in _PRELOAD:
            importlib.import_module(module)
        from incumbent.cli import main  # noqa: F401
        from incumbent.retraining import earlier_retrainings, html_report  # noqa: F401
        from incumbent.title import explanation  # noqa: F401
        from incumbent.training import fitting, resuming  # noqa: F401

        model_process._load_libraries()
        ktrain_import.load()
        for module in _AND_TENSORFLOW:
            importlib.import_module(module)


def serve(asked: socket.socket) -> None:
    """Fork on request until whoever asks is gone; returns in each fork when its module has run."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal's are for those who were forked
        signal.signal(number, signal.SIG_IGN)
    while True:
        try:
            message, files, *_ = socket.recv_fds(asked, _MESSAGE, 3)
        except ConnectionError:  # killed
            message = b""
        if not message:
            os._exit(0)
        reader, writer = os.pipe()
        between = os.fork()
        if between == 0:
            child = os.fork()
            if child:
                os.write(writer, str(child).encode())
                os._exit(0)
            for file in (reader, writer, asked.detach()):
                os.close(file)
            _become(json.loads(message), files)
            return
        for file in (writer, *files):
            os.close(file)
        child = int(os.read(reader, 32))
        os.close(reader)
        os.waitpid(between, 0)  # now the child is theirs
        with suppress(ConnectionError):  # killed meanwhile, at which the child ends, too
            asked.send(str(child).encode())


def _become(job: dict[str, Any], files: Sequence[int]) -> None:
    """Be what was asked for, and run its module."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    for file in files:
        os.close(file)
    if job["session"]:
        os.setsid()
    os.chdir(job["folder"])
    take(job["environment"])
    resource.setrlimit(resource.RLIMIT_FSIZE, job["limit"])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if not job["ignored"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, job["blocked"])
    module, *arguments = job["arguments"]
    sys.path[0] = job["folder"]
    sys.argv = [sys.argv[0], *arguments]
    if module in _STARTING:
        help_children()
    # runpy warns of a module that is imported already.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")

    runpy.run_module(module, run_name="__main__", alter_sys=True)


def take(environment: dict[str, str]) -> None:
    """Take another environment, and have the libraries read it again."""
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    if "prefect.context" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def _main() -> None:
    number, *preload = sys.argv[1:]
    asked = socket.socket(fileno=int(number))
    if preload:
        environment.prepare()
        environment.quiet()
        with environment.importing():
            for module in preload:
                importlib.import_module(module)
    else:
        load()
    asked.send(b"ready")
    serve(asked)


if __name__ == "__main__":
    _main()
