"""A real Postgres server of the tests' own: no network, no durability, gone with the process that started it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

# The server ends when its standard input does, so it can't outlive a test run that is killed.
_WATCHED = '"$@" & server=$!; read _; kill -QUIT $server; wait $server'
_PATIENCE = 60.0


@dataclass
class PostgresServer:
    """Makes databases on the running server."""

    folder: Path
    numbers: Iterator[int] = field(default_factory=count)
    is_made: bool = False

    def url(self, database: str) -> str:
        return f"postgresql:///{database}?host={self.folder}&user=nbflow"

    def clean_database(self) -> str:
        """The URL of a database for one test at a time, emptied: far cheaper than a new one."""
        if not self.is_made:
            self.execute("CREATE DATABASE clean TEMPLATE template0")
            self.is_made = True
        self.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public", "clean")
        return self.url("clean")

    def new_database(self, options: str = "") -> str:
        """The URL of an empty database."""
        name = f"test_{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


def find_binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        pytest.fail("the store's tests need a real Postgres: apt-get install postgresql")
    return Path(initdb).parent


@contextmanager
def run_postgres() -> Iterator[PostgresServer]:
    binaries = find_binaries()
    folder = Path(tempfile.mkdtemp(prefix="nbflow-pg-", dir="/tmp"))  # short: a socket's path has 107 characters
    data = folder / "data"
    user = None
    if os.geteuid() == 0:  # Postgres refuses to run as root
        user = next(name for name in ("postgres", "nobody") if _exists(name))
        shutil.chown(folder, user)
    try:
        initdb = [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "nbflow",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=folder)
        settings = (
            "fsync=off",
            "full_page_writes=off",
            "max_connections=200",
            "listen_addresses=",
            "shared_buffers=32MB",
        )
        server = [binaries / "postgres", "-D", data, "-k", folder, *(f"--{setting}" for setting in settings)]
        with (folder / "log").open("wb") as log:
            watched = subprocess.Popen(
                ["sh", "-c", _WATCHED, "sh", *server],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                user=user,
                cwd=folder,
            )
        try:
            _wait_until_ready(binaries, folder, watched)
            yield PostgresServer(folder)
        finally:
            watched.communicate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _wait_until_ready(binaries: Path, folder: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    probe = [binaries / "pg_isready", "-q", "-h", folder, "-U", "nbflow"]
    while subprocess.run(probe).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            pytest.fail("Postgres did not start:\n" + (folder / "log").read_text()[-2000:])
        time.sleep(0.02)
