"""A PgBouncer in transaction mode before the server of this test run."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from deploy.local import installs
from deploy.local.accounts import Account, give
from tests.processes import free_port, wait_for
from tests.serving.standby import servers_home

SYSTEM = "/usr/sbin:/usr/local/sbin:/sbin"
SESSIONS = 3


def program() -> str:
    """Return PgBouncer's path, installed where we may; without it the test is skipped with a sentence."""
    path = f"{os.environ['PATH']}:{SYSTEM}"
    found = shutil.which("pgbouncer", path=path)
    if found is None and installs.from_debian("pgbouncer"):
        found = shutil.which("pgbouncer", path=path)
    if found is None:
        pytest.skip("no PgBouncer here, and it cannot be installed: apt-get install pgbouncer")
    return found


@dataclass
class Pooler:
    """Where it listens, for whom, and its process."""

    port: int
    user: str
    database: str
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{self.database}"

    def answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), self.connect() as asked:
            return asked.execute("SELECT 1").fetchone() == (1,)
        return False

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, connect_timeout=5, **options)

    @contextlib.contextmanager
    def every_session(self) -> Iterator[list[psycopg.Connection[Any]]]:
        """Hold all of the server's sessions at once, each by a client in a transaction."""
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(self.connect()) for _ in range(SESSIONS)]
            pids = [one.execute("SELECT pg_backend_pid()").fetchone() for one in held]
            assert len(set(pids)) == SESSIONS
            yield held


@contextlib.contextmanager
def pgbouncer() -> Iterator[Pooler]:
    """Run it with SESSIONS sessions for any number of clients."""
    found = program()
    with servers_home() as (home, account), running(found, home, account) as pooler:
        yield pooler


@contextlib.contextmanager
def running(program: str, home: Path, account: Account | None) -> Iterator[Pooler]:
    port, place = free_port(), connection.settings_dict
    (home / "users.txt").write_text(f'"{place["USER"]}" "{place["PASSWORD"]}"\n')
    where = f"host={place['HOST']} dbname={place['NAME']}"
    if place["PORT"]:
        where += f" port={place['PORT']}"
    lines = (
        "[databases]",
        f"{place['NAME']} = {where}",
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        f"listen_port = {port}",
        "unix_socket_dir =",
        "auth_type = trust",
        f"auth_file = {home / 'users.txt'}",
        "pool_mode = transaction",
        f"default_pool_size = {SESSIONS}",
        f"min_pool_size = {SESSIONS}",
        "max_client_conn = 200",
        "server_lifetime = 36000",
    )
    (home / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    for path in home.iterdir():
        give(path, account)
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            [program, home / "pgbouncer.ini"],
            stdout=log,
            stderr=log,
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    pooler = Pooler(port, place["USER"], place["NAME"], process)
    try:
        wait_for(pooler.answers, what="PgBouncer")
        yield pooler
    finally:
        process.kill()
        process.wait()
