"""Requests and jobs over a window: whole steps, with nothing where nothing was, and no more than there was."""

from datetime import UTC, datetime, timedelta

import pytest

from monitoring.history import work
from monitoring.models import JobMinute
from monitoring.sources.models import OriginSpan

pytestmark = pytest.mark.django_db(databases=["default", "monitor"], transaction=True)

UNTIL = datetime(2026, 11, 28, 12, 2, tzinfo=UTC)
SINCE = UNTIL - timedelta(hours=1)
POINTS = 12  # five minutes each


def at(minute: int) -> datetime:
    return datetime(2026, 11, 28, 11, tzinfo=UTC) + timedelta(minutes=minute)


def span(minute: int, ended: int, outcome: str = "2xx", kind: str = "route") -> None:
    OriginSpan.objects.create(
        since=at(minute),
        kind=kind,
        name=f"orders {outcome}",
        method="GET",
        outcome=outcome,
        ended=ended,
        microseconds=1,
        statements=1,
        database_microseconds=1,
        buckets={},
    )


def test_requests_are_of_whole_steps():
    span(0, 1000)  # begins before the window
    span(5, 300)
    span(5, 30, "5xx")
    span(5, 60, "4xx")
    span(5, 1000, "done", kind="job")
    span(20, 600)
    span(60, 1000)  # goes on
    found = work.requests(SINCE, UNTIL, POINTS)
    assert [point.at for point in found] == [at(minute) for minute in range(10, 65, 5)]
    assert [point.ended for point in found] == [390, 0, 0, 600, 0, 0, 0, 0, 0, 0, 0]
    assert (found[0].failed, found[0].per_second, found[0].failed_per_second) == (30, 1.3, 0.1)


def test_a_step_that_began_before_the_window_is_left_out():
    span(5, 100)  # of the quarter of an hour from 11:00 on, whose first two minutes are outside
    span(15, 900)
    span(25, 900)
    assert [(point.at, point.per_second) for point in work.requests(SINCE, UNTIL, 4)] == [
        (at(30), 2)
    ]


def test_jobs_are_of_all_queues():
    for queue, minute, done in (("orders", 6, 50), ("reports", 7, 100), ("orders", 14, 15)):
        JobMinute.objects.create(
            queue=queue,
            minute=at(minute),
            counted_until=at(minute + 1),
            done=done,
            deduplicated=0,
            stalled=0,
            waits={},
            runs={},
        )
    assert [(point.at, point.per_minute) for point in work.jobs(SINCE, UNTIL, POINTS)] == [
        (at(10), 30),
        (at(15), 3),
    ]


def test_nothing_is_nothing():
    assert work.requests(SINCE, UNTIL, POINTS) == work.jobs(SINCE, UNTIL, POINTS) == []
