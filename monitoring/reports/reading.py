"""Rows of a report out of PostgreSQL: one snapshot, streamed, never the whole table in memory."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import connections

from khaacho import replica
from monitoring.exceptions import ReportTooLong
from monitoring.reports.columns import Column
from monitoring.reports.watching import Watch

FETCHED = 2000  # rows at once
CHECKED = 500  # rows between two looks at the watch
READING, WRITTEN = 5, 95  # per cent: before the first row, after the last
STOP_SECONDS = 5.0
SNAPSHOT = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL statement_timeout = '{seconds}s';
SET LOCAL lock_timeout = '{seconds}s';
SET LOCAL idle_in_transaction_session_timeout = '{seconds}s'
"""


@dataclass
class Reader:
    """One report's statement within its snapshot. `read_at` is the snapshot's moment."""

    connection: "psycopg.Connection[Any]"
    watch: Watch
    statement: str
    values: Mapping[str, Any]
    read_at: datetime
    expected: int = 1

    def rows(self, most: int | None = None) -> Iterator[tuple[Any, ...]]:
        """Yield the rows, counting the watch up. Raises ReportTooLong after `most`, and as `Watch.check`."""
        with self.connection.cursor(name="report") as cursor:
            cursor.itersize = FETCHED
            cursor.execute(self.statement, self.values)
            for number, row in enumerate(cursor, start=1):
                if most is not None and number > most:
                    raise ReportTooLong(f"More than {most} rows.", most=most)
                self._count(number)
                yield row

    def csv(self, columns: Sequence[Column]) -> Iterator[bytes]:
        """Yield the rows as PostgreSQL writes them as CSV, headings first; raises as `rows`."""
        selected = ", ".join(column.csv_sql() for column in columns)
        copy = (
            f"COPY (SELECT {selected} FROM ({self.statement}) AS report)"
            " TO STDOUT WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')"
        )
        with self.connection.cursor() as cursor, cursor.copy(copy, self.values) as lines:
            for number, line in enumerate(lines):
                self._count(number)
                yield bytes(line)

    def _count(self, number: int) -> None:
        if number % CHECKED == 0:
            self.watch.check()
            done = min(1.0, number / self.expected)
            self.watch.percent = READING + int((WRITTEN - READING) * done)

    def expect(self) -> None:
        """Ask the planner how many rows there will be: good enough for a bar of progress."""
        row = self.connection.execute(
            f"EXPLAIN (FORMAT JSON) {self.statement}", self.values
        ).fetchone()
        assert row is not None
        plan = json.loads(row[0]) if isinstance(row[0], str) else row[0]
        self.expected = max(1, int(plan[0]["Plan"]["Plan Rows"]))


@contextmanager
def snapshot(
    watch: Watch,
    statement: str,
    values: Mapping[str, Any],
    *,
    seconds: int,
    may_use_replica: bool = False,
) -> Iterator[Reader]:
    """Open a read-only snapshot on a connection of its own, so that all sums agree; no statement over `seconds`.

    It has all that was committed before: the replica's once that has caught up, else the primary's.
    Raises ReportTooLong for one that takes longer, and what the watch found when it stopped the statement.
    """
    own = replica.caught_up(seconds + STOP_SECONDS) if may_use_replica else None
    own = own or connections["default"].copy()
    own.ensure_connection()
    raw: psycopg.Connection[Any] = own.connection
    watch.stop_by(lambda: raw.cancel_safe(timeout=STOP_SECONDS))
    try:
        raw.execute(SNAPSHOT.format(seconds=seconds))
        now = raw.execute("SELECT now()").fetchone()
        assert now is not None
        reader = Reader(raw, watch, statement, values, now[0])
        reader.expect()
        watch.percent = READING
        yield reader
    except psycopg.errors.QueryCanceled as error:
        watch.check()
        raise ReportTooLong(
            f"It takes longer than {seconds} seconds; ask for a shorter period or fewer shops."
        ) from error
    finally:
        watch.stop_by(None)
        own.close()
