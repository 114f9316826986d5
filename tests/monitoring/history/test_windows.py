"""Windows over made samples: sums, gaps, edges between samples, and what is read for them."""

import functools
from datetime import timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from khaacho import sql
from monitoring.history import partitions, windows
from monitoring.history.models import ReleaseMarker
from monitoring.history.reading import added
from tests.monitoring.history.sampling import (
    DAY,
    HOUR,
    MINUTE,
    make_database,
    make_sample,
    make_statement,
    make_text,
    now,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

FIVE = 5 * MINUTE


@pytest.fixture
def start():
    """A moment two hours ago, at which a row of samples may begin."""
    moment = (now() - 2 * HOUR).replace(second=0, microsecond=0)
    partitions.make(moment - DAY, moment + DAY)
    return moment


def row_of_samples(start, count, **totals):
    """Make `count` samples after `start`, five minutes apart, the first without a predecessor."""
    for number in range(count + 1):
        at = start + number * FIVE
        make_sample(at, at - FIVE if number else None, **totals)


def test_mean_and_deviation_come_from_the_sums(start):
    row_of_samples(start, 3)
    make_statement(start + FIVE, 7, 3, mean=10, deviation=2, rows=6, hit=90, read=10)
    make_statement(start + 2 * FIVE, 7, 1, mean=30, deviation=0)
    make_statement(start + 2 * FIVE, 8, 10, mean=4, deviation=0)
    make_text(7, "SELECT seven", start)
    first, second = windows.statements(start, start + 15 * MINUTE)
    assert (first.queryid, second.queryid) == (7, 8)
    assert (first.calls, first.total_ms, first.mean_ms, first.rows) == (4, 60, 15, 6)
    # (3 · (4 + 100) + 900) / 4 - 225
    assert first.stddev_ms == pytest.approx(78**0.5)
    assert first.hit_ratio == 0.9
    assert first.share == 0.6
    assert first.text == "SELECT seven"
    assert second.text == ""
    assert second.hit_ratio is None


def test_orders_and_bounds(start):
    row_of_samples(start, 1)
    for number, (calls, mean) in enumerate([(100, 1), (1, 500), (10, 20)], 1):
        make_statement(start + FIVE, number, calls, mean=mean, deviation=0, rows=number)
    window = (start, start + FIVE)

    def order(by, limit=50):
        return [each.queryid for each in windows.statements(*window, order=by, limit=limit)]

    assert order("total_time") == [2, 3, 1]
    assert order("calls") == [1, 3, 2]
    assert order("mean_time") == [2, 3, 1]
    assert order("rows", limit=2) == [3, 2]
    assert windows.statements(*window, limit=1)[0].all_ms == 800
    with pytest.raises(KeyError):
        order("queryid; DROP TABLE samples")


@pytest.mark.parametrize("order", windows.ORDERS)
def test_every_order_is_possible(start, order):
    row_of_samples(start, 1)
    make_statement(start + FIVE, 1, 2, mean=1, deviation=0)
    assert len(windows.statements(start, start + FIVE, order=order)) == 1


def test_users_and_levels_of_a_statement_are_one(start):
    row_of_samples(start, 1)
    make_statement(start + FIVE, 1, 2, mean=1, deviation=0)
    sql.execute(
        "INSERT INTO statement_samples SELECT s.sampled_at, s.queryid, 5, s.rows, 10, 20, NULL,"
        " 0, 0, 0, 0, 0, 0, 0, 0, 11, false FROM statement_samples s"
    )
    [found] = windows.statements(start, start + FIVE)
    assert (found.calls, found.total_ms) == (7, 12)


def test_a_window_says_what_it_covers_when_its_edges_fall_between_samples(start):
    row_of_samples(start, 6)
    for number in range(7):
        make_statement(start + number * FIVE, 1, 10**number, mean=1, deviation=0)
    since, until = start + 7 * MINUTE, start + 19 * MINUTE
    covered = windows.coverage(since, until)
    assert covered == windows.Coverage(start + FIVE, start + 3 * FIVE, 2, 0, 2)
    assert covered.seconds == 600
    [found] = windows.statements(since, until)
    assert found.calls == 10**2 + 10**3


def test_a_window_without_samples_covers_nothing(start):
    row_of_samples(start, 2)
    covered = windows.coverage(start - HOUR, start - MINUTE)
    assert (covered.since, covered.until, covered.samples, covered.seconds) == (None, None, 0, 0)
    assert windows.statements(start - HOUR, start - MINUTE) == []
    assert windows.statement(1, start - HOUR, start - MINUTE) is None


def test_coverage_counts_gaps_and_samples_without_statements(start):
    row_of_samples(start, 1)
    make_sample(start + HOUR, start + FIVE)
    sql.execute(
        "UPDATE samples SET statements_since = NULL, statements_read = NULL WHERE sampled_at = %s",
        [start + FIVE],
    )
    covered = windows.coverage(start, start + HOUR)
    assert (covered.samples, covered.gaps, covered.with_statements) == (2, 1, 1)


def test_series_has_rates_zeros_and_gaps(start):
    row_of_samples(start, 3)
    make_sample(start + HOUR, start + 3 * FIVE)
    make_sample(start + HOUR + FIVE, start + HOUR)
    make_statement(start + FIVE, 1, 30, mean=10, deviation=0)
    make_statement(start + HOUR, 1, 999, mean=10, deviation=0)
    make_statement(start + HOUR + FIVE, 1, 60, mean=20, deviation=1)
    found = windows.statement_series(1, start, start + HOUR + FIVE)
    assert [point.at for point in found] == [start + n * FIVE for n in range(1, 14)]
    assert [point.calls_per_second for point in found] == [0.1, 0, 0, *[None] * 9, 0.2]
    assert [point.mean_ms for point in found] == [10, *[None] * 11, 20]
    assert found[0].ms_per_second == 1
    assert found[-1].stddev_ms == pytest.approx(1)


def test_series_has_about_as_many_points_as_asked_for(start):
    row_of_samples(start, 24)
    for number in range(1, 25):
        make_statement(start + number * FIVE, 1, number, mean=1, deviation=0)
    found = windows.statement_series(1, start, start + 24 * FIVE, points=6)
    assert len(found) == 6
    assert [point.calls for point in found] == [10, 26, 42, 58, 74, 90]
    assert {point.seconds for point in found} == {1200}


def test_totals_are_of_the_whole_database(start):
    row_of_samples(start, 2, calls=600, exec_ms=90_000.0)
    make_database(start, xact_commit=1000, blocks_hit=100, blocks_read=100, deadlocks=1)
    make_database(
        start + FIVE,
        xact_commit=1270,
        xact_rollback=30,
        blocks_hit=190,
        blocks_read=110,
        deadlocks=1,
        idle=7,
        temp_bytes=5,
    )
    make_database(start + 2 * FIVE, xact_commit=90, blocks_hit=10, deadlocks=0, temp_bytes=5)
    first, second, third = windows.totals(start, start + 3 * FIVE)
    assert first.database_time == 0.3
    assert first.calls_per_second == 2
    assert first.transactions_per_second == 1
    assert first.hit_ratio == 0.9
    assert (first.deadlocks, first.temp_bytes, first.connections) == (0, 5, 8)
    # its counters went back: what they have is since then
    assert (second.commits, second.blocks_hit, second.hit_ratio) == (90, 10, 1)
    assert (third.at, third.seconds, third.commits) == (start + 3 * FIVE, None, None)
    assert third.database_time is third.hit_ratio is third.connections is None


def test_totals_without_statements_are_those_of_the_database_alone(start):
    row_of_samples(start, 1)
    sql.execute("UPDATE samples SET calls = NULL, exec_ms = NULL")
    make_database(start, xact_commit=10)
    make_database(start + FIVE, xact_commit=310)
    [point] = windows.totals(start, start + FIVE)
    assert point.database_time is None
    assert point.transactions_per_second == 1


def test_counters_reset_and_outgrown_count_from_zero():
    rows = sql.fetch(
        f"SELECT {added('n', over='w', reset='r')} FROM (VALUES (1, 5, NULL::timestamptz),"
        " (2, 9, NULL), (3, 20, '2026-01-01'), (4, 21, '2026-01-01')) v (at, n, r)"
        " WINDOW w AS (ORDER BY at) ORDER BY at"
    )
    assert rows == [(None,), (4,), (20,), (1,)]


def test_marks_are_the_releases_of_the_window(start):
    for number in (3, 1, 2):
        ReleaseMarker.objects.create(name=f"v{number}", released_at=start + number * HOUR)
    assert windows.marks(start + HOUR, start + 150 * MINUTE) == [
        (start + HOUR, "v1"),
        (start + 2 * HOUR, "v2"),
    ]


MONTH = """
INSERT INTO samples (slot, sampled_at, previous_at, dbid, sees_all, statements_since, statements_read,
    calls, exec_ms)
SELECT at, at, at - %(step)s, 1, true, at - %(step)s, 300, 300, 300
FROM generate_series(%(since)s::timestamptz, %(until)s, %(step)s) at;
"""
MONTH_OF_STATEMENTS = """
INSERT INTO statement_samples (sampled_at, queryid, userid, toplevel, calls, rows, exec_ms,
    exec_ms_squares, plan_ms, blocks_hit, blocks_read, blocks_dirtied, temp_blocks, io_ms, jit_ms, wal_bytes)
SELECT sampled_at, queryid, 10, true, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0
FROM samples, generate_series(1, 300) queryid ORDER BY sampled_at
"""


@pytest.fixture
def month():
    """30 days of samples, hourly to be quick, of 300 statements each."""
    until = now().replace(minute=0, second=0, microsecond=0)
    since = until - 30 * DAY
    partitions.make(since, until)
    sql.execute(MONTH, {"since": since, "until": until, "step": HOUR})
    sql.execute(MONTH_OF_STATEMENTS)
    sql.execute("ANALYZE statement_samples")
    return until


def plan(call):
    """Return the plan of the one statement that reads samples."""
    with CaptureQueriesContext(connections["monitor"]) as run:
        call()
    [sent] = [each["sql"] for each in run if "FROM statement_samples" in each["sql"]]
    _, _, text = sent.partition(";")  # which ends the deadlines
    lines = sql.fetch(f"EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) {text}")
    return "\n".join(line for (line,) in lines)


def weeks(text):
    executed = [line for line in text.splitlines() if "never executed" not in line]
    return {
        word
        for line in executed
        for word in line.split()
        if "statement_samples_2" in word
        and "_w" in word
        and "idx" not in word
        and "pkey" not in word
    }


def test_a_window_reads_only_its_weeks(month):
    since = month - 6 * HOUR
    read = weeks(plan(lambda: windows.statements(since, month)))
    assert len(read) == 1 + (since.date().isocalendar()[1] != month.date().isocalendar()[1])
    assert (
        len(sql.fetch("SELECT FROM pg_inherits WHERE inhparent = 'statement_samples'::regclass"))
        > 4
    )


def test_a_short_window_reads_its_rows_along_the_index(month):
    found = plan(lambda: windows.statements(month - 2 * HOUR, month))
    read = [line for line in found.splitlines() if "never executed" not in line]
    assert not any("Seq Scan on statement_samples" in line for line in read), found


def test_a_series_of_one_statement_comes_from_its_key(month):
    found = plan(lambda: windows.statement_series(5, month - 20 * DAY, month))
    assert "Seq Scan on statement_samples" not in found, found
    assert "pkey" in found


@pytest.mark.parametrize(
    "call",
    [
        windows.statements,
        functools.partial(windows.statement_series, 5),
        windows.totals,
        windows.coverage,
    ],
)
def test_a_window_is_one_statement_however_long(month, call):
    def counted(since):
        with CaptureQueriesContext(connections["monitor"]) as run:
            call(since, month)
        return [each["sql"] for each in run if "FROM" in each["sql"] and "samples" in each["sql"]]

    assert len(counted(month - HOUR)) == len(counted(month - timedelta(days=30))) == 1
