"""An empty database of a real PostgreSQL server."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.web import browser

# Debian puts the server's programs on no path.
_INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
_SERVER = shutil.which("postgres") or (_INSTALLED[-1] if _INSTALLED else None)

NEEDED = [
    pytest.mark.skipif(_SERVER is None, reason="no PostgreSQL here: install Debian's postgresql"),
    pytest.mark.skipif(
        importlib.util.find_spec("psycopg") is None, reason="psycopg is not installed"
    ),
]
PASSWORD = "s3cret%2Fword"  # noqa: S105  the / is what addresses escape


@contextmanager
def database() -> Iterator[str]:
    """The address of an empty database, whose owner is no superuser."""
    programs, port = Path(_SERVER or "").resolve().parent, browser.free_port()
    as_user: dict[str, object] = {}
    # Not pytest's folder: that is closed to the user whom PostgreSQL runs as instead of root.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [str(programs / program), "-D", f"{folder}/data", *arguments], check=True,
                cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **as_user,
            )  # fmt: skip

        (folder / "password").write_text(unquote(PASSWORD))
        (folder / "password").chmod(0o644)
        run("initdb", "-U", "admin", "-A", "scram-sha-256", f"--pwfile={folder}/password", "-N")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            _make_database(f"postgresql://admin:{PASSWORD}@127.0.0.1:{port}/postgres")
            yield f"postgresql://owner:{PASSWORD}@127.0.0.1:{port}/incumbent"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")


def _make_database(admin: str) -> None:
    import psycopg

    # PostgreSQL takes no parameters in `create role`: the client puts the password in its place.
    with psycopg.connect(admin, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        connection.execute("create role owner login password %s", [unquote(PASSWORD)])
        connection.execute("create database incumbent owner owner")
