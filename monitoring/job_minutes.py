"""Jobs that are done, counted by the minute, so that no figure reads a million rows (ADR 25).

A job that is done stays as it is, so its minute is counted once and for all as soon as no transaction
can still bring another: what finished SETTLED ago is committed, since a session that is idle within
its transaction for 15 seconds is ended. The last minutes are counted again all the same.
"""

from datetime import datetime, timedelta

from django.db import transaction

from khaacho import sql
from khaacho.enums import JobState
from monitoring.durations import BUCKET

SETTLED = timedelta(seconds=20)
RECOUNTED = timedelta(minutes=5)
REACH = timedelta(hours=25)  # no figure looks back further than a day
KEPT = timedelta(days=30)
LOCK = 0x6A6D696E  # "jmin": one count at a time, so that an older one never overwrites a newer one

WAIT = BUCKET.format(since="run_after", until="started_at")
RUN = BUCKET.format(since="started_at", until="finished_at")

SPAN = """
SELECT statement_timestamp(), (
    SELECT max(counted_until) FROM job_minutes
    WHERE minute = (SELECT max(minute) FROM job_minutes))
"""
# No join: at its first run the planner may know nothing of the table, and a day has 8,640 rows.
COUNT = f"""
WITH done AS MATERIALIZED (
    SELECT queue, date_trunc('minute', finished_at) AS minute, {WAIT} AS wait, {RUN} AS run,
        count(*) AS jobs, sum(coalesced) AS deduplicated, sum(stalls) AS stalled
    FROM jobs
    WHERE state = '{JobState.DONE}' AND finished_at >= %(since)s AND finished_at < %(until)s
    GROUP BY 1, 2, 3, 4
),
parts AS (
    SELECT queue, minute, true AS is_wait, wait AS bucket, sum(jobs) AS jobs,
        sum(deduplicated) AS deduplicated, sum(stalled) AS stalled
    FROM done GROUP BY queue, minute, wait
    UNION ALL
    SELECT queue, minute, false, run, sum(jobs), 0, 0 FROM done GROUP BY queue, minute, run
)
INSERT INTO job_minutes
    (queue, minute, counted_until, done, deduplicated, stalled, waits, runs)
SELECT queue, minute, least(minute + interval '1 minute', %(until)s),
    sum(jobs) FILTER (WHERE is_wait), sum(deduplicated), sum(stalled),
    jsonb_object_agg(bucket, jobs) FILTER (WHERE is_wait),
    jsonb_object_agg(bucket, jobs) FILTER (WHERE NOT is_wait)
FROM parts GROUP BY queue, minute
ORDER BY minute, queue
ON CONFLICT (minute, queue) DO UPDATE SET
    counted_until = EXCLUDED.counted_until, done = EXCLUDED.done,
    deduplicated = EXCLUDED.deduplicated, stalled = EXCLUDED.stalled,
    waits = EXCLUDED.waits, runs = EXCLUDED.runs
"""


@transaction.atomic
def count() -> int:
    """Count what was done since the last count, and its last minutes anew; return the rows written.

    Also what was missed while nobody counted, up to a day. Rows older than 30 days are deleted.
    """
    sql.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    row = sql.fetch_one(SPAN)
    assert row is not None
    now, counted_until = row
    written = sql.execute(COUNT, {"since": _since(now, counted_until), "until": now - SETTLED})
    sql.execute("DELETE FROM job_minutes WHERE minute < %s", [now - KEPT])
    return written


def _since(now: datetime, counted_until: datetime | None) -> datetime:
    earliest = now - REACH
    since = max(earliest, counted_until - RECOUNTED) if counted_until else earliest
    return since.replace(second=0, microsecond=0)
