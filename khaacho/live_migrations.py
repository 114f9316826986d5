"""Migrations of tables that the site is using: they never make it wait long, and give way instead.

A statement that wants a table for itself queues behind whoever reads it, and everybody else queues behind that
statement. So it waits `lock_ms` at most, and comes again after a pause. What never makes anybody wait, such as
an index that is built concurrently, may take its time.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration

# 55P03 lock_not_available, 40P01 deadlock_detected: nothing is wrong but the moment.
GIVEN_WAY = {"55P03", "40P01"}
PATIENT = re.compile(r"\bCONCURRENTLY\b|\bVALIDATE\s+CONSTRAINT\b", re.IGNORECASE)
BUILD = re.compile(
    r"^\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?\"?(\w+)\"?",
    re.IGNORECASE,
)
INVALID = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = %s AND n.nspname = current_schema() AND NOT i.indisvalid
"""
OLDEST = """
SELECT pid, application_name, extract(epoch FROM clock_timestamp() - xact_start)::float
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
ORDER BY xact_start LIMIT 1
"""
SETTING = "SELECT set_config(%s, %s, false)"
LONGEST_PAUSE = 5.0


class LockNotGot(Exception):
    """The patience is at its end; what was begun is rolled back, or stands as `where` says."""


@dataclass
class Patience:
    """How long a statement waits for a lock and works under it, in ms, and how many seconds all tries have.

    `say` is told each time that a statement gave way.
    """

    lock_ms: int
    statement_ms: int
    seconds: float
    say: Callable[[str], None]
    gave_way: int = 0
    pause: float = 0.5
    _ends: float = field(default_factory=lambda: float("inf"))

    @contextmanager
    def governing(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Give the session its limits, and repeat what gives way outside of a transaction."""
        self._ends = time.monotonic() + self.seconds
        with connection.cursor() as cursor:
            before = {
                name: _setting(cursor, name) for name in ("lock_timeout", "statement_timeout")
            }
            _set(cursor, self._limits())
        try:
            with connection.execute_wrapper(self._execute):
                yield
        finally:
            if connection.connection is not None and not connection.needs_rollback:
                with connection.cursor() as cursor:
                    _set(cursor, before)

    def wait(self, connection: BaseDatabaseWrapper, what: str, error: Exception) -> None:
        """Pause before the next try. Raises LockNotGot once there is none."""
        self.gave_way += 1
        pause = min(LONGEST_PAUSE, self.pause * 1.5 ** (self.gave_way - 1))
        if time.monotonic() + pause > self._ends:
            raise LockNotGot(what) from error
        self.say(
            f"{what} gave way after {self.lock_ms} ms{_in_the_way(connection)};"
            f" again in {pause:.1f} s"
        )
        time.sleep(pause)

    def _limits(self) -> dict[str, str]:
        return {"lock_timeout": f"{self.lock_ms}ms", "statement_timeout": f"{self.statement_ms}ms"}

    def _execute(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        connection: BaseDatabaseWrapper = context["connection"]
        if connection.in_atomic_block:  # all of it is rolled back, and repeated by who began it
            return execute(sql, params, many, context)
        is_patient = bool(PATIENT.search(sql))
        while True:
            try:
                if is_patient:
                    return self._take_time(execute, sql, params, many, context)
                return execute(sql, params, many, context)
            except DatabaseError as error:
                if not gives_way(error):
                    raise
                self.wait(connection, sql.split("(")[0].strip()[:80], error)

    def _take_time(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        """Let a statement take its time; before an index is built, remove what a failed build left of it."""
        cursor = context["cursor"].cursor  # psycopg's own: what follows is not governed once more
        _set(cursor, {"lock_timeout": "0", "statement_timeout": "0"})
        try:
            if built := BUILD.match(sql):
                cursor.execute(INVALID, [built[1]])
                for (name,) in cursor.fetchall():
                    self.say(f"{name} is what a failed build left: removed, and built anew")
                    cursor.execute(f"DROP INDEX CONCURRENTLY {name}")
            return execute(sql, params, many, context)
        finally:
            _set(cursor, self._limits())


def gives_way(error: BaseException) -> bool:
    """Return whether a statement failed only because somebody else had a lock."""
    return getattr(error.__cause__, "sqlstate", None) in GIVEN_WAY


def what_stands(migration: Migration | None) -> str:
    """Say what a migration that failed has left."""
    if migration is None:
        return "Nothing was changed"
    if migration.atomic:
        return f"{migration} was rolled back; those before it are applied"
    return f"{migration} is not atomic: what it did before the error stands, and it is not marked as applied"


def _in_the_way(connection: BaseDatabaseWrapper) -> str:
    """Name the oldest transaction, which is most likely the one that was waited for."""
    with connection.cursor() as cursor:
        cursor.execute(OLDEST)
        row = cursor.fetchone()
    if row is None:
        return ""
    return f" (the oldest transaction: pid {row[0]}, {row[1] or 'unnamed'}, {row[2]:.1f} s)"


def _setting(cursor: Any, name: str) -> str:
    cursor.execute("SELECT current_setting(%s)", [name])
    return str(cursor.fetchone()[0])


def _set(cursor: Any, values: dict[str, str]) -> None:
    for name, value in values.items():
        cursor.execute(SETTING, [name, value])
