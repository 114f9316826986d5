"""The database server as backups reach it: sessions of their own, without pool or deadlines, and its programs.

A backup holds one session for hours: its lock and its snapshot live there. So nothing here goes through
Django's connections, whose timeouts are a request's, nor through PgBouncer, which would give the session to
somebody else between two statements.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from psycopg import sql as compose
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from monitoring.backups.faults import BackupFailed, Busy

APPLICATION = "khaacho backup"
MAINTENANCE_DATABASE = "postgres"  # from where databases are created and renamed
LOCK = 0x6B686263  # advisory: one backup, restore or drill of a database at a time
NAME_MAX = 63
# A role or database may have deadlines of its own, which are a request's: none holds here.
UNHURRIED = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "transaction_timeout",  # from PostgreSQL 17 on
)
NOT_LIBPQ = ("pool", "options", "server_side_binding", "isolation_level", "assume_role")

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Place:
    """A database and how to reach its server, in libpq's words."""

    info: Mapping[str, str]

    @property
    def database(self) -> str:
        return self.info["dbname"]

    def of(self, database: str) -> "Place":
        """Return another database of the same server."""
        return Place({**self.info, "dbname": database})

    def connect(self) -> Connection:
        """Open a session that commits by itself and has no deadlines. Raises psycopg.OperationalError."""
        words = {"application_name": APPLICATION, "connect_timeout": "10", **self.info}
        raw = psycopg.connect(make_conninfo("", **words), autocommit=True)
        raw.execute(
            "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = ANY (%s)",
            [list(UNHURRIED)],
        )
        return raw

    @property
    def argument(self) -> str:
        """Return what PostgreSQL's programs take as --dbname: without the password, which `ps` would show."""
        words = {"application_name": APPLICATION, **self.info}
        return make_conninfo("", **{k: v for k, v in words.items() if k != "password"})

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of PostgreSQL's programs; only their own user can read it."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        password = {"PGPASSWORD": self.info["password"]} if self.info.get("password") else {}
        return {**kept, **password, "LC_ALL": "C.UTF-8", "PGCLIENTENCODING": "UTF8"}


def place() -> Place:
    """Return the database that is backed up: BACKUP_DATABASE_URL, else the site's own."""
    if settings.BACKUP_DATABASE_URL:
        info = conninfo_to_dict(settings.BACKUP_DATABASE_URL)
        return Place({k: str(v) for k, v in info.items() if v})
    config: Mapping[str, Any] = connections["default"].settings_dict
    info = {
        "dbname": config["NAME"],
        "user": config["USER"],
        "password": config["PASSWORD"],
        "host": config["HOST"],
        "port": config["PORT"],
    }
    options = {k: v for k, v in config["OPTIONS"].items() if k not in NOT_LIBPQ}
    return Place({k: str(v) for k, v in (info | options).items() if v})


@contextmanager
def locked(connection: Connection, name: str) -> Iterator[None]:
    """Hold the lock of a database's backups in this session, which must stay open. Raises Busy.

    An advisory lock is of the database that the session is in, so it carries the name that is meant.
    """
    held = _one(connection, "SELECT pg_try_advisory_lock(%s, hashtext(%s))", [LOCK, name])
    if not held:
        raise Busy(
            f"Another backup, restore or drill of {name} is under way: wait until it has ended. Who it is:"
            " SELECT pid, backend_start FROM pg_stat_activity"
            f" WHERE application_name = '{APPLICATION}';"
        )
    pid = connection.info.backend_pid
    if _one(connection, "SELECT pg_backend_pid()") != pid or not _is_held(connection):
        raise BackupFailed(
            "This connection is given to others between statements, as by PgBouncer in transaction mode."
            " Set BACKUP_DATABASE_URL to the address of PostgreSQL itself."
        )
    try:
        yield
    finally:  # the session's end gives the lock back, whatever happens, but a moment after we go on
        with suppress(psycopg.Error):
            connection.rollback()
            connection.execute("SELECT pg_advisory_unlock(%s, hashtext(%s))", [LOCK, name])


def still_locked(connection: Connection) -> bool:
    """Whether the session still stands and has its lock."""
    try:
        return _is_held(connection)
    except psycopg.Error:
        return False


def _is_held(connection: Connection) -> bool:
    found = _one(
        connection,
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        " AND classid = %s::bigint::oid AND granted",
        [LOCK],
    )
    return bool(found)


def _one(connection: Connection, statement: str, params: Any = ()) -> Any:
    row = connection.execute(statement, params).fetchone()
    return row[0] if row else None


def exists(connection: Connection, database: str) -> bool:
    return bool(_one(connection, "SELECT count(*) FROM pg_database WHERE datname = %s", [database]))


def dated(database: str, word: str, moment: str) -> str:
    """Return the name of a database beside another: `khaacho_restore_20261127_020000`. Cut to what fits."""
    end = f"_{word}_{re.sub(r'[^0-9]', '', moment)[:8]}_{re.sub(r'[^0-9]', '', moment)[8:14]}"
    room = NAME_MAX - len(end)
    return database.encode()[:room].decode(errors="ignore") + end


def left_over(connection: Connection, database: str, word: str) -> list[str]:
    """Return the databases beside another whose maker was killed; only for who has the lock."""
    beginning = dated(database, word, "0" * 14)[: -len("00000000_000000")]
    rows = connection.execute(
        "SELECT datname FROM pg_database WHERE starts_with(datname, %s)"
        " AND substr(datname, length(%s) + 1) ~ '^[0-9]{8}_[0-9]{6}$'",
        [beginning, beginning],
    ).fetchall()
    return [row[0] for row in rows]


def quoted(name: str) -> compose.Identifier:
    return compose.Identifier(name)


# PostgreSQL's programs


def program(name: str, least: int) -> Path:
    """Return a program of PostgreSQL of the smallest major version that is not below `least`.

    pg_dump refuses a server newer than itself; what pg_restore of a newer version says may be unknown to an
    older server. Raises BackupFailed with what to install.
    """
    found = sorted(
        (major, path) for path in _candidates(name) if (major := major_of(path)) >= least
    )
    if not found:
        raise BackupFailed(
            f"{name} of PostgreSQL {least} or newer is not on this machine:"
            f" apt-get install postgresql-client-{least}"
        )
    return found[0][1]


def _candidates(name: str) -> Iterator[Path]:
    for pattern in ("lib/postgresql/*/bin", "pgsql-*/bin", "local/pgsql/bin"):
        yield from (path for path in Path("/usr").glob(f"{pattern}/{name}") if path.exists())
    if on_path := shutil.which("postgres"):  # a server beside its programs, as in a container
        beside = Path(on_path).resolve().parent / name
        if beside.exists():
            yield beside
    if on_path := shutil.which(name):
        yield Path(on_path)


def major_of(path: Path) -> int:
    """Return the major version of a program of PostgreSQL; 0 when it does not say."""
    said = subprocess.run(  # noqa: S603 - a program that was found, no shell
        [path, "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else 0
