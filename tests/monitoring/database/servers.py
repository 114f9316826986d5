"""A PostgreSQL server of a test's own, and this project's views in a database of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from deploy.local import postgres
from deploy.local.accounts import server_account
from tests.processes import ROOT

PRIVATE = {"SECRET_KEY": "x", "REDIS_URL": "redis://127.0.0.1:1/0"}


@dataclass(frozen=True)
class Server:
    """Where a server listens, and where its programs are."""

    host: str
    binaries: Path

    def url(self, database: str, user: str = postgres.SUPERUSER) -> str:
        return f"postgresql://{user}@/{database}?host={self.host}"

    def connect(self, database: str, user: str = postgres.SUPERUSER) -> psycopg.Connection:
        return psycopg.connect(self.url(database, user), autocommit=True)

    def run(self, program: str, *arguments: str, **options: str) -> str:
        """Run one of its programs and return what it printed; raise when it fails."""
        done = subprocess.run(
            [self.binaries / program, "-h", self.host, "-U", postgres.SUPERUSER, *arguments],
            input=options.get("stdin"),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def manage(self, database: str, *arguments: str, user: str = postgres.SUPERUSER, **env: str):
        """Run manage.py on a database of this server; return the finished process."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, **PRIVATE, "DATABASE_URL": self.url(database, user), **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def of_settings(settings: dict) -> Server:
    """Return the server of a connection's settings."""
    binaries = postgres.find()
    assert binaries
    return Server(settings["HOST"], binaries.directory)


@contextmanager
def server_without_the_library(home: Path) -> Iterator[Server]:
    """Run a server on which pg_stat_statements is not preloaded, and stop it."""
    binaries = postgres.find()
    assert binaries
    account = server_account(home)
    data = home / "pg"
    owner = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
    if account:
        os.chown(home, account.uid, account.gid)
    common = {"env": postgres.ENVIRON, "cwd": "/", "capture_output": True, **owner}
    initdb = [
        "-U",
        postgres.SUPERUSER,
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
    ]
    subprocess.run([binaries.directory / "initdb", "-D", data, *initdb], check=True, **common)
    options = f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off"
    control = [binaries.directory / "pg_ctl", "-D", data, "-w"]
    subprocess.run([*control, "-l", home / "log", "-o", options, "start"], check=True, **common)
    try:
        yield Server(str(home), binaries.directory)
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, **common)
