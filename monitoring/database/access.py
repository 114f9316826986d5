"""Reading what PostgreSQL says about itself, on the alias `monitor`: never by the application's pool.

Each reading is a read-only transaction with its own deadline. What goes wrong is Unavailable, whose kind
names the reason and carries the command that mends it; a page shows both, and never waits.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields
from typing import Any, TypeVar, cast

from django.db import Error, InterfaceError, OperationalError, connections, transaction
from django.db.backends.utils import CursorWrapper

from khaacho.exceptions import KhaachoError

ALIAS = "monitor"
TIMEOUT_MS = 800  # of one statement; a panel answers within a second
LOCK_TIMEOUT_MS = 100  # the views wait for no relation: only a lock taken in that very moment
R = TypeVar("R")
Params = Sequence[Any] | Mapping[str, Any]

DEADLINES = """
SELECT set_config('statement_timeout', '{timeout}', true), set_config('lock_timeout', '{patience}', true),
    set_config('transaction_read_only', 'on', true)
"""


class Unavailable(KhaachoError):
    """The database did not answer this question."""

    code = "statistics_unavailable"
    status = 503
    retry_after = 30  # seconds
    remedy = "Look into the server's log."  # a command where there is one
    stops_all = False  # nothing else can be read either

    def __init__(self, message: str = "", *, detail: str = "", remedy: str = "") -> None:
        self.detail = detail  # what the server or the driver said, one line
        self.remedy = remedy or self.remedy
        super().__init__(message, reason=self.reason, remedy=self.remedy)

    @property
    def reason(self) -> str:
        """Return the kind of failure for machines, e.g. TimedOut."""
        return type(self).__name__


class TimedOut(Unavailable):
    """The database did not answer in time."""

    remedy = "Wait a moment and load the page again; the server may be busy."


class Locked(Unavailable):
    """Somebody locked what is to be read in this very moment."""

    remedy = "SELECT * FROM monitor.blocking_tree;"


class NoConnection(Unavailable):
    """The database server cannot be reached."""

    stops_all = True
    remedy = 'Start PostgreSQL (systemctl start postgresql), or correct MONITOR_DATABASE_URL: psql "$DATABASE_URL" -c "SELECT 1"'


class ServerFull(Unavailable):
    """The database server takes no more connections."""

    stops_all = True
    remedy = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle'"
        " AND state_change < now() - interval '10 minutes'; -- as superuser;"
        " then lower DB_POOL_MAX or raise max_connections"
    )


class InsufficientPrivilege(Unavailable):
    """The role may not read this."""

    remedy = "GRANT pg_read_all_stats TO CURRENT_USER; -- as superuser, naming the role of MONITOR_DATABASE_URL"


class NotMigrated(Unavailable):
    """The views are not there."""

    remedy = "python manage.py migrate monitoring"


class NotCounted(Unavailable):
    """PostgreSQL does not count statements here."""

    remedy = "SELECT * FROM monitor.capabilities WHERE NOT ok;"


_BY_STATE: Mapping[str, type[Unavailable]] = {
    "57014": TimedOut,  # query_canceled
    "25P03": TimedOut,  # idle_in_transaction_session_timeout
    "55P03": Locked,  # lock_not_available
    "40P01": Locked,  # deadlock_detected
    "42501": InsufficientPrivilege,
    "42P01": NotMigrated,  # undefined_table
    "42883": NotMigrated,  # undefined_function
    "3F000": NotMigrated,  # invalid_schema_name
    "53300": ServerFull,  # too_many_connections
}
_ends: ContextVar[float | None] = ContextVar("monitor_ends", default=None)
_OF_CONNECTIONS = (OperationalError, InterfaceError)
_FULL = ("too many clients", "too many connections", "remaining connection slots")


@contextmanager
def within(ends: float) -> Iterator[None]:
    """Let every reading in here end by that moment of time.monotonic(), however long it may else take."""
    token = _ends.set(ends)
    try:
        yield
    finally:
        _ends.reset(token)


@contextmanager
def reading(timeout_ms: int = TIMEOUT_MS) -> Iterator[CursorWrapper]:
    """Give a cursor for reading; every statement is cancelled after `timeout_ms`.

    Raises Unavailable, by kind. Nested in another reading it is a savepoint of that transaction, so that
    what fails here leaves the rest.
    """
    connection = connections[ALIAS]
    deadlines = _deadlines(timeout_ms)
    try:
        with transaction.atomic(using=ALIAS), connection.cursor() as cursor:
            cursor.execute(deadlines)
            yield cursor
    except Error as error:
        raise as_unavailable(error) from error


def fetch(
    statement: str, params: Params = (), *, timeout_ms: int = TIMEOUT_MS
) -> list[tuple[Any, ...]]:
    """Run one statement and return its rows. Raises Unavailable."""
    return _run(statement, params, timeout_ms)[1]


def fetch_dicts(
    statement: str, params: Params = (), *, timeout_ms: int = TIMEOUT_MS
) -> list[dict[str, Any]]:
    """Run one statement and return its rows by the columns' names. Raises Unavailable."""
    names, rows = _run(statement, params, timeout_ms)
    return [dict(zip(names, row, strict=True)) for row in rows]


