"""Plain SQL where one statement says what the ORM would say in many."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, connections

from khaacho import reading

Params = Sequence[Any] | Mapping[str, Any]


def fetch(statement: str, params: Params = ()) -> list[tuple[Any, ...]]:
    """Run one statement and return its rows: where khaacho.reading says, by default on the primary."""
    with connections[reading.alias()].cursor() as cursor:
        cursor.execute(statement, params)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def fetch_one(statement: str, params: Params = ()) -> tuple[Any, ...] | None:
    """Run one statement, likewise, and return its first row, or None."""
    with connections[reading.alias()].cursor() as cursor:
        cursor.execute(statement, params)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def execute(statement: str, params: Params = ()) -> int:
    """Run one statement on the primary and return how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return int(cursor.rowcount)
