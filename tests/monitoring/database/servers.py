"""A PostgreSQL server of a test's own, and this project's views in a database of it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import psycopg

from deploy.local import postgres
from deploy.local.accounts import server_account
from tests.processes import ROOT

PRIVATE = {"SECRET_KEY": "x", "REDIS_URL": "redis://127.0.0.1:1/0"}


@dataclass(frozen=True)
class Server:
    """Where a server listens, and who owns the databases that tests make on it."""

    host: str
    port: str = ""
    owner: str = postgres.SUPERUSER
    password: str = ""

    def url(self, database: str, user: str = "") -> str:
        """Return the URL of a database for a role, else for the owner."""
        whom = {"user": user} if user else {"user": self.owner, "password": self.password}
        where = {"host": self.host, "port": self.port, **whom}
        return f"postgresql:///{database}?{urlencode({k: v for k, v in where.items() if v})}"

    def connect(self, database: str, user: str = "") -> psycopg.Connection:
        return psycopg.connect(self.url(database, user), autocommit=True)

    def run(self, program: str, database: str, *arguments: str, stdin: str = "") -> str:
        """Run a program on a database and return what it printed; raise when it fails."""
        directory = programs()
        found = shutil.which(program, path=f"{directory}{os.pathsep}{os.environ['PATH']}")
        assert found, f"{program} is neither in {directory} nor in PATH"
        done = subprocess.run(
            [found, "-d", self.url(database), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def manage(self, database: str, *arguments: str, user: str = "", **env: str):
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
    return Server(settings["HOST"], settings["PORT"], settings["USER"], settings["PASSWORD"])


def programs() -> Path:
    """Return the directory of PostgreSQL's programs: of the first `postgres` in PATH, else of this machine's.

    Debian keeps none in PATH: whoever runs the tests on another server puts that version's at its front.
    """
    if found := shutil.which("postgres"):
        return Path(found).parent
    binaries = postgres.find()
    assert binaries
    return binaries.directory


@contextmanager
def server_without_the_library(home: Path) -> Iterator[Server]:
    """Run a server on which pg_stat_statements is not preloaded, and stop it."""
    binaries = programs()
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
    subprocess.run([binaries / "initdb", "-D", data, *initdb], check=True, **common)
    options = f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off"
    control = [binaries / "pg_ctl", "-D", data, "-w"]
    subprocess.run([*control, "-l", home / "log", "-o", options, "start"], check=True, **common)
    try:
        yield Server(str(home))
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, **common)