def records(
    kind: type[R], view: str, *, order: str, limit: int, where: str = "true", params: Params = ()
) -> list[R]:
    """Return rows of a view as a frozen dataclass whose fields are named like its columns.

    `order` and `where` are SQL of ours. Raises Unavailable.
    """
    columns = ", ".join(f'"{column.name}"' for column in fields(cast("Any", kind)))
    statement = f"SELECT {columns} FROM {view} WHERE {where} ORDER BY {order} LIMIT {limit}"
    return [kind(*row) for row in fetch(statement, params)]


def _deadlines(timeout_ms: int) -> str:
    """Return what sets how long a statement may take. Raises TimedOut when no time is left."""
    ends = _ends.get()
    left = timeout_ms if ends is None else int((ends - time.monotonic()) * 1000)
    if left < 1:
        raise TimedOut(detail="no time was left")
    timeout_ms = min(timeout_ms, left)
    return DEADLINES.format(timeout=timeout_ms, patience=min(LOCK_TIMEOUT_MS, timeout_ms))


def as_unavailable(error: Error) -> Unavailable:
    """Return what a database's error means for whoever wanted to read."""
    said = str(error).strip().split("\n")[0]
    state: str = getattr(error.__cause__, "sqlstate", None) or ""
    if state in _BY_STATE:
        return _BY_STATE[state](detail=said)
    if any(words in said for words in _FULL):
        return ServerFull(detail=said)
    if (state or "08")[:2] in {"08", "28", "3D", "57"} and isinstance(error, _OF_CONNECTIONS):
        return NoConnection(detail=said)
    return Unavailable(detail=said)


def _run(
    statement: str, params: Params, timeout_ms: int
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run it once more when a lock was taken between the look at pg_locks and the size."""
    try:
        return _read(statement, params, timeout_ms)
    except Locked:
        return _read(statement, params, timeout_ms)


def _read(
    statement: str, params: Params, timeout_ms: int
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Ask in one message, which to the server is one transaction: no BEGIN, no COMMIT, no second trip.

    The limit counts for each statement of a message anew. Within another reading it is as `reading` says.
    """
    connection = connections[ALIAS]
    if connection.in_atomic_block:
        with reading(timeout_ms) as cursor:
            cursor.execute(statement, params)
            return _result(cursor)
    deadlines = _deadlines(timeout_ms)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"{deadlines};{statement}", params)
            cursor.nextset()
            return _result(cursor)
    except Error as error:
        raise as_unavailable(error) from error


def _result(cursor: CursorWrapper) -> tuple[list[str], list[tuple[Any, ...]]]:
    return [column[0] for column in cursor.description], cursor.fetchall()
