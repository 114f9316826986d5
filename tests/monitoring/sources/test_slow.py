"""The slow-query log: what took long is told with its place and origin, and never with its values."""

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from khaacho import logs, origins, sql
from monitoring.sources import slow
from monitoring.sources.shapes import fingerprint
from tests.khaacho.planting import lines_of, logging_to

pytestmark = pytest.mark.django_db

TEXT = "SELECT pg_sleep(%s), %s::text AS phone FROM generate_series(1, 3)"


@pytest.fixture
def told(tmp_path, monkeypatch):
    """Log what takes 20 ms; return how to read the file."""
    monkeypatch.setattr(slow, "SECONDS", 0.02)
    with logging_to(tmp_path):
        yield lambda: lines_of(tmp_path, "slow-queries")


def test_a_slow_statement_is_told_with_everything_but_its_values(told):
    token = logs.request_id.set("req-9")
    origin = origins.current.set(origins.Origin(("job", "monitoring.x", "")))
    try:
        sql.fetch(TEXT, [0.01, "+9779812345678"])
        sql.fetch("SELECT 1")
    finally:
        origins.current.reset(origin)
        logs.request_id.reset(token)
    [line] = told()
    assert line["event"] == "query.slow"
    assert line["statement"] == "select pg_sleep(?),? as phone from generate_series(?)"
    assert line["fingerprint"] == fingerprint(TEXT)
    assert 30 <= line["ms"] < 5_000
    assert (line["request_id"], line["origin"]) == ("req-9", "job monitoring.x")
    assert (line["rows"], line["failed"], line["database"]) == (3, False, "default")
    assert line["backend_pid"] == connection.connection.info.backend_pid
    assert line["file"].startswith("tests/monitoring/sources/test_slow.py:")
    assert line["function"].endswith("with_everything_but_its_values")
    assert "9812345678" not in str(line)


def test_one_that_fails_is_told_too(told):
    with pytest.raises(DatabaseError), transaction.atomic():
        sql.fetch("SELECT pg_sleep(0.03), 1 / x.n FROM (SELECT 0 AS n OFFSET 0) AS x")
    [line] = told()
    assert (line["failed"], line["rows"]) == (True, None)


@pytest.mark.django_db(transaction=True)
def test_one_whose_connection_is_lost_fails_with_its_own_error(told):
    """Who reads from a replica goes by the error: it must be Django's, whatever became of the connection."""
    with pytest.raises(OperationalError, match="terminating connection"):
        sql.fetch("SELECT pg_sleep(0.03) IS NOT NULL AND pg_terminate_backend(pg_backend_pid())")
    connection.close()
    [line] = told()
    assert (line["failed"], line["backend_pid"]) == (True, None)


def test_literals_in_the_text_are_values_too(told):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.03) /* 9812345678 */, 'secret words', 9812345678")
    [line] = told()
    assert line["statement"] == "select pg_sleep(?),?,?"


def test_nothing_is_told_of_what_is_quick(told, monkeypatch):
    monkeypatch.setattr(slow, "SECONDS", 10)
    sql.fetch("SELECT pg_sleep(0.03)")
    assert told() == []


def test_a_fault_while_telling_costs_the_line_alone(told, monkeypatch):
    monkeypatch.setattr(slow.shapes, "normalised", lambda text: text[10**9])
    assert sql.fetch("SELECT pg_sleep(0.03) IS NULL") == [(False,)]
    assert [line["event"] for line in told()] == ["query.slow_untold"]


def test_the_threshold_is_a_second_and_0_is_never(settings):
    assert slow.SECONDS == settings.SLOW_QUERY_MS / 1000 == 1.0
