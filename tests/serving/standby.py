"""A streaming replica of the server of this test run: made late, hung, lost and brought back at will."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection

from deploy.local import postgres
from deploy.local.accounts import Account, make_home, server_account
from tests.monitoring.database.servers import programs
from tests.processes import children, wait_for

POSITION = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
REPLAYED = "SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')"


def account_of(host: str) -> Account | None:
    """Return who owns the server whose socket is in this directory, so that we are let in."""
    return server_account(Path(host)) if host.startswith("/") else server_account(Path("/nowhere"))


@dataclass
class Standby:
    """The replica, in a directory of its own. `psycopg` connections to it commit by themselves."""

    home: Path
    account: Account | None

    @property
    def url(self) -> str:
        place = connection.settings_dict
        return f"postgresql://{place['USER']}@/{place['NAME']}?host={self.home}&port=5432"

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True, connect_timeout=5)

    def ask(self, statement: str, *values: Any) -> Any:
        with self.connect() as asked:
            row = asked.execute(statement, values or None).fetchone()
            return row[0] if row else None

    def calls(self, like: str) -> int:
        """Return how often statements like this one ran here, as pg_stat_statements counts."""
        return int(
            self.ask(
                "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s"
                " JOIN pg_database d ON d.oid = s.dbid"
                " WHERE d.datname = current_database() AND query LIKE %s",
                like,
            )
        )

    # What may happen to it

    def pause(self) -> None:
        self.ask("SELECT pg_wal_replay_pause()")
        wait_for(lambda: self.ask("SELECT pg_get_wal_replay_pause_state()") == "paused")

    def resume(self) -> None:
        self.ask("SELECT pg_wal_replay_resume()")

    def catch_up(self) -> None:
        """Wait until it has what the primary has now."""
        with connection.cursor() as cursor:
            cursor.execute(POSITION)
            wanted = cursor.fetchone()[0]
        wait_for(lambda: self.ask(REPLAYED) >= wanted, seconds=30, what="the replica's replay")

    def pids(self) -> list[int]:
        postmaster = int((self.home / "data" / "postmaster.pid").read_text().split()[0])
        return [postmaster, *children(postmaster)]

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": self.home,
            "shared_preload_libraries": "pg_stat_statements",
            "max_connections": 200,  # no fewer than the primary has
            "max_standby_streaming_delay": "500ms",
            "hot_standby_feedback": "on",
            "fsync": "off",
        }
        given = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        self._control("-l", self.home / "log", "-o", given, "start")

    def is_running(self) -> bool:
        return (self.home / "data" / "postmaster.pid").exists()

    def _control(self, *arguments: Any) -> None:
        self._run("pg_ctl", "-D", self.home / "data", "-w", *arguments)

    def _run(self, program: str, *arguments: Any) -> None:
        account = self.account
        done = subprocess.run(
            [(programs() / "postgres").resolve().with_name(program), *arguments],
            env=postgres.ENVIRON,
            cwd="/",
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the server inherits it
            stderr=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, f"{program} {arguments}: {self.home}/log"

    def copy_primary(self) -> None:
        place = connection.settings_dict
        where = ["-h", place["HOST"], "-U", place["USER"]]
        if place["PORT"]:
            where += ["-p", place["PORT"]]
        how = ["-R", "-X", "stream", "--checkpoint=fast", "--no-sync"]
        self._run("pg_basebackup", "-D", self.home / "data", *where, *how)


@contextlib.contextmanager
def servers_home() -> Iterator[tuple[Path, Account | None]]:
    """Make a directory for a server that is not run as ourselves: pytest's own are closed to others."""
    account = account_of(connection.settings_dict["HOST"])
    home = Path(tempfile.mkdtemp(prefix="khaacho-"))
    try:
        make_home(home, account)
        yield home, account
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def standby() -> Iterator[Standby]:
    """Copy the primary of this test run and follow it, as long as the block lasts."""
    with servers_home() as (home, account), following(Standby(home, account)) as made:
        yield made


@contextlib.contextmanager
def following(made: Standby) -> Iterator[Standby]:
    try:
        made.copy_primary()
        made.start()
        yield made
    finally:
        if made.is_running():
            made.thaw()
            made.stop()
