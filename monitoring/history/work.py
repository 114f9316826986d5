"""What the application did over a window: requests that ended, and jobs that were done.

Of the spans of five minutes that all processes publish (monitoring/sources) and the minutes that jobs are
counted in (ADR 25). Only whole steps are told: the last one may still go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from khaacho.origins import ROUTE
from monitoring.history.reading import fetch, step
from monitoring.sources.selectors import FAILURES

# Steps in which nothing was counted are none of work between two that have some.
STEPS = """
WITH parts AS (
    SELECT date_bin(%(step)s, {at}, 'epoch') AS at, {done} AS done, {failed} AS failed
    FROM {table} WHERE {at} >= %(since)s AND {at} < %(until)s AND {condition} GROUP BY 1
)
SELECT at + %(step)s, coalesce(done, 0)::bigint, coalesce(failed, 0)::bigint
FROM generate_series((SELECT min(at) FROM parts), (SELECT max(at) FROM parts), %(step)s) AS steps (at)
LEFT JOIN parts USING (at)
WHERE at >= %(since)s AND at + %(step)s <= %(until)s ORDER BY at
"""
REQUESTS = STEPS.format(
    table="origin_spans",
    at="since",
    done="sum(ended)",
    failed="sum(ended) FILTER (WHERE outcome = ANY (%(failures)s))",
    condition="kind = %(kind)s",
)
JOBS = STEPS.format(
    table="job_minutes", at="minute", done="sum(done)", failed="0", condition="true"
)


@dataclass(frozen=True)
class WorkPoint:
    """What ended in the step before `at`: how many, of these how many failed, in how many seconds."""

    at: datetime
    ended: int
    failed: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.ended / self.seconds

    @property
    def failed_per_second(self) -> float:
        return self.failed / self.seconds

    @property
    def per_minute(self) -> float:
        return 60 * self.per_second


def requests(since: datetime, until: datetime, points: int) -> Sequence[WorkPoint]:
    """Return about `points` moments with the requests that ended before each. One statement."""
    return _points(REQUESTS, since, until, points, kind=ROUTE, failures=list(FAILURES))


def jobs(since: datetime, until: datetime, points: int) -> Sequence[WorkPoint]:
    """Return about `points` moments with the jobs that were done before each. One statement."""
    return _points(JOBS, since, until, points)


def _points(
    statement: str, since: datetime, until: datetime, points: int, **more: object
) -> Sequence[WorkPoint]:
    width = step(since, until, points)
    rows = fetch(statement, since=since, until=until, step=width, **more)
    seconds = width.total_seconds()
    return [WorkPoint(at, ended, failed, seconds) for at, ended, failed in rows]
