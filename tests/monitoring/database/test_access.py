"""What pages read PostgreSQL's statistics by: read-only, by a deadline, and honest about failures."""

import time

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from monitoring.database import access

pytestmark = pytest.mark.django_db(databases=["default", "monitor"])
alone = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])


def test_reads_rows_and_names():
    assert access.fetch("SELECT 1, 'a'") == [(1, "a")]
    assert access.fetch_dicts("SELECT %s::int AS n", [3]) == [{"n": 3}]
    assert access.fetch("SELECT %(n)s - 5 %% 3", {"n": 2}) == [(0,)]


def test_says_that_it_took_too_long():
    with pytest.raises(access.TimedOut) as caught:
        access.fetch("SELECT pg_sleep(20)", timeout_ms=50)
    assert caught.value.reason == "TimedOut"
    assert access.fetch("SELECT 1") == [(1,)]


def test_refuses_to_write():
    with pytest.raises(access.Unavailable, match="did not answer") as caught:
        access.fetch("CREATE TABLE t (id int)")
    assert "read-only" in caught.value.detail


@alone
def test_asks_in_one_message_and_leaves_no_deadline():
    connection = connections["monitor"]
    connection.ensure_connection()
    with CaptureQueriesContext(connection) as sent:
        test_reads_rows_and_names()
    assert len(sent) == 3
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_settings WHERE name = 'statement_timeout' AND setting = '800'"
        )
        assert cursor.fetchall() == []


@alone
def test_alone_it_says_that_it_took_too_long_and_refuses_to_write():
    test_says_that_it_took_too_long()
    test_refuses_to_write()
    with access.within(time.monotonic()), pytest.raises(access.TimedOut, match="did not answer"):
        access.fetch("SELECT 1")


SETTINGS = """
SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
    current_setting('transaction_read_only')
"""


@alone
def test_a_reading_sets_its_limits_whatever_the_session_has():
    connection = connections["monitor"]
    with connection.cursor() as cursor:  # as behind PgBouncer
        cursor.execute("SET default_transaction_read_only = off; SET statement_timeout = 0")
    try:
        assert access.fetch(SETTINGS, timeout_ms=50) == [("50ms", "50ms", "on")]
        with access.reading(500):
            assert access.fetch(SETTINGS, timeout_ms=70) == [("70ms", "70ms", "on")]
    finally:
        connection.close()


@alone
def test_within_another_reading_a_failure_leaves_the_rest():
    with access.reading() as cursor:
        with pytest.raises(access.Unavailable):
            access.fetch("SELECT 1 / 0")
        assert access.fetch("SELECT 1") == [(1,)]
        cursor.execute("SELECT 2")
        assert cursor.fetchall() == [(2,)]


def test_every_view_has_a_text_id():
    views = access.fetch(
        "SELECT format('%%I.%%I', schemaname, viewname) FROM pg_views WHERE schemaname = 'monitor'"
        " OR viewname IN ('slow_queries', 'index_usage_stats', 'table_bloat_stats', 'missing_indexes')"
    )
    assert len(views) == 17
    for (view,) in views:
        [(count, distinct, kind)] = access.fetch(
            f"SELECT count(*), count(DISTINCT id), (SELECT a.atttypid::regtype::text FROM pg_attribute a"
            f" WHERE a.attrelid = '{view}'::regclass AND a.attname = 'id') FROM {view}",
            timeout_ms=20_000,
        )
        assert (view, count, kind) == (view, distinct, "text")
