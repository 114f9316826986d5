"""A database of these tests' own, so that only their statements are measured: with a bazaar to search in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from khaacho import sql
from tests.conftest import flush

SECRET = "PLANTED-SECRET-4711"

BAZAAR = f"""
CREATE SCHEMA bazaar;
CREATE TABLE bazaar.customers (id bigserial PRIMARY KEY, name text, district text);
CREATE TABLE bazaar.sales (
    id bigserial PRIMARY KEY, customer_id bigint, status varchar(12), placed_at timestamptz,
    total numeric(12, 2), deleted_at timestamptz, note text DEFAULT repeat('x', 60));
CREATE TABLE bazaar.small (id int, a int);
CREATE TABLE bazaar.light (id int, a int);
CREATE TABLE bazaar."Odd ""Table" (id int, "Select" int, "Mixed Case" int);
CREATE TABLE bazaar.parted (day int, shop int, note text) PARTITION BY RANGE (day);
CREATE TABLE bazaar.parted_1 PARTITION OF bazaar.parted FOR VALUES FROM (0) TO (100);
CREATE TABLE bazaar.parted_2 PARTITION OF bazaar.parted FOR VALUES FROM (100) TO (200);
CREATE VIEW bazaar.open_sales AS SELECT * FROM bazaar.sales WHERE status = 'OPEN';
INSERT INTO bazaar.customers (name, district)
    SELECT 'c' || g, 'd' || g % 77 FROM generate_series(1, 20000) g;
INSERT INTO bazaar.sales (customer_id, status, placed_at, total, deleted_at)
    SELECT (g * 7919) % 20000 + 1, (ARRAY['OPEN', 'DONE', 'PAID'])[1 + g % 3],
        now() - ((g * 31) % 500000) * interval '1 min', g % 1000,
        CASE WHEN g % 10 <> 0 THEN now() END
    FROM generate_series(1, 120000) g;
INSERT INTO bazaar.small SELECT g, g FROM generate_series(1, 500) g;
INSERT INTO bazaar.light SELECT g, g FROM generate_series(1, 20000) g;
INSERT INTO bazaar."Odd ""Table" SELECT g, g % 5000, g FROM generate_series(1, 60000) g;
INSERT INTO bazaar.parted SELECT g % 200, g % 9000, repeat('y', 40) FROM generate_series(1, 60000) g;
CREATE TABLE bazaar.secrets (id int, word text);
INSERT INTO bazaar.secrets VALUES (1, '{SECRET}');
CREATE FUNCTION bazaar.leak() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN RETURN (SELECT word FROM bazaar.secrets WHERE id = 1); END $$;
CREATE FUNCTION bazaar.blurt() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN RETURN (SELECT word FROM bazaar.secrets WHERE id = 1)::int; END $$;
ANALYZE;
"""


def point_at(name: str) -> None:
    for each in (connection, connections["monitor"]):
        each.close()
        each.settings_dict["NAME"] = name


@contextmanager
def copied(plain: str, name: str) -> Iterator[str]:
    """Give a copy of a database, whose statistics are empty; drop it and point at the original again."""
    point_at(plain)  # and close: a database with a session cannot be copied
    quoted, template = (connection.ops.quote_name(each) for each in (name, plain))
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {quoted} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield name
    finally:
        point_at(plain)
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {quoted} WITH (FORCE)")


@pytest.fixture(scope="package")
def _bazaar(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """Copy the test database, with what measures and tries, and yield the copy's name."""
    with django_db_blocker.unblock():
        flush()
        plain = connection.settings_dict["NAME"]
        with copied(plain, f"{plain}_advice") as name:
            point_at(name)
            sql.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            if not sql.fetch("SELECT FROM pg_extension WHERE extname = 'hypopg'"):
                pytest.fail("HypoPG is not installed: apt-get install postgresql-15-hypopg")
            run(BAZAAR)
            point_at(plain)
            yield name


@pytest.fixture
def bazaar(_bazaar: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Point a test at a bazaar of its own: others' statements would make its own a trifle of the work."""
    plain = connection.settings_dict["NAME"]
    with django_db_blocker.unblock():
        with copied(_bazaar, f"{_bazaar}_own") as name:
            point_at(name)
            yield
            flush()
        point_at(plain)


def run(statement: str, times: int = 1) -> None:
    """Run a statement so that it is measured."""
    for _ in range(times):
        with connection.cursor() as cursor:
            cursor.execute(statement)
            if cursor.description:
                cursor.fetchall()


@pytest.fixture
def ran(bazaar: None) -> Callable[[str], int]:
    """Run a statement so that it is measured, and return its queryid."""

    def measure(statement: str, times: int = 1) -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}")
            [(answer,)] = cursor.fetchall()
        run(statement, times)
        return int(answer[0]["Query Identifier"])

    return measure
