"""Samples for the tests: real ones one after the other, and made ones of any moment.

pg_stat_statements is never reset: each test has statements of its own.
"""

from datetime import UTC, datetime, timedelta
from itertools import count

from django.db import connection

from khaacho import sql
from monitoring.history import rests, sampling

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_slots = count(1)
_widths = count(60, 2)  # a tail of two arguments looks like one column more
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def now():
    return sql.fetch("SELECT clock_timestamp()")[0][0]


def take():
    """Take a sample now, in a slot that no other has."""
    sample = sampling.take(LONG_AGO + next(_slots) * sampling.EVERY)
    assert sample is not None
    return sample


class Statement:
    """A statement that nothing else runs; `head` is its first column.

    PostgreSQL takes no notice of names and constants: this one is known by the number of its columns.
    """

    def __init__(self, head="1", tail=""):
        self.columns = ", 1" * next(_widths)
        self.head, self.tail = head, tail

    def run(self, times=1, head=None):
        """Run it, and return the first row of the last time."""
        for _ in range(times):
            [row, *_] = run(f"SELECT {head or self.head}{self.columns}{self.tail}")
        return row

    @property
    def queryid(self):
        head = f"{self.head.split('(')[0]}(" if "(" in self.head else "$1"
        [(found,)] = sql.fetch(
            "SELECT DISTINCT queryid FROM monitor.statements(true)"
            " WHERE query LIKE %s AND length(query) - length(replace(query, ', $', '')) = %s",
            [f"SELECT {head}%", 3 * (self.head + self.columns + self.tail).count(", ")],
        )
        return found

    def added(self):
        """Return (calls, rows) of each of its samples, oldest first."""
        return sql.fetch(
            "SELECT calls, rows FROM statement_samples WHERE queryid = %s ORDER BY sampled_at",
            [self.queryid],
        )


SAMPLE = """
INSERT INTO samples (slot, sampled_at, previous_at, dbid, sees_all, statements_since,
    statements_read, calls, exec_ms)
VALUES (%(at)s, %(at)s, %(previous)s, 1, true, %(previous)s, 1, %(calls)s, %(exec_ms)s)
"""
STATEMENT = """
INSERT INTO statement_samples (sampled_at, queryid, userid, toplevel, calls, rows, exec_ms,
    exec_ms_squares, plan_ms, blocks_hit, blocks_read, blocks_dirtied, temp_blocks, io_ms, jit_ms, wal_bytes)
VALUES (%s, %s, 10, true, %s, %s, %s, %s, 0, %s, %s, 0, 0, 0, 0, 0)
"""
TEXT = """
INSERT INTO statement_texts (queryid, text, first_seen, last_seen) VALUES (%s, %s, %s, %s)
ON CONFLICT (queryid) DO NOTHING
"""


def make_sample(at, previous=None, calls=0, exec_ms=0.0):
    sql.execute(SAMPLE, {"at": at, "previous": previous, "calls": calls, "exec_ms": exec_ms})


def make_statement(at, number, calls, mean, deviation, *, rows=0, hit=0, read=0):
    squares = calls * (mean**2 + deviation**2)
    sql.execute(STATEMENT, [at, number, calls, rows, calls * mean, squares, hit, read])


def make_text(number, text, first_seen):
    sql.execute(TEXT, [number, text, first_seen, first_seen])


def run(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


ZERO_COLUMNS = [
    "xact_commit",
    "xact_rollback",
    "blocks_read",
    "blocks_hit",
    "tuples_returned",
    "tuples_fetched",
    "tuples_inserted",
    "tuples_updated",
    "tuples_deleted",
    "conflicts",
    "temp_files",
    "temp_bytes",
    "deadlocks",
    "active_ms",
    "idle",
    "idle_in_transaction",
    "other",
    "waiting_for_locks",
    "bytes",
]


def make_database(at, **columns):
    """Make a sample of the database, all of it nothing but one active session and what is given."""
    row = dict.fromkeys(ZERO_COLUMNS, 0) | {
        "sampled_at": at,
        "active": 1,
        "server_connections": 1,
        "max_connections": 100,
        **columns,
    }
    names = ", ".join(row)
    sql.execute(
        f"INSERT INTO database_samples ({names}) VALUES ({', '.join(['%s'] * len(row))})",
        list(row.values()),
    )


def make_table(at, relation, relid, *, bytes=0, total=0, seq_scan=0, seq_tup_read=0, idx_scan=0):  # noqa: A002
    sql.execute(
        "INSERT INTO table_samples VALUES (%s, %s, %s, %s, %s, 5, 0, %s, %s, %s, 0, 0, 0, 0, 0, 0, 0)",
        [at, relid, relation, bytes, total, seq_scan, seq_tup_read, idx_scan],
    )


def follow_indexes():
    """Follow the samples of indexes one after the other, as each real one is when it is taken."""
    sql.execute("DELETE FROM index_rests")
    for (at,) in sql.fetch("SELECT DISTINCT sampled_at FROM index_samples ORDER BY 1"):
        sql.execute(rests.ADD, {"at": at})


def make_index(at, index, scans):
    sql.execute(
        "INSERT INTO index_samples SELECT %s, indexrelid, indrelid, %s, 0, 8192 FROM pg_index"
        " WHERE indexrelid = %s::regclass",
        [at, scans, index],
    )
