"""The figures of the queues as anybody would count them: through `jobs`, with no table beside it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from khaacho import sql

COUNTS = """
SELECT queue,
    count(*) FILTER (WHERE state = 'queued' AND run_after <= %(now)s) AS waiting,
    count(*) FILTER (WHERE state = 'running') AS active,
    count(*) FILTER (WHERE state = 'queued' AND run_after > %(now)s AND attempts = 0) AS delayed,
    count(*) FILTER (WHERE state = 'queued' AND run_after > %(now)s AND attempts > 0) AS retrying,
    count(*) FILTER (WHERE state = 'done' AND finished_at >= date_trunc('minute', %(now)s - interval '1 hour')) AS completed_1h,
    count(*) FILTER (WHERE failed_at >= date_trunc('minute', %(now)s - interval '1 hour')) AS failed_1h,
    count(*) FILTER (WHERE state = 'dead') AS dead,
    round(count(*) FILTER (WHERE state = 'done'
        AND finished_at >= date_trunc('minute', %(now)s - interval '5 minutes')) * 60
        / date_part('epoch', %(now)s - date_trunc('minute', %(now)s - interval '5 minutes'))::numeric,
        1)::float AS throughput_per_minute,
    coalesce(sum(coalesced) FILTER (WHERE state IN ('queued', 'running')
        OR finished_at >= date_trunc('minute', %(now)s - interval '1 day')), 0)::int AS deduplicated_24h,
    coalesce(sum(stalls) FILTER (WHERE state IN ('queued', 'running')
        OR finished_at >= date_trunc('minute', %(now)s - interval '1 day')), 0)::int AS stalled_24h
FROM jobs GROUP BY queue
"""
LASTED = """
SELECT queue,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY date_part('epoch', started_at - run_after) * 1000),
    percentile_disc(0.95) WITHIN GROUP (ORDER BY date_part('epoch', finished_at - started_at) * 1000)
FROM jobs WHERE state = 'done'
    AND finished_at >= date_trunc('minute', %(now)s - interval '15 minutes') GROUP BY queue
"""
FIELDS = (
    "waiting",
    "active",
    "delayed",
    "retrying",
    "completed_1h",
    "failed_1h",
    "dead",
    "throughput_per_minute",
    "deduplicated_24h",
    "stalled_24h",
)


def counts(now: datetime) -> dict[str, Mapping[str, Any]]:
    """Return what each queue that has jobs counts at that moment, by field."""
    rows = sql.fetch(COUNTS, {"now": now})
    return {queue: dict(zip(FIELDS, values, strict=True)) for queue, *values in rows}


def lasted(now: datetime) -> dict[str, tuple[float, float]]:
    """Return the exact p95 of waits and runs of each queue, in ms."""
    return {queue: (wait, run) for queue, wait, run in sql.fetch(LASTED, {"now": now})}
