"""Sums of hours: every window is the same with them as from its spans alone, and reads far fewer rows."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from khaacho import purging, sql
from monitoring import durations
from monitoring.history import sampling
from monitoring.models import OriginSpan
from monitoring.sources import hours, keeping, selectors
from tests.monitoring.history.sampling import DAY, HOUR, MINUTE, now, take
from tests.monitoring.sessions import Session

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

FIVE = 5 * MINUTE
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
ORIGINS = [
    ("route", "orders", "GET", "2xx"),
    ("route", "orders", "GET", "5xx"),
    ("route", "orders", "POST", "2xx"),
    ("route", "", "GET", "4xx"),
    ("job", "orders.route", "", "done"),
    ("job", "orders.route", "", "failed"),
]


def span(since, origin=ORIGINS[0], buckets=None, **figures):
    kind, name, method, outcome = origin
    usual = {"ended": 1, "microseconds": 10, "statements": 1, "database_microseconds": 5}
    return OriginSpan(
        since=since,
        kind=kind,
        name=name,
        method=method,
        outcome=outcome,
        buckets={"80": 1} if buckets is None else buckets,
        **(usual | figures),
    )


def fill(since, until):
    chance = random.Random(11)
    spans = []
    while since < until:
        for origin in chance.sample(ORIGINS, 4):
            ended = chance.randint(1, 50)
            spans.append(
                span(
                    since,
                    origin,
                    {str(chance.randint(40, 160)): ended},
                    ended=ended,
                    microseconds=chance.randint(1000, 9_000_000),
                    statements=ended * chance.randint(1, 8),
                    database_microseconds=chance.randint(1, 1000),
                )
            )
        since += FIVE
    OriginSpan.objects.bulk_create(spans)


@pytest.fixture
def day():
    """Spans from ten hours before noon to ten hours after it."""
    fill(NOON - 10 * HOUR, NOON + 10 * HOUR)


def add_up(at=NOON + DAY):
    return sql.execute(hours.ADD, {"at": at})


def read(since, until):
    """Return everything that pages and alerts ask of a window."""
    return (
        selectors.routes(since, until),
        selectors.tasks(since, until),
        durations.added(selectors.request_buckets(since, until)),
    )


def summed():
    return [since for (since,) in sql.fetch("SELECT DISTINCT since FROM origin_hours ORDER BY 1")]


WINDOWS = [
    *((-10 * HOUR, 10 * HOUR), (-20 * HOUR, 20 * HOUR), (-3 * HOUR, timedelta()), (HOUR, 2 * HOUR)),
    *((-4 * HOUR - MINUTE, 4 * HOUR + MINUTE), (-FIVE, FIVE), (-MINUTE, 3 * HOUR + MINUTE)),
    *((FIVE, HOUR + FIVE), (FIVE, HOUR - FIVE), (FIVE, HOUR - 4 * MINUTE), (MINUTE, 4 * MINUTE)),
    *((4 * MINUTE, HOUR - FIVE), (FIVE + MINUTE, HOUR), (3 * HOUR, 3 * HOUR)),
]


@pytest.mark.usefixtures("day")
def test_a_window_is_the_same_with_sums_and_without():
    asked = [(NOON + since, NOON + until) for since, until in WINDOWS]
    plain = [read(*window) for window in asked]
    assert len({repr(found) for found in plain}) > 10
    assert add_up() == 20 * len(ORIGINS)
    assert [read(*window) for window in asked] == plain
    sql.execute("DELETE FROM origin_spans WHERE since >= %s", [NOON - 2 * HOUR])
    assert read(NOON - 3 * HOUR, NOON - MINUTE) == plain[2]  # the last of them of hours alone


@pytest.mark.usefixtures("day")
def test_what_came_after_the_last_sum_is_added():
    whole = read(NOON - 10 * HOUR, NOON + 10 * HOUR)
    assert add_up(NOON + FIVE) == 10 * len(ORIGINS)
    assert read(NOON - 10 * HOUR, NOON + 10 * HOUR) == whole
    assert add_up() == 10 * len(ORIGINS)
    assert read(NOON - 10 * HOUR, NOON + 10 * HOUR) == whole
    assert add_up() == 0


@pytest.mark.usefixtures("day")
def test_an_hour_that_may_still_grow_is_not_summed_yet():
    add_up(NOON + FIVE - timedelta(microseconds=1))
    assert summed()[-1] == NOON - 2 * HOUR
    add_up(NOON + FIVE)
    assert summed()[-1] == NOON - HOUR


def test_a_month_that_nobody_summed_is_caught_up_a_day_at_a_time_past_any_gap():
    for days in (30, 29, 3, 0):  # nothing between the second and the third
        OriginSpan.objects.bulk_create([span(NOON - days * DAY), span(NOON + HOUR - days * DAY)])
    assert [add_up() for _ in range(5)] == [2, 2, 2, 2, 0]
    assert len(summed()) == 8
    (route,) = selectors.routes(NOON - 31 * DAY, NOON + DAY)
    assert route.requests == 8


def test_none_of_the_day_after_is_taken_twice():
    OriginSpan.objects.bulk_create([span(NOON + 30 * MINUTE), span(NOON + DAY)])
    assert add_up(NOON + 2 * DAY) == 1
    assert add_up(NOON + 2 * DAY) == 1
    assert summed() == [NOON, NOON + DAY]


def test_requests_without_a_duration_are_counted():
    OriginSpan.objects.bulk_create([span(NOON, buckets={})])
    add_up()
    assert sql.fetch("SELECT ended, buckets::text FROM origin_hours") == [(1, "{}")]


@pytest.mark.usefixtures("day")
def test_a_sample_sums_the_hours_before_it():
    sample = take()
    assert sample.note == ""
    assert len(summed()) == 20
    assert sampling.take(sample.sampled_at) is not None
    assert len(summed()) == 20


@pytest.mark.usefixtures("day")
def test_a_sample_that_cannot_sum_stores_the_rest_and_the_next_one_sums():
    other = Session("somebody")
    try:
        other.do("BEGIN; LOCK TABLE origin_hours IN ACCESS EXCLUSIVE MODE")
        assert take().note == "failed: OperationalError"
    finally:
        other.close()
    assert sql.fetch("SELECT count(*) FROM database_samples") == [(1,)]
    assert take().note == ""
    assert len(summed()) == 20


def test_they_are_forgotten_with_their_spans():
    OriginSpan.objects.bulk_create([span(now() - 31 * DAY), span(now() - 29 * DAY)])
    add_up(now())
    add_up(now())
    assert len(summed()) == 2
    assert keeping.origin_hours in keeping.PARTS
    for _ in purging.run():
        pass
    [(left,)] = sql.fetch("SELECT since FROM origin_hours")
    assert left > now() - 30 * DAY


def routes_of(since, until):
    """Return the statement that reads the routes of a window."""
    with CaptureQueriesContext(connections["monitor"]) as run:
        selectors.routes(since, until)
    [sent] = [each["sql"] for each in run if "origin_hours" in each["sql"]]
    return sent.partition(";")[2]  # which ends the deadlines


def plan(statement, params=None, options=""):
    return [line for (line,) in sql.fetch(f"EXPLAIN {options} {statement}", params)]


@pytest.mark.usefixtures("day")
def test_a_day_reads_the_spans_of_its_edges_alone():
    add_up()
    sql.execute("ANALYZE origin_hours, origin_spans")
    sent = routes_of(NOON - 9 * HOUR - MINUTE, NOON + 9 * HOUR + MINUTE)
    found = plan(sent, options="(ANALYZE, TIMING OFF)")
    lines = [line for line in found if "Scan" in line and "on origin_spans" in line]
    assert len(lines) == 2
    rows = [float(line.split("actual rows=")[1].split()[0]) for line in lines]
    assert 0 < sum(rows) <= 3 * len(ORIGINS), lines


MONTH = """
INSERT INTO origin_spans (since, kind, name, method, outcome, ended, microseconds, statements,
    database_microseconds, buckets)
SELECT at, 'route', 'route-' || n, 'GET', '2xx', 1, 10, 1, 5, '{"80": 1}'
FROM generate_series(%(since)s::timestamptz, %(until)s, '5 minutes') at, generate_series(1, 3) n
"""


def test_of_a_month_only_what_is_asked_for_is_read():
    sql.execute(MONTH, {"since": NOON - 30 * DAY, "until": NOON})
    while add_up():
        pass
    sql.execute("ANALYZE origin_hours, origin_spans")
    for found in (plan(routes_of(NOON - 4 * DAY, NOON - 3 * DAY)), plan(hours.ADD, {"at": NOON})):
        scans = [line for line in found if "on origin_" in line or "using origin_" in line]
        assert any("origin_span_once" in line for line in scans), found
        assert any("origin_hour_once" in line for line in scans), found
        assert not any("Seq Scan" in line for line in scans), found
