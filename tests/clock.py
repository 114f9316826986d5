"""PostgreSQL's clock, moved by a test: it decides every date of ours, so that nothing else has to be told.

Functions named as PostgreSQL's own stand before them in the search path of one connection, and the
columns' defaults are bound to them. All of it ends with the test's transaction, within which now() goes on:
what the code does there in many transactions has many times.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import connection

from khaacho import sql

NAMES = ("now", "statement_timestamp", "clock_timestamp", "transaction_timestamp")
FUNCTION = (
    "CREATE FUNCTION moved.{name}() RETURNS timestamptz LANGUAGE sql STABLE"
    " AS $$ SELECT pg_catalog.statement_timestamp() + current_setting('moved.by')::interval $$"
)
DEFAULTS = (
    "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = 'public' AND column_default IN ('now()', 'statement_timestamp()')"
    " AND table_name IN (SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition)"
)


class Clock:
    """Stands at the moment it was last set to, and goes on from there at the usual pace."""

    def set(self, moment: datetime) -> None:
        sql.fetch(
            "SELECT set_config('moved.by', (%s - pg_catalog.statement_timestamp())::text, false)",
            [moment],
        )

    def now(self) -> datetime:
        row = sql.fetch_one("SELECT statement_timestamp()")
        assert row is not None
        return row[0]


@contextmanager
def moved_clock() -> Iterator[Clock]:
    """Move the clock of this connection; call it inside a test's transaction."""
    assert connection.in_atomic_block
    sql.execute("SELECT set_config('moved.by', '0', false)")
    sql.execute("CREATE SCHEMA moved")
    for name in NAMES:
        sql.execute(FUNCTION.format(name=name))
    defaults = sql.fetch(DEFAULTS)
    assert defaults
    sql.execute("SET search_path = moved, pg_catalog, public")
    for table, column in defaults:
        sql.execute(
            f'ALTER TABLE "{table}" ALTER COLUMN "{column}" SET DEFAULT statement_timestamp()'
        )
    try:
        yield Clock()
    finally:
        connection.set_rollback(True)
        connection.close_if_unusable_or_obsolete()
