"""What pages read PostgreSQL's statistics by: read-only, by a deadline, and honest about failures."""

import pytest

from monitoring.database import access

pytestmark = pytest.mark.django_db(databases=["default", "monitor"])


def test_reads_rows_and_names():
    assert access.fetch("SELECT 1, 'a'") == [(1, "a")]
    assert access.fetch_dicts("SELECT %s::int AS n", [3]) == [{"n": 3}]


def test_says_that_it_took_too_long():
    with pytest.raises(access.TimedOut) as caught:
        access.fetch("SELECT pg_sleep(20)", timeout_ms=50)
    assert caught.value.reason == "TimedOut"
    assert access.fetch("SELECT 1") == [(1,)]


def test_refuses_to_write():
    with pytest.raises(access.Unavailable, match="did not answer") as caught:
        access.fetch("CREATE TABLE t (id int)")
    assert "read-only" in caught.value.detail


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
