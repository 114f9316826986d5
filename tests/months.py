"""The audit log's months as a test wants them. What the migration made stays, with its indexes' names."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from khaacho import months, sql
from khaacho.months import Part
from tests.conftest import flush

TABLE = "audit_logs"
COLUMNS = "id, action, entity_type, entity_id, old_values, new_values, reason, database_user, user_id, created_at"


def this_month(more: int = 0) -> datetime:
    """Return when the current month begins, or the one so many after it."""
    return months.after(months.begin_of(months._now()), more)


def name(begin: datetime) -> str:
    return f"{TABLE}_{months._suffix(begin)}"


def names() -> list[str]:
    return [part.name for part in months.parts(TABLE)]


def tables() -> list[str]:
    """Return the tables of the schema, attached or not."""
    found = sql.fetch(
        "SELECT relname::text FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'months'::regnamespace ORDER BY 1"
    )
    return [each for (each,) in found]


def insert(at: datetime, entity_id: int = 1, **fields: Any) -> None:
    """Write an entry of that moment, as whoever loads rows by SQL does."""
    fields = {"action": "order.paid", "old_values": "{}", "new_values": "{}", "reason": ""} | fields
    fields |= {"entity_type": "order", "entity_id": entity_id, "created_at": at}
    places = ", ".join(["%s"] * len(fields))
    sql.execute(
        f"INSERT INTO audit_logs ({', '.join(fields)}) VALUES ({places})", list(fields.values())
    )


def rows(of: str = "public.audit_logs") -> list[tuple[Any, ...]]:
    return sql.fetch(f"SELECT {COLUMNS} FROM {of} ORDER BY id")


def where(entity_id: int) -> list[str]:
    """Return the parts in which rows of an entity lie."""
    found = sql.fetch(
        "SELECT c.relname::text FROM audit_logs a JOIN pg_class c ON c.oid = a.tableoid"
        " WHERE a.entity_id = %s ORDER BY 1",
        [entity_id],
    )
    return [each for (each,) in found]


@contextmanager
def as_before() -> Iterator[None]:
    """Put the parts back as they are now, empty; tables of the test's own go."""
    before = months.parts(TABLE)
    try:
        yield
    finally:
        for left in set(tables()) - set(names()):
            sql.execute(f"DROP TABLE months.{left}")  # its rows keep users from being deleted
        flush()
        for part in months.parts(TABLE):
            sql.execute(f"ALTER TABLE audit_logs DETACH PARTITION months.{part.name}")
        for left in set(tables()) - {part.name for part in before}:
            sql.execute(f"DROP TABLE months.{left}")
        for part in before:
            if part.name not in tables():
                months._create(TABLE, part.name)
            months._attach(TABLE, part)


def reshape(parts: Sequence[Part]) -> None:
    """Give the empty table these parts. Those that are there already keep their tables; others go."""
    for part in months.parts(TABLE):
        sql.execute(f"ALTER TABLE audit_logs DETACH PARTITION months.{part.name}")
    for left in set(tables()) - {part.name for part in parts}:
        sql.execute(f"DROP TABLE months.{left}")
    there = tables()
    for part in parts:
        if part.name not in there:
            months._create(TABLE, part.name)
        months._attach(TABLE, part)
