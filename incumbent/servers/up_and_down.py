"""`incumbent up` and `incumbent down`: start and stop the servers of this machine."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from incumbent.config import Config
from incumbent.errors import ConfigError, StageError
from incumbent.runtime import server_login
from incumbent.servers import part_launcher, supervisord
from incumbent.servers.ports_and_commands import (
    FOLDER,
    MLFLOW,
    PARTS,
    POOL,
    PREFECT,
    TRAINING,
    WORKER,
    Servers,
)
from incumbent.servers.prefect_api_client import PrefectApi

if TYPE_CHECKING:
    from incumbent.servers.supervisord import Process

_RECORD = "up.json"
_DEPLOYMENTS = Path("deployments") / "prefect.yaml"
_START_SECONDS = 300  # that all may take to answer; a first start makes two databases
_RUN_SECONDS = 30  # that a flow run has to end in good order
_STOP_SECONDS = 90  # that the supervisor has to stop all parts, one after the other
_TAIL = 15  # lines of a log that are shown when a part does not answer


def recorded(root: Path) -> dict[str, str] | None:
    """What was started here and not stopped.

    Returns:
        The addresses of `prefect` and `mlflow` and the `database`; None if nothing was.
    """
    try:
        found: dict[str, str] = json.loads((root / FOLDER / _RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found


def up(servers: Servers) -> None:
    """Start all that does not run, wait until all answer, and deploy the flows.

    Raises:
        ConfigError: if this is no project folder, a port is taken, or the servers run with other
            settings.
        StageError: if something does not answer, or cannot be deployed.
    """
    _deployments(servers.root)
    with _locked(servers.folder):
        asked, running = servers.public(), supervisord.supervisor(servers.folder)
        if running is None:
            _end_all(servers.folder)  # whoever lost a supervisor that was killed
            _look_at_ports(servers)
            servers.make_databases()
            supervisord.start(
                servers.folder, {part: _launched(servers, part) for part in PARTS},
                servers.environment(), servers.root,
            )  # fmt: skip
            _record(servers.folder, asked)
        elif (known := recorded(servers.root)) != asked:
            differ = [f"{k}: {(known or {}).get(k, '?')}, not {v}" for k, v in asked.items()
                      if (known or {}).get(k) != v]  # fmt: skip
            raise ConfigError(
                f"The servers run with other settings ({'; '.join(differ)}): run `make down` first."
            )
        _wait(servers)
        PrefectApi(servers.clients["PREFECT_API_URL"]).limit_tag(TRAINING, servers.trainings)
        _deploy(servers)


def down(root: Path) -> bool:
    """Stop all, runs of flows first, so that the servers learn how those ended.

    Returns:
        Whether anything ran.

    Raises:
        StageError: if a process is left.
    """
    folder = root / FOLDER
    if not folder.is_dir() and not supervisord.processes(folder):
        return False
    with _locked(folder):
        found = supervisord.processes(folder)
        mains = supervisord.main_processes(folder)
        at_work = mains.get(WORKER)
        if at_work is not None:
            supervisord.end(_started_by(at_work, found), folder, _RUN_SECONDS)
        if head := supervisord.supervisor(folder):
            supervisord.end([head], folder, _STOP_SECONDS)
        _end_all(folder)
        (folder / _RECORD).unlink(missing_ok=True)
    return bool(found)


def _launched(servers: Servers, part: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "incumbent.servers.part_launcher",
        part,
        *servers.command(part),
    ]


def _started_by(at_work: Process, found: list[Process]) -> list[Process]:
    """The runs that a worker started: not it, and not what a server started."""
    return [process for process in found if process.part == WORKER and process != at_work]


def _end_all(folder: Path) -> None:
    supervisord.end(supervisord.processes(folder), folder, _RUN_SECONDS)
    if left := supervisord.processes(folder):
        numbers = ", ".join(str(process.pid) for process in left)
        raise StageError(f"These processes of {folder} do not end: {numbers}.")


def _look_at_ports(servers: Servers) -> None:
    for variable, port in servers.ports.items():
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError as error:
                raise ConfigError(
                    f"Port {port} cannot be had ({error.strerror}): another program listens there, "
                    f"perhaps servers of another folder. Stop it, or set {variable} to a free port."
                ) from None


def _wait(servers: Servers) -> None:
    """Wait until all parts answer."""
    limit = time.monotonic() + _START_SECONDS
    waiting = list(PARTS)
    while waiting := [part for part in waiting if not _answers(servers, part)]:
        if supervisord.supervisor(servers.folder) is None:
            raise StageError(f"The supervisor ended: see {servers.folder / 'supervisor.log'}.")
        if time.monotonic() > limit:
            log = servers.folder / f"{waiting[0]}.log"
            raise StageError(
                f"After {_START_SECONDS} s there is no answer from {' and '.join(waiting)}. The "
                f"end of {log}:\n{_tail(log)}"
            )
        time.sleep(0.5)


def _answers(servers: Servers, part: str) -> bool:
    process = supervisord.main_processes(servers.folder).get(part)
    left = any(orphan.part == part for orphan in supervisord.orphans(servers.folder))
    if process is None or (left and part != WORKER):  # what is left answers, and is about to end
        return False
    if part in (PREFECT, MLFLOW):
        well = part_launcher.answers(part_launcher.health(servers.clients)[part])
        if well:
            _look_at_login(servers, part)
        return well
    try:
        known = PrefectApi(servers.clients["PREFECT_API_URL"]).workers(POOL)
    except StageError:
        return False
    return known.get(part_launcher.worker_name(process.pid)) == "ONLINE"


def _look_at_login(servers: Servers, part: str) -> None:
    """See that a server lets our clients in: health is open to all."""
    asks = {PREFECT: f"{servers.prefect}/api/admin/version", MLFLOW: f"{servers.mlflow}/version"}
    if not server_login.refused(asks[part], servers.login):
        return
    remedy = f"set {server_login.AUTH} to that, or run `make down` and `make up`"
    if part == MLFLOW:
        remedy += (
            f". MLflow has its users in {servers.users}, and a new password there: see "
            "docs/operations.md"
        )
    raise ConfigError(f"The {part} server runs with another login: {remedy}.")


def _deploy(servers: Servers) -> None:
    """Deploy the flows, unless the server has them as they are now.

    So a schedule that was paused in the Prefect page stays so, until the file changes.
    """
    wanted = _deployments(servers.root)
    known = PrefectApi(servers.clients["PREFECT_API_URL"]).deployments()
    found = {(deployment["name"], deployment.get("version")) for deployment in known}
    if found >= {(deployment["name"], deployment["version"]) for deployment in wanted}:
        return
    file = servers.folder / "prefect.yaml"
    file.write_text(yaml.safe_dump({"deployments": wanted}, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(  # noqa: S603  a fixed command
        [*command, "--prefect-file", str(file)], cwd=servers.root, env=servers.environment(),
        check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    log = servers.folder / "deploy.log"
    log.write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode:
        raise StageError(f"{_DEPLOYMENTS} could not be deployed. The end of {log}:\n{_tail(log)}")


def _deployments(root: Path) -> list[dict[str, Any]]:
    """What the file describes, with the digest of all that counts as the version of each."""
    try:
        text = (root / _DEPLOYMENTS).read_text(encoding="utf-8")
        found = yaml.safe_load(text)["deployments"]
        wanted = [{**deployment, "name": deployment["name"]} for deployment in found]
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{root / _DEPLOYMENTS} cannot be read as Prefect's deployments: "
            f"{type(error).__name__} {error}. Run in the project's root folder; expected is a list "
            "`deployments`, each with a name."
        ) from None
    schema = json.dumps(Config.model_json_schema(), sort_keys=True)
    version = hashlib.sha256(f"{root} {text} {schema}".encode()).hexdigest()[:16]
    return [{**deployment, "version": version} for deployment in wanted]


def _record(folder: Path, addresses: dict[str, str]) -> None:
    draft = folder / f"{_RECORD}.draft"
    draft.write_text(json.dumps(addresses, indent=2) + "\n", encoding="utf-8")
    draft.replace(folder / _RECORD)


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"({error.strerror})"
    return "\n".join(f"  {line}" for line in lines[-_TAIL:])


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One `up` or `down` at a time; a lock of the system's, which ends with its process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StageError(
            f"The folder {folder} cannot be written to: {error.strerror}. Run in a folder of yours."
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
